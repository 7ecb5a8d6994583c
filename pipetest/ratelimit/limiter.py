"""The queue before one API with one key: each request waits here until the API's rate limit lets it go."""

from collections.abc import Awaitable, Callable, Sequence
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from random import Random
from typing import Any, Generic, NamedTuple, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from pipetest.domain.errors import Stopping, Transient, Unsent, Unstored
from pipetest.domain.interfaces import Exchange, Time
from pipetest.domain.model import Reply, Request
from pipetest.domain.status import Quota
from pipetest.ratelimit.policy import Cost, Instant, Permit, RateLimit, SavedLimits
from pipetest.runtime.alarm import Alarm

TICK_S = 0.001
"""Slept longer than asked for: else sums of floats might wake it a hair too early, again and again."""

L = TypeVar("L", bound=RateLimit)

CountAhead = Callable[["RateLimiter[Any]"], Awaitable[bool]]
"""Stores what a limiter has spent; whether that was soon enough for the request that waits for it."""


class _Waiter(NamedTuple):
    """The smallest goes first: reads before creates, then in the order in which they came."""

    creates: bool
    number: int
    cost: Cost
    permit: "Deferred[Permit]"


class RateLimiter(Generic[L]):
    """An :class:`~pipetest.domain.interfaces.Exchange` that sends nothing its rate limit already refuses.

    Reads go before creates, else first come, first served. Waiting here is not part of the exchange's own time limit.
    A create that would have to wait for longer than ``longest_create_wait`` seconds is not sent: what it was decided on
    may not hold. ``count_ahead`` is awaited before each request leaves.
    """

    def __init__(
        self,
        service: str,
        rate_limit: L,
        exchange: Exchange,
        time: Time,
        clock: IReactorTime,
        random: Random,
        *,
        longest_create_wait: float = inf,
        count_ahead: CountAhead | None = None,
    ) -> None:
        self.service = service
        self.rate_limit = rate_limit
        self._exchange = exchange
        self._time = time
        self._random = random
        self._longest_create_wait = longest_create_wait
        self._count_ahead = count_ahead
        self._queue: list[_Waiter] = []
        self._numbers = count()
        self._closed = False
        self._alarm = Alarm(self._start_due, clock)

    async def __call__(self, request: Request) -> Reply:
        """
        :raises Stopping: closed before the request could go.
        :raises Unsent: it would create something, and had to wait for too long.
        :raises Transient: a read had to wait too long for its tokens to be counted.
        """
        cost = self.rate_limit.cost(request)
        permit = await self._permit(cost)
        reply = None
        try:
            await self._counted(cost)
            reply = await self._exchange(request)
            return reply
        finally:
            self.rate_limit = self.rate_limit.finished(permit, reply, self.now(), self._random.random())
            self._alarm.wake()

    async def _counted(self, cost: Cost) -> None:
        if self._count_ahead is None:
            return
        try:
            in_time = await self._count_ahead(self)
        except Unstored as e:
            raise Stopping(str(e)) from None
        if not in_time:
            late = "not sent, its tokens could not be counted for a while"
            raise Unsent(f"{self.service}: {late}") if cost.writes else Transient(self.service, late)

    def ready(self, cost: Cost, ahead: int = 0) -> float:
        """When (monotonic) one more request could go behind all that wait and ``ahead`` others still to come; infinite
        while that depends on what is under way."""
        at = self.now()
        wait = self.rate_limit.wait(cost, len(self._queue) + ahead, at)
        return at.monotonic + max(wait, self._first_wait())  # nobody goes before the first

    def take_back_creates(self) -> None:
        """Those that wait do not go: people may have paused creation, or changed what is created. Each gets
        :class:`~pipetest.domain.errors.Unsent`."""
        self._dismiss(self._removed_creates(), Unsent(f"{self.service}: not sent, taken back"))

    def close(self) -> None:
        """Send nothing more: who waits gets :class:`~pipetest.domain.errors.Stopping`; what is under way goes on."""
        self._closed = True
        self._alarm.stop()
        self._dismiss(self._removed(lambda waiter: True), self._stopping())

    def usage(self) -> Sequence[Quota]:
        """How much of the API's limits is used, for people."""
        return self.rate_limit.usage(self.now())

    def now(self) -> Instant:
        return Instant(self._time.monotonic(), self._time.wall())

    def saved(self) -> SavedLimits:
        """What is to outlive this process."""
        return self.rate_limit.saved(self.now())

    def restore(self, stored: object) -> None:
        """Go on from what an earlier process has saved; call it before the first request.

        :raises ValidationError: it is nothing that was saved.
        """
        self.rate_limit = self.rate_limit.restored(stored, self.now())

    # --- the queue ----------------------------------------------------------------------------------------------------

    def _permit(self, cost: Cost) -> "Deferred[Permit]":
        if self._closed:
            raise self._stopping()
        permit: Deferred[Permit] = Deferred(self._cancelled)
        heappush(self._queue, _Waiter(cost.writes, next(self._numbers), cost, permit))
        self._alarm.wake()
        return permit

    def _cancelled(self, permit: "Deferred[Permit]") -> None:
        self._removed(lambda waiter: waiter.permit is permit)
        self._alarm.wake()

    def _start_due(self) -> float:
        """Let go whoever may go now; in how many seconds the next may."""
        while self._queue:
            wait = self._first_wait()
            if wait == 0.0:
                self._start(heappop(self._queue))
                continue
            creates = self._removed_creates() if self._longest_create_wait < wait < inf else []
            if not creates:
                return wait + TICK_S
            self._dismiss(creates, Unsent(f"{self.service}: not sent, its limit is used up"))
        return inf

    def _first_wait(self) -> float:
        return self.rate_limit.wait(self._queue[0].cost, 0, self.now()) if self._queue else 0.0

    def _start(self, waiter: _Waiter) -> None:
        self.rate_limit, permit = self.rate_limit.started(waiter.cost, self.now())
        waiter.permit.callback(permit)

    def _removed_creates(self) -> Sequence[_Waiter]:
        """Those taken out of the queue."""
        return self._removed(lambda waiter: waiter.creates)

    def _removed(self, which: Callable[[_Waiter], bool]) -> Sequence[_Waiter]:
        """Those taken out of the queue."""
        removed = [waiter for waiter in self._queue if which(waiter)]
        self._queue = [waiter for waiter in self._queue if not which(waiter)]
        heapify(self._queue)
        return removed

    def _dismiss(self, waiters: Sequence[_Waiter], reason: Unsent) -> None:
        for waiter in waiters:
            waiter.permit.errback(reason)

    def _stopping(self) -> Stopping:
        return Stopping(f"{self.service}: not sent, the daemon stops")
