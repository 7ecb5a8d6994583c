"""One instance of several does the work: whoever holds the lock. The others look on, ready to take over."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from pipetest.errors import Unstored
from pipetest.seams import Order
from pipetest.services import Work

EVERY_S = 1.0
"""The lock is used, or tried for, so often: whoever holds it and is silent for five seconds loses it."""

ABORT_S = 0.0
"""What is under way when the lock is lost is cut off at once: its outcome is for the successor to find out."""


class Lock(Protocol):
    """What one instance holds at a time. ``lost`` is to be set; it is called once the lock turns out to be lost."""

    lost: Callable[[], None]

    async def take(self) -> bool:
        """Try to take it; whether it is ours."""

    async def use(self) -> Sequence[Order]:
        """Keep it; what people ask for by the way."""

    async def obeyed(self, order: Order) -> None: ...

    async def release(self) -> None: ...


class Job(Protocol):
    """The work of one who holds the lock, made anew for each time that it is taken."""

    @property
    def work(self) -> Work: ...

    async def obey(self, order: Order) -> None: ...


J = TypeVar("J", bound=Job)


class Leadership(Generic[J]):
    """Begins the work of ``job`` when the lock is taken, and ends it when it is lost. In between ``job`` rests."""

    _log = Logger()

    def __init__(self, lock: Lock, make: Callable[[], J], clock: IReactorTime) -> None:
        self.job = make()
        self._lock = lock
        self._make = make
        self._begun: Deferred[None] | None = None
        self._ending: Deferred[None] | None = None
        self._stopping = False
        self._loop = LoopingCall(self._tick)
        self._loop.clock = clock
        self._stopped: Deferred[LoopingCall] | None = None
        lock.lost = self._lost

    @property
    def leads(self) -> bool:
        return self._begun is not None and self._ending is None

    async def begin(self) -> None:
        self._stopped = self._loop.start(EVERY_S)

    async def end(self, grace_s: float) -> bool:
        """End the work as :meth:`Work.end` does; the lock is kept until that is done."""
        self._stopping = True
        if self._ending is not None:
            await self._ending
        ended = await self._end_work(grace_s)
        if self._stopped is not None:
            self._loop.stop()
            await self._stopped
        return ended

    async def _tick(self) -> None:
        try:
            if self.leads:
                await self._lead()
            elif self._ending is None and not self._stopping and await self._lock.take():
                self._log.info("this instance scans from now on")
                self._begun = Deferred.fromCoroutine(self._begin())
        except Unstored:
            self._log.debug("the lock was lost while orders were obeyed")
        except Exception:
            self._log.failure("looking after the lock failed; tried again in {wait_s:g} s", wait_s=EVERY_S)

    async def _lead(self) -> None:
        for order in await self._lock.use():
            self._log.info("asked for: {what} {about}", what=order.what, about=order.about)
            await self.job.obey(order)
            await self._lock.obeyed(order)

    async def _begin(self) -> None:
        try:
            await self.job.work.begin()
        except CancelledError:
            self._log.debug("ended before it began")
        except Exception:
            self._log.failure("the work could not begin; it is left to others")
            self._give_up(self._lock.release())

    def _lost(self) -> None:
        if self._begun is not None and self._ending is None:
            self._log.error("the lock is lost: this instance neither scans nor creates any more")
            self._give_up(None)

    def _give_up(self, first: Awaitable[None] | None) -> None:
        self._ending = Deferred.fromCoroutine(self._replace(first))
        self._ending.addErrback(lambda failure: self._log.failure("this instance will not scan again", failure))

    async def _replace(self, first: Awaitable[None] | None) -> None:
        """Nothing of the work may be left when its successor begins, here as elsewhere."""
        if first is not None:
            await first
        if not await self._end_work(ABORT_S):
            self._log.error("the work does not end: this instance will not scan again until it is restarted")
            return
        self.job = self._make()
        self._ending = None

    async def _end_work(self, grace_s: float) -> bool:
        begun, self._begun = self._begun, None
        if begun is not None:
            begun.cancel()
        return await self.job.work.end(grace_s)
