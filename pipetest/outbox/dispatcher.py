"""Starts what is due. It is woken by what is recorded, by what comes due and by what ends; it never polls.

Which action is next is decided in :mod:`pipetest.outbox.queue`, whether it may start in :mod:`pipetest.outbox.breaker`;
:mod:`pipetest.outbox.worker` runs it.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from pipetest.domain.interfaces import Store, Time
from pipetest.outbox.actions import Action
from pipetest.outbox.breaker import CircuitBreaker
from pipetest.outbox.progress import Progress
from pipetest.outbox.queue import TaskQueue
from pipetest.outbox.registry import TaskRegistry
from pipetest.outbox.retries import QuarantineRetries
from pipetest.outbox.tasks import NEVER
from pipetest.outbox.worker import Worker
from pipetest.runtime.alarm import Alarm

MAX_CONCURRENT = 40
"""Actions under way at most: enough to fill the largest burst limit that an API token has (120 in 2 s) at answers of
half a second, few enough that a crash leaves little to search for."""

PAUSED = "paused"
"""The store's name for whether people have paused creation."""

AHEAD_S = 0.5
"""A create starts this long before its request may go: ``sent`` has to be on disk by then."""

LONGEST_CREATE_WAIT_S = 5.0
"""A create that has to wait for longer is taken back: by then people may have paused creation, or a newer gist come."""


class Dispatcher:
    """Starts actions, unless creation is ``paused``.

    An action is chosen only once its request can leave, as ``create_ready`` tells in monotonic seconds: chosen sooner,
    it would keep a newer gist waiting.
    """

    _log = Logger()

    def __init__(
        self,
        tasks: TaskRegistry,
        queue: TaskQueue,
        breaker: CircuitBreaker,
        progress: Progress,
        worker: Worker,
        retries: QuarantineRetries,
        store: Store,
        time: Time,
        clock: IReactorTime,
        create_ready: Callable[[], float],
    ) -> None:
        self.paused = False
        self._tasks = tasks
        self._queue = queue
        self._breaker = breaker
        self._progress = progress
        self._worker = worker
        self._retries = retries
        self._store = store
        self._time = time
        self._create_ready = create_ready
        self._running = False
        self._under_way: set[Deferred[None]] = set()
        self._alarm = Alarm(self._dispatch, clock)

    async def load(self) -> None:
        """Learn whether people have paused creation."""
        self.paused = bool(await self._store.get_value(PAUSED, object))

    def start(self) -> None:
        self._running = True
        self._alarm.wake()

    async def stop(self) -> None:
        """Start nothing more; returns when what is under way has ended."""
        self._running = False
        self._alarm.stop()
        await DeferredList(list(self._under_way))

    def wake(self) -> None:
        """Decide anew what may start."""
        self._alarm.wake()

    async def set_paused(self, paused: bool) -> None:
        """Create nothing until told otherwise, over restarts too; returns when that is stored."""
        self.paused = paused
        self._breaker.new_epoch()
        self._alarm.wake()
        await self._store.put_value(PAUSED, paused)

    @property
    def leaves_room(self) -> bool:
        """Whether nothing is under way, and no create waits for Pipedrive's limits: reading besides delays none."""
        waits = not self.paused and self._tasks.anything_waits
        return not self._under_way and not (waits and self._start_ready() > self._time.monotonic())

    # --- what starts --------------------------------------------------------------------------------------------------

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
        if self.paused or under_way >= MAX_CONCURRENT or not self._breaker.allows(under_way, now):
            return None
        if self._start_ready() > now:
            return None
        action = self._queue.next_action(now)
        if action is None and (task := self._queue.refused_to_retry(now)) is not None:
            self._progress.retry_now([task])
            action = self._queue.next_action(now)
        return action

    def _next_start(self, after: float) -> float:
        """When the next thing comes due after ``after``, the moment of the last choice. That may be past already: what
        has come due since then is yet to be chosen from. What ends wakes the dispatcher besides."""
        kinds = (pause.not_before for pause in self._breaker.pauses.values())
        moments = (self._queue.next_due(), self._breaker.not_before, self._start_ready(), *kinds)
        return min((moment for moment in moments if moment > after), default=NEVER)

    def _start_ready(self) -> float:
        return self._create_ready() - AHEAD_S

    def _start(self, action: Action) -> None:
        self._queue.start(action)
        done = Deferred.fromCoroutine(self._worker.run(action))
        self._under_way.add(done)
        done.addBoth(self._action_ended, action, done)

    def _action_ended(self, result: Failure | None, action: Action, done: "Deferred[None]") -> None:
        self._under_way.discard(done)
        if isinstance(result, Failure):
            self._log.failure("an action of the outbox failed; retrying", result, event="action_failed")
            self._progress.postpone(action.tasks)
        self._queue.finish(action, self._time.monotonic())
        self._retries.go_on()
        self._alarm.wake()
