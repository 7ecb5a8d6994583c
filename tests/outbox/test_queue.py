"""Which action is next."""

import pytest

from pipetest.domain.errors import Unanswered
from pipetest.domain.model import Done, Entry, Gist, NotAllowed, Organization, Quarantined, Sent, State, Wanted
from pipetest.outbox.actions import CreateDeal, CreateOrganization, FindOrganizations, ReconcileDeals
from pipetest.outbox.breaker import Cause, CircuitBreaker
from pipetest.outbox.hints import SPARE
from pipetest.outbox.pause import FAILURE_THRESHOLD, PROBE_FIRST_S
from pipetest.outbox.queue import TaskQueue
from pipetest.outbox.registry import TaskRegistry
from pipetest.outbox.rules import SINCE_EVER
from pipetest.outbox.tasks import NEVER, DealTask, Miss, OrganizationTask

DAY_S = 24 * 3600.0
MISS = Miss(0.0, epoch=0)
KNOWN = Organization(Done(1), reconciled_at=SINCE_EVER)


class Queue(TaskQueue):
    """A queue with short ways to fill it."""

    def __init__(self) -> None:
        self.breaker = CircuitBreaker()
        self.tasks = TaskRegistry(self.breaker)
        super().__init__(self.tasks, self.breaker)
        self.position = 0

    def add_user(self, organization: Organization = KNOWN, *, name: str = "ada", due: float = 0.0) -> OrganizationTask:
        task = OrganizationTask(name, organization, last_seen=0.0, due=due)
        self.tasks.add_organization(task)
        self.put(task, 0.0)
        return task

    def add_gist(
        self, parent: OrganizationTask, gist: str, state: State = Wanted(), *, created: float = 0.0, due: float = 0.0
    ) -> DealTask:
        self.position += 1
        entry = Entry(self.position, Gist(gist, created), parent.name, state)
        task = DealTask(entry, parent, state, waiting_since=0.0, reconciled=True, due=due)
        self.tasks.add_deal(task)
        self.put(task, 0.0)
        return task


def test_the_newest_gist_goes_first() -> None:
    queue = Queue()
    ada = queue.add_user()
    old, new = queue.add_gist(ada, "old", created=1.0), queue.add_gist(ada, "new", created=2.0)
    assert queue.next_action(0.0) == CreateDeal(new, 1)
    assert queue.next_action(0.0) == CreateDeal(old, 1)
    assert queue.next_action(0.0) is None


def test_a_gist_waits_until_it_is_due() -> None:
    queue = Queue()
    task = queue.add_gist(queue.add_user(), "a", due=60.0)
    assert queue.next_action(59.0) is None
    assert queue.next_due() == 60.0
    assert queue.next_action(60.0) == CreateDeal(task, 1)
    assert queue.next_due() == NEVER


def test_a_gist_that_was_due_and_was_put_off_since_waits_until_it_is_due_again() -> None:
    queue = Queue()
    task = queue.add_gist(queue.add_user(), "a")
    task.schedule(60.0)
    assert queue.next_action(0.0) is None
    assert queue.next_due() == 60.0
    assert queue.next_action(60.0) == CreateDeal(task, 1)


def test_every_fourth_create_is_of_the_organization_served_longest_ago_and_the_others_of_the_newest_gist() -> None:
    queue, order = Queue(), list[str]()
    queue.tasks.first_seen("deal")
    for name, created in (("old", 1.0), ("older", 0.0), ("new", 2.0)):
        user = queue.add_user(name=name)
        for number in range(8):
            queue.add_gist(user, f"{name} {number}", created=created)
    for _ in range(13):
        action = queue.next_action(0.0)
        assert isinstance(action, CreateDeal)
        queue.start(action)
        order.append(action.task.parent.name)
    assert order == [*["new"] * 3, "old", *["new"] * 3, "older", "new", "new", "old", "older", "old"]


def test_a_gist_waits_until_its_organization_is_due() -> None:
    queue = Queue()
    task = queue.add_gist(queue.add_user(due=60.0), "a")
    assert queue.next_action(0.0) is None
    assert queue.next_due() == 60.0
    assert queue.next_action(60.0) == CreateDeal(task, 1)


