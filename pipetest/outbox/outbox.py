"""The outbox of one term: its parts, wired from top to bottom, and what may be asked of it as a whole."""

from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IReactorTime

from pipetest.domain.interfaces import OutboxListener, Pipedrive, Store, Time
from pipetest.domain.model import Entry, User
from pipetest.domain.template import CurrentTemplate, DealShape
from pipetest.outbox.breaker import CircuitBreaker
from pipetest.outbox.delivery import Delivery
from pipetest.outbox.dispatcher import Dispatcher
from pipetest.outbox.first_creates import FirstCreates
from pipetest.outbox.intake import Intake
from pipetest.outbox.progress import Progress
from pipetest.outbox.queue import TaskQueue
from pipetest.outbox.reconciliation import Reconciliation
from pipetest.outbox.registry import TaskRegistry
from pipetest.outbox.retries import QuarantineRetries
from pipetest.outbox.start_reconciliation import StartReconciliation
from pipetest.outbox.status import OutboxStatus
from pipetest.outbox.template_names import TemplateNames
from pipetest.outbox.worker import Worker

CreateReady = Callable[[int], float]
"""When (monotonic) a create may leave if this many others leave before it; infinite while nobody knows."""


class Outbox:
    """Brings what is recorded into Pipedrive: one organization per user and one deal per gist, never two.

    ``settle`` is in seconds; ``tokens_a_day`` are infinite while nobody tells them; ``template`` is what records look
    like. In a ``dry_run`` it only says what it would create.
    """

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
        dry_run: bool,
        tokens_a_day: Callable[[], float],
        template: CurrentTemplate,
    ) -> None:
        self.breaker = breaker = CircuitBreaker()
        self.tasks = tasks = TaskRegistry(breaker)
        self.status = OutboxStatus(tasks, breaker, time)
        self.queue = queue = TaskQueue(tasks, breaker, lambda: template.value.needs_text)
        progress = Progress(tasks, queue, store, time, listener, settle)
        self._intake = intake = Intake(tasks, queue, progress, store, time, clock, dry_run=dry_run)
        self._names = names = TemplateNames(template, queue, breaker, progress, pipedrive, store, time)
        self._start_reconciliation = start_reconciliation = StartReconciliation(
            tasks, queue, breaker, progress, intake, pipedrive, store, time, tokens_a_day, dry_run=dry_run
        )
        reconciliation = Reconciliation(
            tasks, breaker, progress, intake, start_reconciliation, pipedrive, store, time, dry_run=dry_run
        )
        self._first_creates = first_creates = FirstCreates(
            tasks, queue, progress, pipedrive, store, time, template, dry_run=dry_run
        )
        delivery = Delivery(breaker, progress, reconciliation, first_creates, names, pipedrive, store, time)
        worker = Worker(
            breaker,
            progress,
            names,
            start_reconciliation,
            reconciliation,
            first_creates,
            delivery,
            time,
            dry_run=dry_run,
        )
        self._retries = retries = QuarantineRetries(tasks, progress, time)
        self._dispatcher = Dispatcher(
            tasks,
            queue,
            breaker,
            progress,
            worker,
            retries,
            store,
            time,
            clock,
            lambda: create_ready(delivery.not_yet_sent),
        )
        self._time = time

    # --- its life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Load what is unfinished, and begin."""
        await self._start_reconciliation.begin()
        await self._first_creates.begin()
        await self._names.begin()
        await self._dispatcher.load()
        await self._intake.load()
        self._dispatcher.start()

    async def stop(self) -> None:
        """Start nothing more; returns when what is under way has ended."""
        await self._dispatcher.stop()

    # --- what it is given to do ---------------------------------------------------------------------------------------

    def enqueue(self, user: User, entries: Sequence[Entry]) -> None:
        """Go on with the gists that a pass has just recorded, except those that are skipped."""
        self._intake.recorded(user, entries)
        self.wake()

    def skipped_no_more(self, entries: Sequence[Entry]) -> None:
        """Go on with gists that were skipped and are wanted now; of some a deal was found, and they are done."""
        self._intake.skipped_no_more(entries)
        self.wake()

    def texts_known(self, entries: Sequence[Entry]) -> None:
        """What these gists say was not known when they were enqueued, and is known now."""
        self._intake.texts_known(entries)
        self.wake()

    def wake(self) -> None:
        """Decide anew what may start: something has changed that the outbox does not notice by itself."""
        self._dispatcher.wake()

    # --- what people ask of it ----------------------------------------------------------------------------------------

    async def set_paused(self, paused: bool) -> None:
        """Create nothing until told otherwise, over restarts too; returns when that is stored."""
        await self._dispatcher.set_paused(paused)

    def retry(self, name: str) -> bool:
        """Try what is in quarantine again now: the gist of this id, or this user's organization; False if there is no
        such record in quarantine."""
        found = self._retries.retry(name)
        self.wake()
        return found

    def retry_all(self) -> None:
        """Try everything in quarantine again, a few at a time."""
        self._retries.retry_all()
        self.wake()

    def look_up_now(self) -> None:
        """Where the template doesn't fit, or is in doubt, see at once whether it fits now."""
        self._names.look_up_now()
        self.wake()

    def template_changed(self) -> None:
        """Another template may be in force, for what is created from now on."""
        self._names.template_changed()
        self._first_creates.template_changed()
        self.queue.put_all(self._time.monotonic())  # a gist may have waited for its text
        self.look_up_now()

    # --- how it stands ------------------------------------------------------------------------------------------------

    @property
    def paused(self) -> bool:
        """Whether people have paused creation."""
        return self._dispatcher.paused

    @property
    def leaves_room(self) -> bool:
        """Whether reading besides delays no create."""
        return self._dispatcher.leaves_room

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
