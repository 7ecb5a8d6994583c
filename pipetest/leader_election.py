"""One instance of several does the work: whoever holds the lock. The others look on, ready to take over."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from pipetest.daemon import STOP_GRACE_S, Work
from pipetest.domain.errors import Unavailable, Unstored
from pipetest.domain.interfaces import Command
from pipetest.runtime.shutdown import ended

EVERY_S = 1.0
"""The lock is used, or tried for, so often: whoever holds it and is silent for five seconds loses it."""

ABORT_S = 0.0
"""What is under way when the lock is lost is cut off at once: its outcome is for the successor to find out."""

PATIENCE_S = 60.0
"""What then still waits for the database or for a connection's end may do so: where the network is the reason why the
lock was lost, it takes long."""


class Lease(Protocol):
    """What one instance holds at a time."""

    def on_lost(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called whenever the lease turns out to be lost."""

    async def acquire(self) -> bool:
        """Try to get it; whether it is ours."""

    async def renew(self) -> Sequence[Command]:
        """Keep it; returns the commands that wait for whoever holds it."""

    async def acknowledge(self, command: Command) -> None:
        """This command is carried out, and waits no more."""

    async def release(self) -> None:
        """Let others have it."""


class Job(Protocol):
    """The work of one who holds the lock, made anew for each time that it is taken."""

    @property
    def work(self) -> Work: ...

    async def obey(self, order: Command) -> None: ...


J = TypeVar("J", bound=Job)


class LeaderElection(Generic[J]):
    """Begins the work of ``job`` when the lock is taken, and ends it when it is lost. In between ``job`` rests."""

    _log = Logger()

    def __init__(self, lock: Lease, make: Callable[[], J], clock: IReactorTime) -> None:
        self.job = make()
        self._lock = lock
        self._make = make
        self._clock = clock
        self._begun: Deferred[None] | None = None
        self._obeyed: Deferred[None] = succeed(None)
        self._ending: Deferred[None] | None = None
        self._stopping = False
        self._loop = LoopingCall(self._tick)
        self._loop.clock = clock
        self._stopped: Deferred[LoopingCall] | None = None
        lock.on_lost(self._lost)

    @property
    def leads(self) -> bool:
        return self._begun is not None and self._ending is None

    async def begin(self) -> None:
        self._stopped = self._loop.start(EVERY_S)

    async def end(self, grace_s: float) -> bool:
        """End the work as :meth:`Work.end` does; the lock is kept until that is done."""
        self._stopping = True
        if self._ending is None:
            all_ended = await self._end_work(grace_s, STOP_GRACE_S)
        else:  # nothing of a lost lock's work can be stored any more
            all_ended = await ended("what the lost lock left", self._ending, STOP_GRACE_S, self._clock)
        if self._stopped is not None:
            self._loop.stop()
            await ended("the lock's use", self._stopped, STOP_GRACE_S, self._clock)
        return all_ended

    async def _tick(self) -> None:
        try:
            if self.leads:
                await self._lead()
            elif self._ending is None and not self._stopping:
                await self._follow()
        except Exception:
            self._log.failure("looking after the lock failed; tried again in {wait_s:g} s", wait_s=EVERY_S)

    async def _follow(self) -> None:
        if await self._lock.acquire() and not self._stopping:
            self._log.info("this instance scans from now on")
            self._begun = Deferred.fromCoroutine(self.job.work.begin())
            self._begun.addErrback(self._not_begun)

    async def _lead(self) -> None:
        """What is asked for waits until the work has begun, and what was asked for before is done. It is done beside
        this: the lock has to be used on time, however long that takes."""
        orders = await self._lock.renew()
        if self._at_work and self._obeyed.called:
            self._obeyed = Deferred.fromCoroutine(self._obey(self.job, orders))

    @property
    def _at_work(self) -> bool:
        return self.leads and not self._stopping and self._begun is not None and self._begun.called

    async def _obey(self, job: J, orders: Sequence[Command]) -> None:
        try:
            for order in orders:
                self._log.info("asked for: {what} {about}", what=order.what, about=order.about)
                await job.obey(order)
                await self._lock.acknowledge(order)
        except Unstored:
            self._log.debug("the lock was lost while orders were obeyed")
        except Exception:
            self._log.failure("an order was not obeyed; tried again in {wait_s:g} s", wait_s=EVERY_S)

    def _not_begun(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            self._log.debug("ended before it began")
            return
        if failure.check(Unavailable):
            self._log.error("the work could not begin, it is left to others: {reason}", reason=str(failure.value))
        else:
            self._log.failure("the work could not begin; it is left to others", failure)
        self._give_up(self._lock.release())

    def _lost(self) -> None:
        if self.leads and not self._stopping:
            self._log.error("the lock is lost: this instance neither scans nor creates any more")
            self._give_up(None)

    def _give_up(self, first: Awaitable[None] | None) -> None:
        self._ending = Deferred()
        replaced = Deferred.fromCoroutine(self._replace(first, self._ending))
        replaced.addErrback(lambda failure: self._log.failure("this instance will not scan again", failure))

    async def _replace(self, first: Awaitable[None] | None, over: Deferred[None]) -> None:
        """Nothing of the work may be left when its successor begins, here as elsewhere."""
        if first is not None:
            await first
        if not await self._end_work(ABORT_S, PATIENCE_S):
            self._log.error("the work does not end: this instance will not scan again until it is restarted")
            return
        self.job = self._make()
        self._begun = self._ending = None
        over.callback(None)

    async def _end_work(self, grace_s: float, patience_s: float) -> bool:
        if self._begun is not None:
            self._begun.cancel()
        return await self.job.work.end(grace_s, patience_s)
