"""The process of one instance: its reactor, which can be frozen and killed. Once it is dead, nothing of it runs."""

from collections.abc import Callable
from math import inf
from random import Random
from typing import Any, Protocol

from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from pipetest.domain.interfaces import Time
from pipetest.domain.model import Reply, Request
from tests.simulation.clock import JumpingClock

SHORTEST_DELAY_S = 1e-6
"""On a real machine time passes, however short the wait: with a delay of none, a loop would not end."""


class ProcessObserver(Protocol):
    """Hears what happens in a process, and decides when it crashes."""

    def crashes_at(self, moment: str, request: Request | None = None, /) -> bool:
        """Whether the process dies at this moment."""

    def crashed(self) -> None:
        """The thread has met a step of the disk at which the process dies."""

    def store_worked(self) -> None:
        """The store's thread has done something, and the reactor knows."""

    def exchange_ended(self, service: str, request: Request, reply: Reply | None, /) -> None:
        """None: without a usable answer."""


@implementer(IReactorTime)
class Process:
    """``wall`` is the machine's wall clock. ``thawed_at``: when the last time ended for which it was frozen."""

    def __init__(self, clock: JumpingClock, wall: Callable[[], float], random: Random) -> None:
        booted_at = clock.seconds() - random.uniform(0.0, 1e6)
        self._clock = clock
        self._unfired: list[object] = []
        self.alive = True
        self.thawed_at = -inf
        self.time = Time(wall, lambda: clock.seconds() - booted_at)

    def seconds(self) -> float:
        return self._clock.seconds()

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kwargs: object) -> IDelayedCall:  # noqa: A002
        if self.alive:
            return self._clock.callLater(delay + SHORTEST_DELAY_S, self._call, callable, args, kwargs)
        at = self.seconds() + delay
        never = DelayedCall(at, callable, args, kwargs, lambda _: None, lambda _: None, self.seconds)
        self._unfired.append(never)
        return never

    def getDelayedCalls(self) -> list[DelayedCall]:
        return [call for call in self._clock.calls if call.func == self._call]

    def _call(self, call: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self.alive:
            call(*args, **kwargs)

    def freeze(self, seconds: float) -> None:
        """For so long nothing happens in it; then everything that became due meanwhile, in order."""
        self.thawed_at = self.seconds() + seconds
        for call in self.getDelayedCalls():
            if call.getTime() < self.thawed_at:
                self._clock.postpone(call, self.thawed_at)

    def clock_set(self, ahead_s: float) -> None:
        """The machine's clock was set this much ahead: a reactor goes by it, so all that waits comes so much earlier.
        Set back by a minute at most, it would only make everything wait for longer."""
        for call in self.getDelayedCalls():
            self._clock.postpone(call, call.getTime() - max(0.0, ahead_s))

    def die(self) -> None:
        """At once: the code that is running now runs on to its end, but reaches nothing any more.

        The calls that wait are kept, as collecting them would run the ``finally`` blocks of whoever waits for them.
        """
        self.alive = False
        for call in self.getDelayedCalls():
            call.canceller = lambda _: None
            self._unfired.append(call)
        self._clock.calls[:] = [call for call in self._clock.calls if call.func != self._call]

    def never(self) -> "Deferred[None]":
        """What the code of a dead process waits for."""
        waiting: Deferred[None] = Deferred()
        self._unfired.append(waiting)
        return waiting
