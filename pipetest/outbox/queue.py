"""The tasks in memory, and which action is next: of those that are due, the one for the newest gist. Pure.

Tasks hold the truth. What is due, and what will be, are only hints, checked when they come up, so an outdated one does
no harm. Moments are monotonic seconds.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Protocol

from msgspec import Struct

from pipetest.domain.model import Done, Organization, Quarantined, Sent, State, Wanted
from pipetest.outbox.hints import Hints
from pipetest.outbox.rules import is_fresh, needs_search, ready_organization
from pipetest.outbox.tasks import NEVER, DealTask, OrganizationTask, StoreTask, Task, organization_key


class FindOrganizations(Struct, frozen=True):
    """One search decides for all organizations that need one now."""

    tasks: Sequence[OrganizationTask]


class CreateOrganization(Struct, frozen=True):
    task: OrganizationTask

    @property
    def tasks(self) -> Sequence[Task]:
        return (self.task,)


class ReconcileDeals(Struct, frozen=True):
    """One search, begun now, decides for all of these ``deals``: the settle time of each is over."""

    parent: OrganizationTask
    organization_id: int
    deals: Sequence[DealTask]

    @property
    def tasks(self) -> Sequence[Task]:
        return (self.parent, *self.deals)


class CreateDeal(Struct, frozen=True):
    task: DealTask
    organization_id: int

    @property
    def tasks(self) -> Sequence[Task]:
        return (self.task,)


class ReconcileStore(Struct, frozen=True):
    """Learn what Pipedrive holds and the store does not know: nothing else goes on before."""

    task: StoreTask

    @property
    def tasks(self) -> Sequence[StoreTask]:
        return (self.task,)


Action = FindOrganizations | CreateOrganization | ReconcileDeals | CreateDeal | ReconcileStore


class HasEpoch(Protocol):
    """The circuit breaker, as far as it is asked here."""

    @property
    def epoch(self) -> int: ...


class TaskQueue:
    """All tasks, and which of them is next. ``counts`` are gists without a deal by the type of their state;
    ``quarantined`` are those of them that Pipedrive refused, by id. ``listed_at``: since when the deals of all
    organizations are known, of gists whose ids are recognised in any; None while they are not."""

    def __init__(self, breaker: HasEpoch) -> None:
        self.counts: Counter[type[State]] = Counter()
        self.quarantined: dict[str, DealTask] = {}
        self.listed_at: float | None = None
        self._store: StoreTask | None = None
        self._breaker = breaker
        self._organizations: dict[str, OrganizationTask] = {}
        self._without_organization: dict[str, OrganizationTask] = {}
        self._deals: dict[str, DealTask] = {}
        self._due = Hints[Task | StoreTask]()  # by priority
        self._later = Hints[Task | StoreTask]()  # by time

    # --- what is here -------------------------------------------------------------------------------------------------

    def organization(self, user: str) -> OrganizationTask | None:
        return self._organizations.get(organization_key(user))

    def deal(self, gist_id: str) -> DealTask | None:
        """The task of this gist; None when its deal is done, or nobody knows the gist."""
        return self._deals.get(f"gist {gist_id}")

    def state_of(self, gist_id: str) -> State | None:
        """How far this gist has come; None when its deal is done, or nobody knows the gist."""
        task = self.deal(gist_id)
        return None if task is None else task.state

    def oldest(self) -> DealTask | None:
        """The gist that has waited longest for its deal; those in quarantine wait for people."""
        return next((deal for deal in self._deals.values() if not isinstance(deal.state, Quarantined)), None)

    @property
    def waiting(self) -> int:
        """How many gists wait for their deal; those in quarantine wait for people."""
        return self.counts[Wanted] + self.counts[Sent]

    @property
    def organizations_waiting(self) -> int:
        """How many organizations are yet to be created, or found."""
        return sum(isinstance(task.state, Wanted | Sent) for task in self._without_organization.values())

    def organizations(self) -> Collection[OrganizationTask]:
        return self._organizations.values()

    # --- what changes in it -------------------------------------------------------------------------------------------

    def reconcile_first(self, task: StoreTask) -> None:
        """Nothing else goes on before this has; and it goes on once something else could."""
        self._store = task

    def store_reconciled(self) -> None:
        self._store = None

    def whole_list_read(self, listed_at: float) -> None:
        """All deals of all organizations were listed, so no deal is unknown whose gist is recognised in any of them."""
        self.listed_at = listed_at
        for task in self._organizations.values():
            if isinstance(task.state, Done):
                self.set_organization(task, Organization(task.state, listed_at))
                task.short_ids_unreconciled()

    def nothing_reconciled(self) -> None:
        """Any organization may hold deals that are unknown here."""
        self.listed_at = None
        for task in self._organizations.values():
            self.set_organization(task, Organization(task.state))

    def add_organization(self, task: OrganizationTask, now: float) -> None:
        self._organizations[task.key] = task
        self.set_organization(task, task.organization)
        self.put(task, now)

    def add_deal(self, task: DealTask, now: float) -> None:
        self._deals[task.key] = task
        task.parent.add_deal(task)
        self.counts[type(task.state)] += 1
        self.set_state(task, task.state)
        self.put(task, now)

    def set_organization(self, task: OrganizationTask, organization: Organization) -> None:
        task.set_organization(organization)
        if isinstance(task.state, Done):
            self._without_organization.pop(task.key, None)
        else:
            self._without_organization[task.key] = task

    def set_state(self, task: Task, state: State) -> None:
        """A deal that is done leaves the queue."""
        if isinstance(task, OrganizationTask):
            self.set_organization(task, Organization(state))
            return
        self.counts[type(task.state)] -= 1
        task.set_state(state)
        self.quarantined.pop(task.gist_id, None)
        if isinstance(state, Done):
            del self._deals[task.key]
            task.parent.remove_deal(task)
            return
        self.counts[type(state)] += 1
        if isinstance(state, Quarantined):
            self.quarantined[task.gist_id] = task

    # --- what is next -------------------------------------------------------------------------------------------------

    def put(self, task: Task | StoreTask, now: float) -> None:
        """Consider the task when it is due. What only waits for its organization is considered with it: so that an
        outage, in which that is put off again and again, costs the same for one gist and for thousands."""
        if task.ready <= now:
            self._later.discard(task)
            self._due.put(task, -task.priority)
            return
        self._due.discard(task)
        if isinstance(task, DealTask) and task.parent.due > now:
            task = task.parent
        if task.ready != NEVER:
            self._later.put(task, task.ready)

    def requeue(self, task: Task | StoreTask, now: float) -> None:
        """Something about the task has changed; if it is an organization's, its gists may go on as well."""
        self.put(task, now)
        if isinstance(task, OrganizationTask) and task.ready <= now:
            for deal in task.deals.values():
                self.put(deal, now)

    def next_action(self, now: float) -> Action | None:
        """The next action that is due; None while none is."""
        if self._store is not None and self._store.in_progress:
            return None
        while self.next_due() <= now:
            self.requeue(self._later.pop(), now)
        while self._due.first() is not None:
            action = self._action(self._due.pop(), now)
            if action is not None:
                return self._store_first(action, now)
        return None

    def next_due(self) -> float:
        """When something that isn't due yet will be."""
        first = self._later.first()
        return NEVER if first is None else first

    @property
    def hints(self) -> int:
        """How many hints are kept: not many more than there are tasks."""
        return len(self._due) + len(self._later)

    def ready(self, key: str) -> float | None:
        """When the task with this key can go on; None when it needs nothing any more."""
        task = self._task(key)
        return None if task is None else task.ready

    def action_for(self, key: str, now: float) -> Action | None:
        """What the task with this key needs next, if that is due."""
        task = self._task(key)
        action = None if task is None else self._action(task, now)
        return None if action is None else self._store_first(action, now)

    def needs_search(self, task: DealTask, now: float) -> bool:
        """Whether Pipedrive has to be searched for it before it may be created."""
        return needs_search(task.state, self._miss_age(task, now), reconciled=task.reconciled)

    def _store_first(self, action: Action, now: float) -> Action | None:
        """What goes before this action, as long as the store is to be reconciled; the action's turn comes again."""
        if self._store is None:
            return action
        for task in action.tasks:
            self.put(task, now)
        if self._store.due > now or self._store.in_progress:
            self.put(self._store, now)
            return None
        return ReconcileStore(self._store)

    def _task(self, key: str) -> Task | None:
        return self._deals.get(key) or self._organizations.get(key)

    def _action(self, task: Task | StoreTask, now: float) -> Action | None:
        if isinstance(task, StoreTask):
            return None  # it goes on with the next action that could
        if task.ready > now:
            self.put(task, now)
            return None
        if isinstance(task, OrganizationTask):
            return self._organization_action(task, now)
        if task.in_progress or task.key not in self._deals:
            return None
        organization_id = ready_organization(task.parent.organization)
        if organization_id is None or self.needs_search(task, now):
            return self._organization_action(task.parent, now)
        return CreateDeal(task, organization_id)

    def _organization_action(self, task: OrganizationTask, now: float) -> Action | None:
        if task.in_progress or task.due > now:
            return None
        match task.state:
            case Done(int(organization_id)):
                return self._reconcile_deals(task, organization_id, now)
            case _ if is_fresh(self._miss_age(task, now)):
                return CreateOrganization(task)
            case _:
                return FindOrganizations([t for t in self._without_organization.values() if self._must_find(t, now)])

    def _reconcile_deals(self, parent: OrganizationTask, organization_id: int, now: float) -> ReconcileDeals | None:
        due = [deal for deal in parent.deals.values() if deal.due <= now and not deal.in_progress]
        unseen = [deal for deal in due if self.needs_search(deal, now)]
        return ReconcileDeals(parent, organization_id, unseen) if unseen else None

    def _must_find(self, task: OrganizationTask, now: float) -> bool:
        return task.due <= now and not task.in_progress and not is_fresh(self._miss_age(task, now))

    def _miss_age(self, task: Task, now: float) -> float:
        return task.miss_age(now, self._breaker.epoch)