def test_gists_that_wait_for_their_organization_cost_nothing_until_it_is_due() -> None:
    queue = Queue()
    ada = queue.add_user(Organization())
    deals = [queue.add_gist(ada, str(number), created=number) for number in range(100)]
    for minute in range(1_000):
        assert queue.next_action(60.0 * minute) == FindOrganizations([ada])
        ada.postpone(60.0 * minute, 60.0)
        queue.put(ada, 60.0 * minute)
        assert queue.next_action(60.0 * minute + 59.0) is None
        assert queue.next_due() == 60.0 * (minute + 1)
    assert queue.hints <= 3 * (len(deals) + SPARE)
    queue.tasks.set_organization(ada, KNOWN)
    created = [queue.next_action(60_000.0) for _ in deals]
    assert created == [CreateDeal(deal, 1) for deal in reversed(deals)]


def test_gists_are_not_looked_at_while_their_organization_is_searched_for() -> None:
    queue = Queue()
    ada = queue.add_user(Organization())
    deals = [queue.add_gist(ada, str(number)) for number in range(100)]
    search = queue.next_action(0.0)
    assert search == FindOrganizations([ada])
    queue.start(search)
    late = queue.add_gist(ada, "late", created=1.0)
    assert queue.next_action(0.0) is None
    assert queue.hints >= len(deals)
    queue.tasks.set_organization(ada, KNOWN)
    queue.finish(search, 0.0)
    assert queue.next_action(0.0) == CreateDeal(late, 1)


def test_one_search_decides_for_all_organizations_that_need_one() -> None:
    queue = Queue()
    users = [queue.add_user(Organization(), name=name) for name in ("ada", "bob")]
    assert queue.next_action(0.0) == FindOrganizations(users)


def test_an_organization_that_a_search_did_not_find_is_created() -> None:
    queue = Queue()
    ada = queue.add_user(Organization())
    ada.missed(MISS)
    assert queue.next_action(0.0) == CreateOrganization(ada)


def test_an_account_without_gists_gets_its_organization_after_all_others() -> None:
    queue = Queue()
    empty = queue.add_user(Organization(), name="empty")
    full = queue.add_user(Organization(), name="full")
    empty.missed(MISS)
    full.missed(MISS)
    queue.add_gist(full, "a")
    assert queue.next_action(0.0) == CreateOrganization(full)


def test_gists_just_searched_for_are_searched_for_again_where_their_organization_may_hold_unknown_deals() -> None:
    queue = Queue()
    ada = queue.add_user()
    task = queue.add_gist(ada, "a", Sent())
    task.searched(MISS)
    queue.tasks.whole_list_read(5.0)
    queue.tasks.nothing_reconciled()
    queue.put(task, 0.0)
    assert queue.tasks.listed_at is None
    assert queue.next_action(0.0) == ReconcileDeals(ada, 1, [task])


def test_an_adopted_organization_is_listed_before_its_first_create_and_not_sooner() -> None:
    queue = Queue()
    ada = queue.add_user(Organization(Done(1), reconciled_at=None))
    assert queue.next_action(0.0) is None
    task = queue.add_gist(ada, "a")
    task.unreconciled()
    assert queue.next_action(0.0) == ReconcileDeals(ada, 1, [task])


def test_one_search_decides_for_all_gists_whose_settle_time_is_over() -> None:
    queue = Queue()
    ada = queue.add_user()
    due = [queue.add_gist(ada, gist, Sent()) for gist in "ab"]
    queue.add_gist(ada, "c", Sent(), due=5.0)
    assert queue.next_action(0.0) == ReconcileDeals(ada, 1, due)


def test_what_a_search_did_not_find_is_created() -> None:
    queue = Queue()
    task = queue.add_gist(queue.add_user(), "a", Sent())
    task.missed(MISS)
    assert queue.next_action(0.0) == CreateDeal(task, 1)


def test_a_search_counts_no_more_once_a_new_epoch_has_begun() -> None:
    queue = Queue()
    ada = queue.add_user()
    task = queue.add_gist(ada, "a", Sent())
    task.missed(MISS)
    queue.breaker.new_epoch()
    assert queue.next_action(0.0) == ReconcileDeals(ada, 1, [task])


def test_a_task_in_progress_is_in_no_other_action() -> None:
    queue = Queue()
    ada = queue.add_user()
    task = queue.add_gist(ada, "a", Sent())
    ada.start()
    assert queue.next_action(0.0) is None
    ada.finish()
    task.start()
    queue.put(ada, 0.0)
    assert queue.next_action(0.0) is None


