"""Brings what is recorded into Pipedrive: one organization per user and one deal per gist, never two.

It is woken by what is recorded, by what comes due and by what ends; it never polls. Which action is next is decided in
:mod:`pipetest.outbox.queue`, whether it may start in :mod:`pipetest.outbox.breaker`.
"""

from collections.abc import Callable, Collection, Sequence
from math import inf

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from pipetest.domain.errors import Denied, RateLimited, ServiceError, Stopping, Transient, Unavailable, Unstored
from pipetest.domain.interfaces import OutboxListener, Pipedrive, Store, Time
from pipetest.domain.model import Done, Entry, Skipped, State, User, Wanted, key
from pipetest.domain.template import CurrentTemplate, DealShape
from pipetest.outbox import rules
from pipetest.outbox.breaker import CircuitBreaker
from pipetest.outbox.delivery import Delivery
from pipetest.outbox.first_creates import FirstCreates
from pipetest.outbox.pause import FAILURE_THRESHOLD
from pipetest.outbox.progress import Progress
from pipetest.outbox.queue import (
    Action,
    CreateDeal,
    CreateOrganization,
    FindOrganizations,
    LookUpNames,
    ReadBack,
    ReconcileDeals,
    ReconcileStore,
    TaskQueue,
)
from pipetest.outbox.recognition import is_long_id
from pipetest.outbox.reconciliation import Reconciliation
from pipetest.outbox.registry import TaskRegistry
from pipetest.outbox.retries import QuarantineRetries
from pipetest.outbox.start_reconciliation import StartReconciliation
from pipetest.outbox.tasks import NEVER, DealTask, OrganizationTask, Task
from pipetest.outbox.template_names import TemplateNames
from pipetest.runtime.alarm import Alarm

MAX_CONCURRENT = 40
"""Actions under way at most: enough to fill the largest burst limit that an API token has (120 in 2 s) at answers of
half a second, few enough that a crash leaves little to search for."""

LOADED_AT_ONCE = 500
"""Gists loaded in one turn of the reactor, in a few milliseconds. There may be a hundred thousand of them, and visitors
are answered in between."""

PAUSED = "paused"
"""The store's name for whether people have paused creation."""

AHEAD_S = 0.5
"""A create starts this long before its request may go: ``sent`` has to be on disk by then."""

LONGEST_CREATE_WAIT_S = 5.0
"""A create that has to wait for longer is taken back: by then people may have paused creation, or a newer gist come."""

CreateReady = Callable[[int], float]
"""When (monotonic) a create may leave if this many others leave before it; infinite while nobody knows."""


