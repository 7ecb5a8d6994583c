"""How tasks change."""

from math import inf

from pipetest.domain.model import Done, Entry, Gist, Organization, Quarantined, Sent
from pipetest.outbox.pause import Pause
from pipetest.outbox.tasks import DealTask, Miss, OrganizationTask


def deal(*, due: float = 0.0, organization_due: float = 0.0) -> DealTask:
    parent = OrganizationTask("ada", Organization(Done(1), reconciled_at=5.0), last_seen=0.0, due=organization_due)
    task = DealTask(Entry(1, Gist("a", 0.0), "ada"), parent, Sent(), waiting_since=0.0, reconciled=True, due=due)
    parent.deals[task.key] = task
    return task


def test_each_failure_postpones_it_for_longer_until_a_search_is_answered() -> None:
    task = deal()
    waits = []
    for _ in range(3):
        task.schedule(0.0)
        task.postpone(now=100.0)
        waits.append(task.due - 100.0)
    assert waits == [5.0, 10.0, 20.0]
    task.answered()
    task.schedule(0.0)
    task.postpone(now=100.0)
    assert task.due == 105.0


def test_postponed_for_as_long_as_told_it_is_never_due_sooner_than_before() -> None:
    task = deal(due=300.0)
    task.postpone(now=100.0, wait=7.0)
    assert task.due == 300.0
    task.postpone(now=300.0, wait=7.0)
    assert task.due == 307.0


def test_a_gist_waits_for_what_its_organization_waits_for() -> None:
    assert deal(due=1.0, organization_due=2.0).ready == 2.0
    assert deal(due=2.0, organization_due=1.0).ready == 2.0


def test_a_search_counts_only_in_its_epoch_and_until_it_is_forgotten() -> None:
    task = deal()
    assert task.miss_age(now=100.0, epoch=1) == inf
    task.missed(Miss(90.0, epoch=1))
    assert task.miss_age(now=100.0, epoch=1) == 10.0
    assert task.miss_age(now=100.0, epoch=2) == inf
    assert task.forget_miss() == Miss(90.0, epoch=1)
    assert task.miss_age(now=100.0, epoch=1) == inf


def test_a_gist_forgets_its_search_when_its_deal_will_be_in_another_organization() -> None:
    task = deal()
    task.missed(Miss(90.0, epoch=1))
    task.parent.set_organization(Organization(Done(1), reconciled_at=50.0))
    assert (task.not_found, task.reconciled) == (Miss(90.0, epoch=1), True)
    task.parent.set_organization(Organization(Done(2)))
    assert (task.not_found, task.reconciled) == (None, False)


def test_an_organization_waits_for_itself_and_then_for_those_of_its_deals_that_are_not_in_quarantine() -> None:
    task = deal()
    waits = [task.parent.waits_for]
    task.set_state(Quarantined("no title", 1.0))
    waits.append(task.parent.waits_for)
    for organization in (Organization(), Organization(Quarantined("no name", 1.0))):
        task.parent.set_organization(organization)
        waits.append(task.parent.waits_for)
    assert waits == ["deal", None, "organization", None]


def test_an_organization_that_was_put_off_goes_one_gist_at_a_time() -> None:
    task = deal()
    task.start()
    task.start()  # as another one of the same organization
    full = [task.parent.is_full]
    task.parent.put_off("not allowed", 100.0)
    full.append(task.parent.is_full)
    for _ in range(2):
        task.finish()
        full.append(task.parent.is_full)
    assert full == [False, True, True, False]
    assert task.ready == task.parent.ready == 110.0


def test_an_organization_that_may_be_tried_at_once_stays_put_off_until_something_is_created() -> None:
    parent = deal().parent
    parent.put_off("not allowed", 0.0)
    parent.try_now()
    assert (parent.ready, parent.pause) == (0.0, Pause("not allowed", 0.0))
    parent.resume()
    assert parent.pause is None


def test_what_was_under_way_when_an_organization_was_put_off_makes_it_wait_no_longer() -> None:
    parent = deal().parent
    for now in (100.0, 101.0, 109.0):
        parent.put_off("not allowed", now)
    assert parent.ready == 110.0
    parent.put_off("not allowed", 110.0)
    assert parent.ready == 130.0