def test_a_gist_whose_deal_is_done_leaves() -> None:
    queue = Queue()
    ada = queue.add_user()
    task = queue.add_gist(ada, "a")
    queue.tasks.set_state(task, Done(1))
    assert queue.next_action(0.0) is None
    assert (queue.tasks.counts.total(), ada.deals) == (0, {})


def test_a_change_of_the_organization_wakes_its_gists() -> None:
    queue = Queue()
    ada = queue.add_user(Organization())
    task = queue.add_gist(ada, "a")
    assert queue.next_action(0.0) == FindOrganizations([ada])
    ada.start()
    assert queue.next_action(0.0) is None
    ada.finish()
    queue.tasks.set_organization(ada, KNOWN)
    queue.put(ada, 0.0)
    assert queue.next_action(0.0) == CreateDeal(task, 1)


def test_in_another_organization_a_gist_is_searched_for_anew() -> None:
    queue = Queue()
    ada = queue.add_user(Organization(Done(1)))
    task = queue.add_gist(ada, "a", Sent())
    task.missed(MISS)
    queue.tasks.set_organization(ada, Organization(Done(2)))
    assert queue.next_action(0.0) == ReconcileDeals(ada, 2, [task])


@pytest.mark.parametrize("organization", [Organization(), KNOWN])
def test_the_probe_of_a_cap_is_the_record_that_met_it_though_another_organization_was_served_longer_ago(
    organization: Organization,
) -> None:
    queue = Queue()
    users = [queue.add_user(organization, name=name) for name in ("ada", "bob")]
    deals = [queue.add_gist(user, user.name) for user in users]
    bob = users[1] if organization == Organization() else deals[1]
    users[1].served(1)
    queue.breaker.create_ended(bob, Wanted(), NotAllowed("too many", capped=True), queue.breaker.epoch, 0.0)
    for user in users:
        user.missed(Miss(0.0, queue.breaker.epoch))
    assert queue.next_action(PROBE_FIRST_S - 1.0) is None
    action = queue.next_action(PROBE_FIRST_S)
    assert isinstance(action, CreateOrganization | CreateDeal)
    assert action.task is bob


def test_where_the_probe_of_a_cap_is_in_quarantine_another_record_is_tried() -> None:
    queue = Queue()
    probe, other = (queue.add_gist(queue.add_user(name=name), name) for name in ("ada", "bob"))
    queue.breaker.create_ended(probe, Wanted(), NotAllowed("too many", capped=True), queue.breaker.epoch, 0.0)
    queue.tasks.set_state(probe, Quarantined("bad", since_at=0.0))
    probe.schedule(DAY_S)
    assert queue.next_action(PROBE_FIRST_S) == CreateDeal(other, 1)


def test_what_was_refused_longest_ago_is_tried_first_of_what_was_refused_alike() -> None:
    queue = Queue()
    ada = queue.add_user()
    first, newer, other, older, unknown = (
        queue.add_gist(ada, str(since_at), Quarantined("bad", since_at, status=status, code=code), due=DAY_S)
        for since_at, status, code in ((9.0, 400, "A"), (3.0, 400, "A"), (1.0, 400, "B"), (2.0, 400, "A"), (0.0, 0, ""))
    )
    assert queue.tasks.oldest_quarantined(Cause(400, "A"), first) is older
    assert queue.tasks.oldest_quarantined(Cause(400, "A"), older) is newer
    assert queue.tasks.oldest_quarantined(Cause(400, "B"), other) is None
    assert queue.tasks.oldest_quarantined(Cause(0, ""), first) is None
    older.start()
    assert queue.tasks.oldest_quarantined(Cause(400, "A"), first) is newer
    for _ in range(FAILURE_THRESHOLD):
        queue.breaker.search_failed(Unanswered("Pipedrive", "no answer"), queue.breaker.epoch, 0.0)
    assert queue.refused_to_retry(0.0) is unknown


def test_what_a_dry_run_has_told_of_shows_not_whether_a_pause_is_over() -> None:
    queue = Queue()
    refused = Quarantined("400: bad", since_at=0.0)
    told, other = (queue.add_gist(queue.add_user(), gist, refused, due=DAY_S) for gist in ("a", "b"))
    for _ in range(FAILURE_THRESHOLD):
        queue.breaker.search_failed(Unanswered("Pipedrive", "no answer"), queue.breaker.epoch, 0.0)
    assert queue.refused_to_retry(0.0) is told
    told.schedule(NEVER)
    assert queue.refused_to_retry(0.0) is other
    other.schedule(NEVER)
    assert queue.refused_to_retry(0.0) is None
