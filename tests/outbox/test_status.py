"""What the outbox tells of itself."""

import pytest

from pipetest.domain.interfaces import Time
from pipetest.domain.model import Done, Entry, Gist, Organization, Quarantined, Sent, State, Wanted
from pipetest.domain.status import Ledger, Waiting
from pipetest.domain.status import Quarantined as Refused
from pipetest.outbox.breaker import CircuitBreaker
from pipetest.outbox.registry import TaskRegistry
from pipetest.outbox.status import OutboxStatus
from pipetest.outbox.tasks import DealTask, OrganizationTask

DAY_S = 24 * 3600.0
GISTS: dict[str, tuple[str, State]] = {
    "refused": ("ada", Quarantined("no title", 900.0, status=422)),
    "sent": ("ada", Sent()),
    "wanted": ("ada", Wanted()),
    "sent too": ("ada", Sent()),
    "stuck": ("bob", Wanted()),
}


@pytest.fixture
def status() -> OutboxStatus:
    """Ada's organization is there, bob's was refused, and chiyo's is yet to be made; of her gists two are known."""
    breaker = CircuitBreaker()
    tasks = TaskRegistry(breaker)
    organizations = {
        "ada": Organization(Done(1), reconciled_at=0.0),
        "bob": Organization(Quarantined("no name", 800.0, status=400)),
        "chiyo": Organization(),
    }
    for name, organization in organizations.items():
        tasks.add_organization(OrganizationTask(name, organization, last_seen=0.0, due=0.0))
    for number, (gist, (user, state)) in enumerate(GISTS.items()):
        parent = tasks.organization(user)
        assert parent is not None
        entry = Entry(number, Gist(gist, 0.0), user, state)
        tasks.add_deal(DealTask(entry, parent, state, waiting_since=20.0 + number, due=0.0))
    return OutboxStatus(tasks, breaker, Time(lambda: 1000.0, lambda: 50.0))


def test_how_far_gists_have_come_is_told_of_all_and_of_each(status: OutboxStatus) -> None:
    assert status.counts(12, 3) == Ledger(wanted=2, sent=2, quarantined=1, skipped=3, done=4)
    names = [status.state_name(gist) for gist in ("refused", "sent", "wanted", "long since")]
    assert names == ["quarantined", "sent", "wanted", "done"]
    assert [status.open_deals(user) for user in ("Ada", "bob", "chiyo", "nobody")] == [4, 1, 0, 0]


def test_the_oldest_is_the_one_that_has_waited_longest_without_those_in_quarantine(status: OutboxStatus) -> None:
    assert status.oldest() == Waiting(id="sent", user="ada", since_at=1000.0 - 29.0)
    empty = OutboxStatus(TaskRegistry(CircuitBreaker()), CircuitBreaker(), Time(float, float))
    assert empty.oldest() is None


def test_what_waits_for_a_refused_organization_is_not_yet_to_be_created(status: OutboxStatus) -> None:
    assert (status.waiting(), status.to_create()) == (4, (3, 1))


def test_of_what_is_in_quarantine_it_is_told_why_since_when_and_until_when(status: OutboxStatus) -> None:
    organization = Refused(
        id="bob",
        user="bob",
        reason="no name",
        since_at=800.0,
        next_at=800.0 + DAY_S,
        kind="organization",
        status=400,
    )
    gist = Refused(
        id="refused", user="ada", reason="no title", since_at=900.0, next_at=900.0 + DAY_S, kind="gist", status=422
    )
    assert status.quarantine() == [organization, gist]
    assert status.quarantined() == {"organization": 1, "deal": 1}