class Dispatcher:
    """Starts what is due. ``settle`` is in seconds; in a ``dry_run`` it only says what it would create.
    ``template`` is what that looks like.

    An action is chosen only once its request can leave, as ``create_ready`` tells: chosen sooner, it would keep a newer
    gist waiting.
    """

    _log = Logger()

    def __init__(
        self,
        pipedrive: Pipedrive,
        store: Store,
        time: Time,
        clock: IReactorTime,
        create_ready: CreateReady,
        listener: OutboxListener,
        *,
        settle: float,
        dry_run: bool = False,
        tokens_a_day: Callable[[], float] = lambda: inf,
        template: CurrentTemplate,
    ) -> None:
        self.breaker = breaker = CircuitBreaker()
        self.tasks = tasks = TaskRegistry(breaker)
        self.queue = queue = TaskQueue(tasks, breaker, lambda: template.value.needs_text)
        self._progress = progress = Progress(tasks, queue, store, time, listener, settle)
        self._start_reconciliation = start_reconciliation = StartReconciliation(
            tasks,
            queue,
            breaker,
            progress,
            pipedrive,
            store,
            time,
            tokens_a_day,
            self.skipped_no_more,
            dry_run=dry_run,
        )
        self._reconciliation = reconciliation = Reconciliation(
            tasks,
            breaker,
            progress,
            start_reconciliation,
            pipedrive,
            store,
            time,
            self.skipped_no_more,
            dry_run=dry_run,
        )
        self._first_creates = first_creates = FirstCreates(
            tasks, queue, progress, pipedrive, store, time, template, dry_run=dry_run
        )
        self._names = names = TemplateNames(template, queue, breaker, pipedrive, store, time)
        self._delivery = Delivery(breaker, progress, reconciliation, first_creates, names, pipedrive, store, time)
        self._retries = QuarantineRetries(tasks, progress, time)
        self.paused = False
        self._store = store
        self._time = time
        self._clock = clock
        self._create_ready = create_ready
        self._dry_run = dry_run
        self._running = False
        self._with_skipped: set[str] = set()
        self._under_way: set[Deferred[None]] = set()
        self._alarm = Alarm(self._dispatch, clock)

    # --- its life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Load what is unfinished and begin. What was left ``sent`` waits out the settle time from now on."""
        await self._start_reconciliation.begin()
        await self._first_creates.begin()
        await self._names.begin()
        self.paused = bool(await self._store.get_value(PAUSED))
        self._have_skipped(await self._store.skipped_counts())
        users = {key(user.name): user for user in await self._store.users()}
        for user in users.values():
            if not isinstance(user.organization.state, Wanted):  # else a gist that waits, or a pass, brings it
                self._find_or_add_organization(user)
        for number, entry in enumerate(await self._store.open_entries()):
            if number and not number % LOADED_AT_ONCE:
                await deferLater(self._clock, 0)
            self._add_deal(self._find_or_add_organization(users[key(entry.user)]), entry)
        self._running = True
        self._alarm.wake()

    async def stop(self) -> None:
        """Start nothing more; returns when what is under way has ended."""
        self._running = False
        self._alarm.stop()
        await DeferredList(list(self._under_way))

    # --- what it is given to do ---------------------------------------------------------------------------------------

    def enqueue(self, user: User, entries: Sequence[Entry]) -> None:
        """Make tasks of the gists that a pass has just recorded, except those that are skipped. A user who has any gets
        no organization before a deal is wanted."""
        if any(isinstance(entry.deal, Skipped) for entry in entries):
            self._have_skipped([key(user.name)])
        if key(user.name) not in self._with_skipped:
            self._find_or_add_organization(user)
        for entry in entries:
            if isinstance(entry.deal, Done):
                self._progress.adopted_when_recorded(entry, entry.deal.id or 0)
            elif not isinstance(entry.deal, Skipped):
                self._add_deal(self._find_or_add_organization(user), entry)
        self._alarm.wake()

    def _have_skipped(self, users: Collection[str]) -> None:
        """Gists of these users are skipped; deals in Pipedrive that the store does not know may show them wanted."""
        self._with_skipped.update(users)
        if users and self._store.unreconciled:
            self.queue.reconcile_alone()

    def skipped_no_more(self, entries: Sequence[Entry]) -> None:
        """Make tasks of gists that were skipped and are wanted now; of some a deal was found, and they are done."""
        self._progress.skipped_no_more(entries)
        for entry in entries:
            if isinstance(entry.deal, Wanted):
                self._add_deal(self._find_or_add_organization(User(entry.user)), entry)
        self._alarm.wake()

    def texts_known(self, entries: Sequence[Entry]) -> None:
        """What these gists say was not known when they were enqueued, and is known now."""
        for entry in entries:
            if (task := self.tasks.deal(entry.gist.id)) is not None:
                task.learn(entry)
                self.queue.put(task, self._time.monotonic())
        self._alarm.wake()

    def look_up_now(self) -> None:
        """Where the template doesn't fit, or is in doubt, see at once whether it fits now."""
        self._progress.retry_now(self._names.look_up_now())
        self._alarm.wake()

    def template_changed(self) -> None:
        """Another template may be in force, for what is created from now on."""
        self._names.template_changed()
        self._first_creates.template_changed()
        for organization in self.tasks.organizations():  # a gist in it may have waited for its text
            self.queue.put(organization, self._time.monotonic())
        self.look_up_now()

    def wake(self) -> None:
        """Decide anew what may start: something has changed that the outbox does not notice by itself."""
        self._alarm.wake()

    async def set_paused(self, paused: bool) -> None:
        """Create nothing until told otherwise, over restarts too; returns when that is stored."""
        self.paused = paused
        self.breaker.new_epoch()
        self._alarm.wake()
        await self._store.put_value(PAUSED, paused)

    def retry(self, name: str) -> bool:
        """Try what is in quarantine again now: the gist of this id, or this user's organization; False if there is no
        such record in quarantine."""
        found = self._retries.retry(name)
        self._alarm.wake()
        return found

    def retry_all(self) -> None:
        """Try everything in quarantine again, a few at a time."""
        self._retries.retry_all()
        self._alarm.wake()

    def _find_or_add_organization(self, user: User) -> OrganizationTask:
        known = self.tasks.organization(user.name)
        if known is not None:
            if user.owner_id is not None:
                known.account_known(user.owner_id)
            return known
        now = self._time.monotonic()
        due = now + self._wait_after_start(user.organization.state)
        task = OrganizationTask(user.name, user.organization, last_seen=now, account=user.owner_id, due=due)
        self.tasks.add_organization(task)
        self.queue.put(task, now)
        return task

    def _add_deal(self, parent: OrganizationTask, entry: Entry) -> None:
        now = self._time.monotonic()
        due = now + self._wait_after_start(entry.deal)
        listed = self.tasks.listed_at is not None and is_long_id(entry.gist.id)
        reconciled = rules.is_reconciled(entry.gist.created_at, parent.organization.reconciled_at, listed=listed)
        task = DealTask(entry, parent, entry.deal, waiting_since=now, reconciled=reconciled, due=due)
        self.tasks.add_deal(task)
        self.queue.put(task, now)
        if self._dry_run and parent.due == NEVER:
            self._report_dry_run(task)

    def _wait_after_start(self, state: State) -> float:
        return rules.wait_after_start(state, self._time.wall(), settle=self._progress.settle)

    @property
    def shape(self) -> DealShape:
        """What records are created with."""
        return self._names.shape

    @property
    def template_in_doubt(self) -> bool:
        """Whether records wait for what the template names to be looked up again."""
        return self._names.in_doubt

    @property
    def reconciling(self) -> str | None:
        """What is being looked for in Pipedrive before anything is created, in words; None while nothing is."""
        return self._start_reconciliation.activity

    @property
    def leaves_room(self) -> bool:
        """Whether nothing is under way, and no create waits for Pipedrive's limits: reading besides delays none."""
        waits = not self.paused and self.tasks.waiting + self.tasks.organizations_waiting > 0
        return not self._under_way and not (waits and self._start_ready() > self._time.monotonic())

    # --- dispatching --------------------------------------------------------------------------------------------------

    def _dispatch(self) -> float:
        """Start whatever may start now; how many seconds until something else may."""
        while self._running:
            now = self._time.monotonic()
            action = self._next_action(now)
            if action is None:
                return self._next_start(now) - self._time.monotonic()
            self._start(action)
        return NEVER

    def _next_action(self, now: float) -> Action | None:
        under_way = len(self._under_way)
        if self.paused or under_way >= MAX_CONCURRENT or not self.breaker.allows(under_way, now):
            return None
        if self._start_ready() > now:
            return None
        action = self.queue.next_action(now)
        if action is None and (task := self.queue.refused_to_retry(now)) is not None:
            self._progress.retry_now([task])
            action = self.queue.next_action(now)
        return action

    def _next_start(self, after: float) -> float:
        """When the next thing comes due after ``after``, the moment of the last choice. That may be past already: what
        has come due since then is yet to be chosen from."""
        kinds = (pause.not_before for pause in self.breaker.pauses.values())
        moments = (self.queue.next_due(), self.breaker.not_before, self._start_ready(), *kinds)
        return min((moment for moment in moments if moment > after), default=NEVER)

    def _start_ready(self) -> float:
        return self._create_ready(self._delivery.not_yet_sent) - AHEAD_S

    def _start(self, action: Action) -> None:
        self.queue.start(action)
        done = Deferred.fromCoroutine(self._run(action))
        self._under_way.add(done)
        done.addBoth(self._action_ended, action, done)

    def _action_ended(self, result: Failure | None, action: Action, done: "Deferred[None]") -> None:
        self._under_way.discard(done)
        if isinstance(result, Failure):
            self._log.failure("an action of the outbox failed; retrying", result, event="action_failed")
            self._progress.postpone(action.tasks)
        self.queue.finish(action, self._time.monotonic())
        self._retries.go_on()
        self._alarm.wake()

    # --- one action ---------------------------------------------------------------------------------------------------

    async def _run(self, action: Action) -> None:
        """From the question to Pipedrive to the stored outcome; raises nothing that can be expected."""
        epoch = self.breaker.epoch
        try:
            await self._carry_out(action, epoch)
        except (Stopping, Unstored, CancelledError):
            self._progress.postpone(action.tasks, NEVER)
            self._log.debug("left as it is: the daemon stops")
        except ServiceError as e:
            self._search_failed(action, e, epoch)
        except Unavailable as e:  # of which the store tells itself
            self._progress.postpone(action.tasks)
            self._log.debug("{reason}; asked again later", reason=str(e))
        else:
            if isinstance(action, FindOrganizations | ReconcileDeals | ReadBack | ReconcileStore | LookUpNames):
                self.breaker.search_answered()

    async def _carry_out(self, action: Action, epoch: int) -> None:
        match action:
            case FindOrganizations(tasks):
                await self._reconciliation.find_organizations(tasks)
            case ReconcileDeals():
                await self._reconciliation.reconcile_deals(action)
            case ReadBack(task):
                await self._first_creates.read_back(task)
            case ReconcileStore(task):
                await self._start_reconciliation.run()
                task.answered()
            case LookUpNames(task):
                await self._names.look_up()
                task.answered()
            case CreateOrganization() | CreateDeal():
                await self._create(action, epoch)

    async def _create(self, action: CreateOrganization | CreateDeal, epoch: int) -> None:
        if self._dry_run:
            self._report_dry_run(action.task)
        elif isinstance(action, CreateOrganization):
            await self._delivery.create_organization(action.task, epoch)
        else:
            await self._delivery.create_deal(action, epoch)

    def _search_failed(self, action: Action, error: ServiceError, epoch: int) -> None:
        self.breaker.search_failed(error, epoch, self._time.monotonic())
        if isinstance(error, Denied):
            return  # the breaker makes it wait
        failure = None if isinstance(error, RateLimited) else error.reason
        self._progress.postpone(action.tasks, error.wait if isinstance(error, Transient) else None, failure)
        attempts = min(task.attempts for task in action.tasks)
        if failure is not None and attempts >= FAILURE_THRESHOLD:
            self.breaker.cannot_search([task.key for task in action.tasks])
        self._log.debug(
            "{what} cannot be looked for in Pipedrive: {reason}; retrying in {wait_s:.0f} s",
            what=action.tasks[0].key,
            reason=error.reason,
            wait_s=min(task.due for task in action.tasks) - self._time.monotonic(),
        )

    def _report_dry_run(self, task: Task) -> None:
        """A dry run ends here for the task, and for the gists that only wait for their organization."""
        self._progress.schedule([task], NEVER)
        self._log.info("dry run: {what} would be created", event="dry_run", what=task.key, **task.about)
        if isinstance(task, OrganizationTask):
            for deal in task.deals.values():
                self._report_dry_run(deal)
