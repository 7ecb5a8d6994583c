"""The creator: works off the ledger, one organization per user and one deal per gist, never two.

It is woken by what is recorded, by what comes due and by what ends; it never polls. What comes next is decided by
:mod:`pipetest.outbox.queue`, whether it may by :mod:`pipetest.outbox.breaker`; :mod:`pipetest.outbox.worker` does it.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, DeferredList, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from pipetest.domain.errors import Unstored
from pipetest.domain.interfaces import Pipedrive, Store, Time
from pipetest.domain.model import Entry, State, User, key
from pipetest.outbox import rules
from pipetest.outbox.breaker import CircuitBreaker
from pipetest.outbox.queue import Action, DealTask, OrganizationTask, TaskQueue
from pipetest.outbox.worker import NEVER, Worker

MAX_CONCURRENT = 40
"""Pieces of work under way at most: enough to fill the largest burst limit an API token has (120 in 2 s) at answers
of half a second, few enough that a crash leaves little to look for."""


LOADED_AT_ONCE = 500
"""Gists loaded in one turn of the reactor: of the hundred thousand that there may be, a few milliseconds' worth. Then
visitors are answered."""

PAUSED = "paused"
"""The store's note of whether people have paused creation."""


AHEAD_S = 0.5
"""A create begins so long before its request may go: ``sent`` has to be on disk by then."""

PATIENCE_S = 5.0
"""A create that could not leave for longer is taken back: meanwhile people may pause, or a newer gist come."""

LONGEST_SLEEP_S = 3600.0
"""A day's quota ends by the clock on the wall, which may be set."""

ReadyAt = Callable[[int], float]
"""When (monotonic) a create may leave, behind so many others that have yet to; infinite while that is unknown."""


