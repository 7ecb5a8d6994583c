"""What is not in Pipedrive yet, and which piece of it comes next: due things only, the newest gist first.

The working set of the creator, in memory. Desks and cases hold the truth; the two heaps are only hints, looked at again
when they come up, so a stale or double entry does no harm. Times are monotonic seconds.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import ClassVar

from attrs import define, field, frozen

from pipetest.domain.model import Done, Entry, Organization, Quarantined, Sent, State, Wanted
from pipetest.outbox.rules import FRESH_S, needs_search, ready_organization


@frozen
class Miss:
    """A look that did not find it: when that began, and in which turn of the gate."""

    at: float
    turn: int


@define(eq=False)
class DealTask:
    """A gist without a deal. ``waiting_since`` is when it came to wait here; ``absent`` a look that did not find it;
    ``reconciled`` whether the mark of its organization speaks for it."""

    entry: Entry
    parent: "OrganizationTask"
    state: State
    due: float
    waiting_since: float
    reconciled: bool = False
    absent: Miss | None = None
    busy: bool = False
    attempts: int = 0

    @property
    def key(self) -> str:
        return f"gist {self.entry.gist.id}"

    @property
    def about(self) -> Mapping[str, str]:
        """Names it in the log."""
        return {"gist": self.entry.gist.id, "user": self.parent.name}

    @property
    def newest_at(self) -> float:
        return self.entry.gist.created_at


@define(eq=False)
class OrganizationTask:
    """One user's organization, and the gists that wait for their deal in it.

    ``seen`` is when the organization was made or last seen. What its gists need of it goes by their rank; by itself it
    comes last.
    """

    newest_at: ClassVar[float] = -inf

    name: str
    organization: Organization
    due: float
    seen: float
    absent: Miss | None = None
    busy: bool = False
    attempts: int = 0
    deals: dict[str, DealTask] = field(factory=dict, repr=False)

    @property
    def key(self) -> str:
        return f"user {self.name.lower()}"

    @property
    def about(self) -> Mapping[str, str]:
        """Names it in the log."""
        return {"user": self.name}

    @property
    def state(self) -> State:
        return self.organization.state


Task = DealTask | OrganizationTask


@frozen
class FindOrganizations:
    """One look decides for every desk that needs one now."""

    items: Sequence[OrganizationTask]


@frozen
class CreateOrganization:
    desk: OrganizationTask

    @property
    def items(self) -> Sequence[Task]:
        return (self.desk,)


@frozen
class ReconcileDeals:
    """One look, begun now, decides for all of ``looked_for``: the settle time of each is over."""

    desk: OrganizationTask
    organization_id: int
    looked_for: Sequence[DealTask]

    @property
    def items(self) -> Sequence[Task]:
        return (self.desk, *self.looked_for)


@frozen
class CreateDeal:
    case: DealTask
    organization_id: int

    @property
    def items(self) -> Sequence[Task]:
        return (self.case,)


Action = FindOrganizations | CreateOrganization | ReconcileDeals | CreateDeal


class TaskQueue:
    """Desks and cases, and what is due among them. ``counts`` are cases by the type of their state.

    ``turn`` tells the gate's: a look counts no more once that has changed, since it may have changed after an hour's
    refusal, during which anything may have happened in Pipedrive.
    """

    def __init__(self, turn: Callable[[], int]) -> None:
        self._turn = turn
        self.organizations: dict[str, OrganizationTask] = {}
        self.counts: Counter[type[State]] = Counter()
        self.quarantined: dict[str, DealTask] = {}
        self._cases: dict[str, DealTask] = {}
        self._homeless: dict[str, OrganizationTask] = {}
        self._due: list[tuple[float, int, Task]] = []
        self._later: list[tuple[float, int, Task]] = []
        self._serial = count()

    def add_desk(self, desk: OrganizationTask, now: float) -> None:
        self.organizations[desk.key] = desk
        self.house(desk, desk.organization)
        self.queue(desk, now)

    def house(self, desk: OrganizationTask, organization: Organization) -> None:
        """Its organization has come to this. Its mark speaks for all gists that wait here; in another one, none of them
        has been looked for yet."""
        moved, desk.organization = organization.state != desk.state, organization
        for case in desk.deals.values():
            case.reconciled = organization.reconciled_at is not None
            case.absent = None if moved else case.absent
        if isinstance(desk.state, Done):
            self._homeless.pop(desk.key, None)
        else:
            self._homeless[desk.key] = desk

    def add_case(self, case: DealTask, now: float) -> None:
        self._cases[case.key] = case
        case.parent.deals[case.key] = case
        self.counts[type(case.state)] += 1
        self.move(case, case.state)
        self.queue(case, now)

    def move(self, case: DealTask, state: State) -> None:
        """Its deal has come to ``state``; once it is done, it leaves the backlog."""
        self.counts[type(case.state)] -= 1
        case.state = state
        self.quarantined.pop(case.key, None)
        if isinstance(state, Done):
            del self._cases[case.key]
            del case.parent.deals[case.key]
            return
        self.counts[type(state)] += 1
        if isinstance(state, Quarantined):
            self.quarantined[case.key] = case

    def deal(self, gist_id: str) -> DealTask | None:
        return self._cases.get(f"gist {gist_id}")

    @property
    def waiting(self) -> int:
        """How many gists wait for their deal; those in quarantine wait for people."""
        return self.counts[Wanted] + self.counts[Sent]

    def oldest(self) -> DealTask | None:
        """The case that has waited longest."""
        return next((case for case in self._cases.values() if not isinstance(case.state, Quarantined)), None)

    def requeue(self, item: Task, now: float) -> None:
        """Something about ``item`` has changed; where it is a desk, its gists may go on as well."""
        self.queue(item, now)
        if isinstance(item, OrganizationTask):
            for case in item.deals.values():
                self.queue(case, now)

    def queue(self, item: Task, now: float) -> None:
        """Take another look at ``item`` when it is due."""
        due = _due(item)
        if due <= now:
            heappush(self._due, (-item.newest_at, next(self._serial), item))
        elif due != inf:
            heappush(self._later, (due, next(self._serial), item))

    def next(self, now: float) -> Action | None:
        """The next piece of work that is due, None while there is none."""
        while self._later and self._later[0][0] <= now:
            self.queue(heappop(self._later)[2], now)
        while self._due:
            piece = self._piece(heappop(self._due)[2], now)
            if piece is not None:
                return piece
        return None

    def wakes(self) -> float | None:
        """When something that isn't due yet will be."""
        return self._later[0][0] if self._later else None

    def due(self, key: str) -> float | None:
        """When the item of this key is due; None when it needs nothing any more."""
        item = self._cases.get(key) or self.organizations.get(key)
        return None if item is None else _due(item)

    def piece_of(self, key: str, now: float) -> Action | None:
        """What the item of this key needs next, if that is due now."""
        item = self._cases.get(key) or self.organizations.get(key)
        return None if item is None else self._piece(item, now)

    def _piece(self, item: Task, now: float) -> Action | None:
        if _due(item) > now:
            self.queue(item, now)
            return None
        if isinstance(item, OrganizationTask):
            return self._desk_piece(item, now)
        if item.busy or item.key not in self._cases:
            return None
        organization_id = ready_organization(item.parent.organization)
        if organization_id is None or self.needs_search(item, now):
            return self._desk_piece(item.parent, now)
        return CreateDeal(item, organization_id)

    def _desk_piece(self, desk: OrganizationTask, now: float) -> Action | None:
        if desk.busy or desk.due > now:
            return None
        match desk.state:
            case Done(int(organization_id)):
                return self._deals_piece(desk, organization_id, now)
            case _ if self._absent_for(desk, now) <= FRESH_S:
                return CreateOrganization(desk)
            case _:
                return FindOrganizations([d for d in self._homeless.values() if self._unlooked(d, now)])

    def _deals_piece(self, desk: OrganizationTask, organization_id: int, now: float) -> ReconcileDeals | None:
        due = [case for case in desk.deals.values() if case.due <= now and not case.busy]
        looked_for = [case for case in due if self.needs_search(case, now)]
        return ReconcileDeals(desk, organization_id, looked_for) if looked_for else None

    def needs_search(self, case: DealTask, now: float) -> bool:
        """Whether it has to be looked for before it may be created."""
        return needs_search(case.state, self._absent_for(case, now), reconciled=case.reconciled)

    def _unlooked(self, desk: OrganizationTask, now: float) -> bool:
        return desk.due <= now and not desk.busy and self._absent_for(desk, now) > FRESH_S

    def _absent_for(self, item: Task, now: float) -> float:
        return inf if item.absent is None or item.absent.turn != self._turn() else now - item.absent.at


def _due(item: Task) -> float:
    """What keeps an organization waiting keeps its gists waiting."""
    return max(item.due, item.parent.due) if isinstance(item, DealTask) else item.due
