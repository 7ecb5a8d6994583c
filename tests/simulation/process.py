"""What one life of the daemon stands on: its time, its thread, its connections. Once it is dead, nothing of it runs."""

from collections.abc import Callable
from random import Random
from typing import Any, Protocol, TypeVar

from attrs import define
from twisted.internet.base import DelayedCall
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

from pipetest.domain.errors import Stopping, Unanswered
from pipetest.domain.interfaces import Time
from pipetest.domain.model import Reply, Request
from pipetest.sandbox.calls import HeldReplies
from pipetest.sandbox.in_process import InProcessExchange
from pipetest.sandbox.service import Service
from tests.simulation.clock import JumpingClock
from tests.simulation.crash_plan import AFTER, BEFORE
from tests.support.simulated_disk import Crash

T = TypeVar("T")

AT_LEAST_S = 1e-6
"""Time passes on a real machine, however little there is to wait for: what waits for less would wait for ever."""


CONNECTS_S = 0.05
"""From the wish to create something to its body."""


@implementer(IReactorTime)
class Process:
    """A process: what it put off happens while it lives. ``wall`` is its machine's clock on the wall."""

    def __init__(self, clock: JumpingClock, wall: Callable[[], float], random: Random) -> None:
        booted_at = clock.seconds() - random.uniform(0.0, 1e6)
        self._clock = clock
        self._buried: list[object] = []
        self.alive = True
        self.time = Time(wall, lambda: clock.seconds() - booted_at)

    def seconds(self) -> float:
        return self._clock.seconds()

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kwargs: object) -> IDelayedCall:  # noqa: A002
        if self.alive:
            return self._clock.callLater(delay + AT_LEAST_S, self._call, callable, args, kwargs)
        at = self.seconds() + delay
        never = DelayedCall(at, callable, args, kwargs, lambda _: None, lambda _: None, self.seconds)
        self._buried.append(never)
        return never

    def getDelayedCalls(self) -> list[DelayedCall]:
        return [call for call in self._clock.calls if call.func == self._call]

    def _call(self, call: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self.alive:
            call(*args, **kwargs)

    def freeze(self, seconds: float) -> None:
        """Nothing happens in it for so long; then all that was due meanwhile, in its order."""
        thaws_at = self.seconds() + seconds
        for call in self.getDelayedCalls():
            if call.getTime() < thaws_at:
                self._clock.postpone(call, thaws_at)

    def die(self) -> None:
        """At once. What waits is kept, unfired: to let go of it would run the ``finally`` of who waits for it. What is
        running comes to its end, and reaches nothing any more."""
        self.alive = False
        for call in self.getDelayedCalls():
            call.canceller = lambda _: None
            self._buried.append(call)
        self._clock.calls[:] = [call for call in self._clock.calls if call.func != self._call]

    def never(self) -> "Deferred[None]":
        """What a dead process waits for."""
        waiting: Deferred[None] = Deferred()
        self._buried.append(waiting)
        return waiting


class ProcessObserver(Protocol):
    """Whose process this is."""

    def strikes(self, moment: str, request: Request, /) -> bool:
        """Whether the process dies at this moment."""

    def died(self) -> None:
        """The thread has met the process's end on the disk."""

    def worked(self) -> None:
        """The thread has done a piece of work, and the reactor knows."""

    def replied(self, service: str, request: Request, reply: Reply | None, /) -> None:
        """An exchange has ended; None: without a usable answer."""


MayCreate = Callable[[], bool]


@define(eq=False)
class StoreThread:
    """The store's thread: what it does takes a while; a crash in it is the end of the process."""

    _process: Process
    _random: Random
    _watcher: ProcessObserver

    def start(self) -> None: ...

    def run(self, work: Callable[[], T]) -> "Deferred[T]":
        done: Deferred[T] = Deferred()
        self._process.callLater(self._a_while(), self._work, work, done)
        return done

    def _work(self, work: Callable[[], T], done: "Deferred[T]") -> None:
        result: T | Failure
        try:
            result = work()
        except Crash:
            self._watcher.died()
            return
        except Exception:
            result = Failure()
        self._process.callLater(self._a_while(), self._end, done, result)

    def _end(self, done: "Deferred[T]", result: T | Failure) -> None:
        done.callback(result)
        self._watcher.worked()

    def _a_while(self) -> float:
        """Milliseconds as a rule; now and then so long that the store takes a rest, or says that it is stuck."""
        return self._random.choices((0.0, 0.004, 0.2, 40.0), (300, 9000, 600, 5))[0] * self._random.random()


class SimulatedExchange:
    """The connections of one process with one service. Where ``may_create`` is given, it takes a while until a body
    leaves, if it still may."""

    def __init__(
        self,
        process: Process,
        service: Service,
        held_replies: HeldReplies,
        watcher: ProcessObserver,
        may_create: MayCreate | None = None,
    ) -> None:
        self._process = process
        self._service = service.name
        self._exchange = InProcessExchange(service, process, held_replies)
        self._watcher = watcher
        self._may_create = may_create
        self._under_way: dict[Deferred[Reply], Request] = {}
        self._closing = False

    async def __call__(self, request: Request, /) -> Reply:
        if self._closing:
            raise Stopping(f"{self._service}: not asked, the daemon stops")
        if not self._process.alive or self._watcher.strikes(BEFORE, request):
            await self._process.never()
        exchange = Deferred.fromCoroutine(self._sent(request))
        self._under_way[exchange] = request
        if self._watcher.strikes(AFTER, request):
            await self._process.never()
        try:
            reply = await exchange
        except (Unanswered, TimedOut, CancelledError):
            self._watcher.replied(self._service, request, None)
            raise Unanswered(self._service, "no whole answer") from None
        finally:
            del self._under_way[exchange]
        self._watcher.replied(self._service, request, reply)
        return reply

    async def _sent(self, request: Request) -> Reply:
        if request.body is not None and self._may_create is not None:
            await deferLater(self._process, CONNECTS_S)
            if not self._may_create():
                raise Unanswered(self._service, "not sent, another instance may have taken over")
        return await self._exchange(request)

    async def close(self, grace_s: float, /) -> None:
        self._closing = True
        await DeferredList([exchange.addTimeout(grace_s, self._process) for exchange in self._under_way])