@define(eq=False)
class Dispatcher:
    """Brings what is recorded into Pipedrive. ``settle`` is in seconds; in a ``dry_run`` it says what it would do.

    Nothing begins before its request can leave, as ``ready_at`` tells: so it is the newest gist that goes next.
    ``done`` is told each gist's id and its deal's.
    """

    _pipedrive: Pipedrive
    _store: Store
    _time: Time
    _clock: IReactorTime
    _ready_at: ReadyAt
    _done: Callable[[str, int], None]
    _settle: float = field(kw_only=True)
    _dry_run: bool = field(kw_only=True, default=False)

    breaker: CircuitBreaker = field(init=False)
    queue: TaskQueue = field(init=False)
    worker: Worker = field(init=False)
    paused: bool = field(init=False, default=False)
    _running: bool = field(init=False, default=False)
    _choosing: bool = field(init=False, default=False)
    _chosen_at: float = field(init=False, default=0.0)
    _under_way: set[Deferred[None]] = field(init=False, factory=set)
    _alarm: IDelayedCall | None = field(init=False, default=None)
    _settled: Deferred[None] = field(init=False, factory=lambda: succeed(None))

    _log: ClassVar = Logger()

    def __attrs_post_init__(self) -> None:
        self.breaker = CircuitBreaker(self._time.monotonic)
        self.queue = TaskQueue(lambda: self.breaker.gate.turn)
        self.worker = Worker(
            self.queue,
            self.breaker,
            self._pipedrive,
            self._store,
            self._time,
            self._done,
            settle=self._settle,
            dry_run=self._dry_run,
        )

    # --- its life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Load what is unfinished and begin. What was left ``sent`` waits out the settle time from now on."""
        if self._store.unreconciled:
            # Requests of an earlier life that this store knows nothing of may still surface in Pipedrive.
            self.breaker.gate = self.breaker.gate.held(self._time.monotonic() + self._settle)
            self._log.info("nothing is created for {wait_s:g} s: earlier creates may surface", wait_s=self._settle)
            self._settled = Deferred.fromCoroutine(self._settle_down())
        self.paused = bool(await self._store.get_value(PAUSED))
        if self.paused:
            self._log.warn("creation is paused by people, since an earlier start")
        for user in await self._store.users():
            self._desk(user)
        for number, entry in enumerate(await self._store.open_entries()):
            if number and not number % LOADED_AT_ONCE:
                await deferLater(self._clock, 0)
            self._open_case(self.queue.organizations[f"user {key(entry.user)}"], entry)
        self._running = True
        self._work()

    def enqueue(self, user: User, entries: Sequence[Entry]) -> None:
        """Take on what a pass has just recorded."""
        desk = self._desk(user)
        for entry in entries:
            self._open_case(desk, entry)
        self._work()

    # --- what people ask of it ----------------------------------------------------------------------------------------

    async def pause(self, paused: bool) -> None:
        """Create nothing until told otherwise, over restarts too; returns when that is stored."""
        if paused != self.paused:
            self._log.info("creation is paused" if paused else "creation is resumed")
        self.paused = paused
        self.breaker.gate = self.breaker.gate.turned()
        self._work()
        await self._store.put_value(PAUSED, paused)

    def retry(self, gist_id: str) -> bool:
        """Try a quarantined gist again now; False when there is no such gist in quarantine."""
        case = self.queue.deal(gist_id)
        if case is None or case.key not in self.queue.quarantined:
            return False
        case.due = self._time.monotonic()
        self.queue.queue(case, case.due)
        self._work()
        return True

    # --- its end ------------------------------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Begin nothing more; returns when what is under way has ended."""
        self._running = False
        self._set_alarm()
        self._settled.cancel()
        await DeferredList(list(self._under_way))

    async def _settle_down(self) -> None:
        """Once the settle time is over, the store need not remember that it was opened unmarked."""
        try:
            await deferLater(self._clock, self._settle)
            await self._store.mark_reconciled()
        except (CancelledError, Unstored):
            self._log.debug("stopped before it settled")

    def _desk(self, user: User) -> OrganizationTask:
        now = self._time.monotonic()
        desk = OrganizationTask(user.name, user.organization, due=now + self._due_in(user.organization.state), seen=now)
        if (known := self.queue.organizations.get(desk.key)) is not None:
            return known
        self.queue.add_desk(desk, now)
        return desk

    def _open_case(self, desk: OrganizationTask, entry: Entry) -> None:
        now = self._time.monotonic()
        reconciled = rules.is_reconciled(entry.gist.created_at, desk.organization.reconciled_at)
        case = DealTask(
            entry, desk, entry.deal, due=now + self._due_in(entry.deal), waiting_since=now, reconciled=reconciled
        )
        self.queue.add_case(case, now)
        if desk.due == NEVER:
            self.worker.say_wanted(case)

    def _due_in(self, state: State) -> float:
        return rules.due_in(state, self._time.wall(), settle=self._settle)

    # --- its work -----------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        """Begin whatever may begin now, and set the alarm for the rest."""
        if self._choosing:
            return  # a piece ended at once, inside the loop below: it goes round again anyway
        self._choosing = True
        try:
            while self._running and (piece := self._choose()) is not None:
                self._begin(piece)
        finally:
            self._choosing = False
        self._set_alarm()

    def _choose(self) -> Action | None:
        now = self._chosen_at = self._time.monotonic()
        gate = self.breaker.gate
        if self.paused or len(self._under_way) >= MAX_CONCURRENT or not gate.admits(len(self._under_way), now):
            return None
        if self._ready() > now:
            return None
        if gate.probe is None:
            return self.queue.next(now)
        if (due := self.queue.due(gate.probe)) is not None and due > now:
            return None
        if (piece := self.queue.piece_of(gate.probe, now)) is not None:
            return piece
        self.breaker.gate = gate.without_probe()  # it has come to rest without a create: another takes its part
        return self.queue.next(now)

    def _ready(self) -> float:
        return self._ready_at(self.worker.preparing) - AHEAD_S

    def _begin(self, piece: Action) -> None:
        for item in piece.items:
            item.busy = True
        done = Deferred.fromCoroutine(self.worker.perform(piece))
        self._under_way.add(done)
        done.addBoth(self._ended, piece, done)

    def _ended(self, result: Failure | None, piece: Action, done: "Deferred[None]") -> None:
        self._under_way.discard(done)
        if isinstance(result, Failure):
            self._log.failure("a piece of creation failed; it is tried again", result)
            self.worker.records.put_off(piece.items)
        for item in piece.items:
            item.busy = False
            self.queue.requeue(item, self._time.monotonic())
        self._work()

    def _set_alarm(self) -> None:
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()
        self._alarm = None
        gate = self.breaker.gate
        due = self.queue.wakes() if gate.probe is None else self.queue.due(gate.probe)
        # what has come due since the last choice, a moment ago, was not in it
        wakes = [at for at in (due, gate.opens, self._ready()) if at is not None and self._chosen_at < at < NEVER]
        if self._running and wakes:
            wait = max(0.0, min(wakes) - self._time.monotonic())
            self._alarm = self._clock.callLater(min(LONGEST_SLEEP_S, wait), self._work)
