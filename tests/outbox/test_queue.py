"""Which piece of work comes next."""

from pipetest.domain.model import Done, Entry, Gist, Organization, Sent, State, Wanted
from pipetest.outbox.queue import (
    CreateDeal,
    CreateOrganization,
    DealTask,
    FindOrganizations,
    Miss,
    OrganizationTask,
    ReconcileDeals,
    TaskQueue,
)
from pipetest.outbox.rules import SINCE_EVER

LOOKED = Miss(0.0, turn=0)
HOME = Organization(Done(1), reconciled_at=SINCE_EVER)


class Work:
    """A backlog with short ways to fill it."""

    def __init__(self) -> None:
        self.turn = 0
        self.backlog = TaskQueue(lambda: self.turn)
        self.position = 0

    def desk(self, organization: Organization = HOME, *, name: str = "ada", due: float = 0.0) -> OrganizationTask:
        desk = OrganizationTask(name, organization, due=due, seen=0.0)
        self.backlog.add_desk(desk, 0.0)
        return desk

    def case(
        self, desk: OrganizationTask, gist: str, state: State = Wanted(), *, created: float = 0.0, due: float = 0.0
    ) -> DealTask:
        self.position += 1
        case = DealTask(
            Entry(self.position, Gist(gist, created), desk.name, state),
            desk,
            state,
            due,
            waiting_since=0.0,
            reconciled=True,
        )
        self.backlog.add_case(case, 0.0)
        return case


def test_the_newest_gist_goes_first() -> None:
    work = Work()
    desk = work.desk()
    old, new = work.case(desk, "old", created=1.0), work.case(desk, "new", created=2.0)
    assert work.backlog.next(0.0) == CreateDeal(new, 1)
    assert work.backlog.next(0.0) == CreateDeal(old, 1)
    assert work.backlog.next(0.0) is None


def test_a_gist_waits_until_it_is_due() -> None:
    work = Work()
    case = work.case(work.desk(), "a", due=60.0)
    assert work.backlog.next(59.0) is None
    assert work.backlog.wakes() == 60.0
    assert work.backlog.next(60.0) == CreateDeal(case, 1)


def test_what_keeps_the_organization_waiting_keeps_its_gists_waiting() -> None:
    work = Work()
    case = work.case(work.desk(due=60.0), "a")
    assert work.backlog.next(0.0) is None
    assert work.backlog.wakes() == 60.0
    assert work.backlog.next(60.0) == CreateDeal(case, 1)


def test_one_look_decides_for_all_organizations_that_are_not_known() -> None:
    work = Work()
    desks = [work.desk(Organization(), name=name) for name in ("ada", "bob")]
    assert work.backlog.next(0.0) == FindOrganizations(desks)


def test_an_organization_that_was_looked_for_in_vain_is_made() -> None:
    work = Work()
    desk = work.desk(Organization())
    desk.absent = LOOKED
    assert work.backlog.next(0.0) == CreateOrganization(desk)


def test_an_account_without_gists_gets_its_organization_after_all_others() -> None:
    work = Work()
    empty = work.desk(Organization(), name="empty")
    full = work.desk(Organization(), name="full")
    empty.absent = full.absent = LOOKED
    work.case(full, "a")
    assert work.backlog.next(0.0) == CreateOrganization(full)


def test_an_adopted_organization_is_listed_before_its_first_create_and_not_sooner() -> None:
    work = Work()
    desk = work.desk(Organization(Done(1), reconciled_at=None))
    assert work.backlog.next(0.0) is None
    case = work.case(desk, "a")
    case.reconciled = False
    assert work.backlog.next(0.0) == ReconcileDeals(desk, 1, [case])


def test_one_look_decides_for_all_gists_whose_settle_time_is_over() -> None:
    work = Work()
    desk = work.desk()
    due = [work.case(desk, gist, Sent()) for gist in "ab"]
    work.case(desk, "c", Sent(), due=5.0)
    assert work.backlog.next(0.0) == ReconcileDeals(desk, 1, due)


def test_what_a_look_did_not_find_is_created() -> None:
    work = Work()
    case = work.case(work.desk(), "a", Sent())
    case.absent = LOOKED
    assert work.backlog.next(0.0) == CreateDeal(case, 1)


def test_a_look_counts_no_more_once_the_gate_has_turned() -> None:
    work = Work()
    desk = work.desk()
    case = work.case(desk, "a", Sent())
    case.absent = LOOKED
    work.turn = 1
    assert work.backlog.next(0.0) == ReconcileDeals(desk, 1, [case])


def test_nobody_is_worked_on_twice_at_once() -> None:
    work = Work()
    desk = work.desk()
    case = work.case(desk, "a", Sent())
    desk.busy = True
    assert work.backlog.next(0.0) is None
    desk.busy, case.busy = False, True
    work.backlog.requeue(desk, 0.0)
    assert work.backlog.next(0.0) is None


def test_a_finished_gist_leaves() -> None:
    work = Work()
    desk = work.desk()
    case = work.case(desk, "a")
    work.backlog.move(case, Done(1))
    assert work.backlog.next(0.0) is None
    assert (work.backlog.counts.total(), desk.deals) == (0, {})


def test_a_change_of_the_organization_wakes_its_gists() -> None:
    work = Work()
    desk = work.desk(Organization())
    case = work.case(desk, "a")
    assert work.backlog.next(0.0) == FindOrganizations([desk])
    desk.busy = True
    assert work.backlog.next(0.0) is None
    desk.busy = False
    work.backlog.house(desk, HOME)
    work.backlog.requeue(desk, 0.0)
    assert work.backlog.next(0.0) == CreateDeal(case, 1)


def test_in_another_organization_a_gist_is_looked_for_anew() -> None:
    work = Work()
    desk = work.desk(Organization(Done(1)))
    case = work.case(desk, "a", Sent())
    case.absent = LOOKED
    work.backlog.house(desk, Organization(Done(2)))
    assert work.backlog.next(0.0) == ReconcileDeals(desk, 2, [case])
