"""Which action is next. Pure.

Of four creates, three are of the newest gist that is due, so that a backfill of thousands does not delay what is fresh;
the fourth is of the organization served longest ago, so that nobody waits for ever.

Tasks hold the truth. What is due, and what will be, are only hints, checked when they come up, so an outdated one does
no harm. Moments are monotonic seconds.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping

from pipetest.domain.model import Done, Quarantined
from pipetest.outbox.actions import (
    Action,
    CreateDeal,
    CreateOrganization,
    FindOrganizations,
    LookUpNames,
    ReadBack,
    ReconcileDeals,
    ReconcileStore,
)
from pipetest.outbox.breaker import CircuitBreaker
from pipetest.outbox.hints import Hints
from pipetest.outbox.pause import Pause
from pipetest.outbox.prerequisites import AnyTask, FirstTask, NamesTask, StoreTask
from pipetest.outbox.registry import TaskRegistry, tried_at
from pipetest.outbox.rules import is_fresh, ready_organization
from pipetest.outbox.tasks import NEVER, DealTask, Kind, OrganizationTask, Task


class TaskQueue:
    """Of all ``tasks``, which is next. While deals are made of what gists say, as ``needs_text`` tells, none is created
    before that is known."""

    def __init__(
        self, tasks: TaskRegistry, breaker: CircuitBreaker, needs_text: Callable[[], bool] = lambda: False
    ) -> None:
        self._tasks = tasks
        self._breaker = breaker
        self._needs_text = needs_text
        self._store: StoreTask | None = None
        self._store_alone = False
        self._names: NamesTask | None = None
        self._due: defaultdict[OrganizationTask, Hints[Task]] = defaultdict(Hints)  # by priority
        self._newest = Hints[OrganizationTask]()  # those in which something may start, by the newest of it
        self._by_turn = Hints[OrganizationTask]()  # the same, the one served longest ago first
        self._later = Hints[AnyTask]()  # by time
        self._creates = 0  # how many have begun
        self._creating: Counter[Kind] = Counter()  # how many are under way
        self._pauses: Mapping[Kind, Pause | None] = {}  # those under which organizations were offered

    def reconcile_first(self, task: StoreTask) -> None:
        """Nothing else goes on before this task has, and it goes on only once something else could."""
        self._store = task

    def reconcile_alone(self) -> None:
        """It goes on though nothing else could: what Pipedrive holds may show that something is wanted."""
        self._store_alone = True

    def store_reconciled(self) -> None:
        self._store = None

    def look_up_before_creates(self, task: NamesTask | None) -> None:
        """Nothing is created, and the store not reconciled, before it is known what the template names, a stamp among
        it; None: it names nothing."""
        self._names = task

    def read_back(self, task: FirstTask, now: float) -> None:
        """Nothing else goes on before it was seen."""
        self._tasks.first_created(task)
        self.put(task, now)

    def put(self, task: AnyTask, now: float) -> None:
        """Look at the task again once it is due and its organization may go on. Of an organization that is due, all
        gists are looked at, and none before: an outage that postpones it again and again costs the same with one gist
        and with thousands."""
        if isinstance(task, FirstTask | StoreTask | NamesTask):  # it goes on with the next action that could
            if now < task.ready < NEVER:
                self._later.put(task, task.ready)
            return
        if isinstance(task, OrganizationTask) and task.has_all:
            return  # so are most of ten thousand at a start
        self._put(task, now)
        if isinstance(task, OrganizationTask) and task.ready <= now:
            for deal in task.deals.values():
                self._put(deal, now)
        self._offer(task.organization_task, now)

    def put_all(self, now: float) -> None:
        """Look at all tasks of organizations and gists again."""
        for organization in self._tasks.organizations():
            self.put(organization, now)

    def _put(self, task: Task, now: float) -> None:
        if isinstance(task, DealTask) and isinstance(task.state, Done):
            return  # nothing is left to do
        due = self._due[task.organization_task]
        if task.due <= now:
            self._later.discard(task)
            due.put(task, -task.priority)
        else:
            due.discard(task)
            if task.due != NEVER:
                self._later.put(task, task.due)

    def start(self, action: Action) -> None:
        """The action begins."""
        for task in action.tasks:
            task.start()
        if isinstance(action, CreateDeal | CreateOrganization):
            self._creates += 1
            self._creating[action.task.kind] += 1
            action.task.organization_task.served(self._creates)

    def finish(self, action: Action, now: float) -> None:
        """The action has ended: its tasks may go on, and an organization's gists as well."""
        if isinstance(action, CreateDeal | CreateOrganization):
            self._creating[action.task.kind] -= 1
        for task in action.tasks:
            task.finish()
            self.put(task, now)

    def next_action(self, now: float) -> Action | None:
        """The next action that may start; None while none may."""
        if any(task is not None and task.in_progress for task in (self._store, self._names)):
            return None
        while self.next_due() <= now:
            self.put(self._later.pop(), now)
        if self._tasks.firsts:
            ready = (task for task in self._tasks.firsts.values() if task.ready <= now and not task.in_progress)
            return next(map(ReadBack, ready), None)
        alone = dict.fromkeys(kind for kind in self._tasks.alone if self._creating[kind])
        if self._pauses != (pauses := {**alone, **self._breaker.pauses}):
            self._pauses = pauses
            for organization in self._tasks.organizations():
                self._offer(organization, now)
        probes = (self._probe(kind, now) for kind in self._pauses)
        action = next((probe for probe in probes if probe is not None), None) or self._next_offered(now)
        return self._first(action, now)

    def _first(self, action: Action | None, now: float) -> Action | None:
        """This action; or what has to be done before it, and this one comes up again afterwards."""
        before = self._before(action, now)
        if before is None:
            return action
        for task in () if action is None else action.tasks:
            self.put(task, now)
        if isinstance(before, StoreTask) and any(self._creating.values()):
            return None  # what ends meanwhile would be found as well, and be done twice
        if before.due > now:
            self.put(before, now)
            return None
        return ReconcileStore(before) if isinstance(before, StoreTask) else LookUpNames(before)

    def _before(self, action: Action | None, now: float) -> StoreTask | NamesTask | None:
        store = self._store if action is not None or self._store_alone else None
        names = self._names if store is not None or isinstance(action, CreateDeal | CreateOrganization) else None
        return names if names is not None and (names.due <= now or not names.known) else store

    def _next_offered(self, now: float) -> Action | None:
        order = self._by_turn if self._is_fair_turn else self._newest
        while order.first() is not None:
            organization = order.pop()
            may_start = self._may_start(organization, now)
            action = self._action(self._due[organization].pop(), now) if may_start else None
            self._offer(organization, now)
            if action is not None:
                return action
        return None

    def refused_to_retry(self, now: float) -> Task | None:
        """Of what is in quarantine, the record that was refused longest ago, where nothing else could show whether a
        pause is over; but none that a dry run has told of, as that never goes on."""
        everywhere = self._breaker.retries_refused
        refused = [
            task
            for task in self._tasks.quarantined.values()
            if not task.in_progress
            and task.due != NEVER
            and (everywhere or self._is_put_off(task.organization_task, now))
        ]
        return min(refused, key=tried_at, default=None)

    @property
    def _is_fair_turn(self) -> bool:
        """Whether the organization served longest ago is next: with every fourth create, and with every probe."""
        return self._creates % 4 == 3 or not self._breaker.closed

    def _is_put_off(self, organization: OrganizationTask, now: float) -> bool:
        pause = organization.pause
        may_start = organization.ready <= now and not organization.is_full
        return pause is not None and pause.retries_refused and may_start

    def _offer(self, organization: OrganizationTask, now: float) -> None:
        """Consider the organization if something may start in it now, or else when it may."""
        first, ready = self._due[organization].first(), organization.ready
        if first is not None and self._may_start(organization, now):
            self._newest.put(organization, first)
            self._by_turn.put(organization, organization.turn)
            return
        self._newest.discard(organization)
        self._by_turn.discard(organization)
        if now < ready < NEVER and (first is not None or organization.pause is not None):
            self._later.put(organization, ready)

    def _may_start(self, organization: OrganizationTask, now: float) -> bool:
        """Whether what is due in the organization may start now: while it is looked for, or created, nothing may."""
        if organization.ready > now or organization.is_full or self._due[organization].first() is None:
            return False
        if organization.in_progress and ready_organization(organization.organization) is None:
            return False
        return not self._pauses or self._next_create(organization, now) not in self._pauses

    def _next_create(self, organization: OrganizationTask, now: float) -> Kind | None:
        """Which kind of record would be created here next; None where Pipedrive is searched first."""
        if ready_organization(organization.organization) is not None:
            return "deal"
        searched = not isinstance(organization.state, Done) and is_fresh(self._miss_age(organization, now))
        return "organization" if searched else None

    def _probe(self, kind: Kind, now: float) -> Action | None:
        """What shows whether a kind of record may be created again: the probe, or something of the organization served
        longest ago."""
        breaker = self._breaker.kinds[kind]
        if not breaker.allows(now) or self._creating[kind]:
            return None
        if breaker.probe is not None:
            probe = self._tasks.get(breaker.probe)
            if probe is not None and not isinstance(probe.state, Quarantined):
                return self._action(probe, now) if probe.ready <= now else None
            breaker.release_probe([breaker.probe])
        for organization in sorted(self._tasks.waiting_for(kind), key=lambda task: task.turn):
            due = self._due[organization]
            while due.first() is not None and organization.ready <= now and not organization.is_full:
                if (action := self._action(due.pop(), now)) is not None:
                    return action
        return None

    def next_due(self) -> float:
        """When something that is not due yet will be."""
        first = self._later.first()
        return NEVER if first is None else first

    @property
    def hints(self) -> int:
        """How many hints are kept: not many more than there are tasks."""
        return sum(map(len, self._due.values())) + len(self._newest) + len(self._by_turn) + len(self._later)

    def _action(self, task: Task, now: float) -> Action | None:
        if task.due > now:
            self.put(task, now)
            return None
        if isinstance(task, OrganizationTask):
            return self._organization_action(task, now)
        if task.in_progress or self._tasks.get(task.key) is None:
            return None
        organization_id = ready_organization(task.parent.organization)
        if organization_id is None or task.needs_search(now, self._breaker.epoch):
            return self._organization_action(task.parent, now)
        if task.text is None and self._needs_text():
            return None  # it is put again when that is known
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
                return FindOrganizations([t for t in self._tasks.without_organization() if self._must_find(t, now)])

    def _reconcile_deals(self, parent: OrganizationTask, organization_id: int, now: float) -> ReconcileDeals | None:
        due = [deal for deal in parent.deals.values() if deal.due <= now and not deal.in_progress]
        reconciled = ready_organization(parent.organization) is not None
        unseen = [deal for deal in due if not reconciled or deal.needs_search(now, self._breaker.epoch)]
        return ReconcileDeals(parent, organization_id, unseen) if unseen else None

    def _must_find(self, task: OrganizationTask, now: float) -> bool:
        return task.due <= now and not task.in_progress and not is_fresh(self._miss_age(task, now))

    def _miss_age(self, task: Task, now: float) -> float:
        return task.miss_age(now, self._breaker.epoch)
