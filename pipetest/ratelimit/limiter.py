"""Stands before one API with one key: every request waits here until its quota lets it go.

The rules are in :mod:`pipetest.ratelimit.policy`; here requests queue, and one delayed call wakes the first of them.
"""

from collections.abc import Awaitable, Sequence
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from random import Random
from typing import Generic, TypeVar

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from pipetest.domain.errors import Stopping, Unsent
from pipetest.domain.interfaces import Exchange, Time
from pipetest.domain.model import Reply, Request
from pipetest.ratelimit.policy import Cost, Instant, Permit, RateLimit, SavedLimits, Usage

SAID_S = 60.0
"""A wait as long as this is said in the log."""

LONGEST_SLEEP_S = 3600.0
"""Looks at the clock on the wall so often at least: it may be set, or the machine may have slept."""

TICK_S = 0.001
"""Slept longer than asked for: sums of floats must not wake it a hair too early, again and again."""

Q = TypeVar("Q", bound=RateLimit)


@frozen
class Snapshot:
    """How the API's limits stand, for people: ``resumes_at`` (epoch) is set while the first in the queue waits."""

    gauges: tuple[Usage, ...]
    under_way: int
    waiting: int
    resumes_at: float | None


class RateLimiter(Generic[Q]):
    """An :class:`~pipetest.domain.interfaces.Exchange` that sends nothing its quota already refuses.

    Looks go before creates, else first come, first served. Waiting is no part of the exchange's own time limit. Creates
    that would have to wait for longer than ``patience_s`` are sent away: what they were decided on will not hold.
    """

    _log = Logger()

    def __init__(
        self,
        service: str,
        quota: Q,
        exchange: Exchange,
        time: Time,
        clock: IReactorTime,
        chance: Random,
        *,
        patience_s: float = inf,
    ) -> None:
        self.quota = quota
        self.service = service
        self._exchange = exchange
        self._time = time
        self._clock = clock
        self._chance = chance
        self._patience_s = patience_s
        self._queue: list[tuple[bool, int, Cost, Deferred[Permit]]] = []
        self._serial = count()
        self._under_way = 0
        self._alarm: IDelayedCall | None = None
        self._pumping = False
        self._said = False
        self._closed = False

    async def __call__(self, request: Request) -> Reply:
        """
        :raises Stopping: closed before the request could go.
        :raises Unsent: it would create something, and had to wait for too long.
        """
        kind = self.quota.kind(request)
        ticket = await self._turn(kind)
        reply = None
        try:
            reply = await self._exchange(request)
            return reply
        finally:
            self._end(ticket, reply)

    def ready_at(self, kind: Cost, ahead: int = 0) -> float:
        """When (monotonic) one more request could go behind all that wait and ``ahead`` others still to come; infinite
        while that depends on what is under way."""
        at = self.now()
        wait = self.quota.wait(kind, len(self._queue) + ahead, at)
        return at.monotonic + max(wait, self._first_wait() or 0.0)  # nobody goes before the first

    def close(self) -> None:
        """Send nothing more: who waits gets :class:`~pipetest.domain.errors.Stopping`; what is under way goes on."""
        self._closed = True
        self._sleep(None)
        waiters = [waiter for *_, waiter in self._queue]
        self._send_away(waiters, Stopping(f"{self.service}: not sent, the daemon stops"))

    def snapshot(self) -> Snapshot:
        at = self.now()
        wait = self._first_wait() or 0.0
        resumes_at = at.wall + wait if 0 < wait < inf else None
        return Snapshot(tuple(self.quota.gauges(at)), self._under_way, len(self._queue), resumes_at)

    def now(self) -> Instant:
        return Instant(self._time.monotonic(), self._time.wall())

    @property
    def kept(self) -> SavedLimits:
        """What is to outlive this process."""
        return self.quota.kept(self.now())

    def restore(self, kept: SavedLimits) -> None:
        """Go on where an earlier life has left it; call it before the first request."""
        self.quota = self.quota.restored(kept, self.now())

    # --- the queue ----------------------------------------------------------------------------------------------------

    def _turn(self, kind: Cost) -> Awaitable[Permit]:
        if self._closed:
            raise Stopping(f"{self.service}: not sent, the daemon stops")
        waiter: Deferred[Permit] = Deferred(self._leave)
        heappush(self._queue, (kind.writes, next(self._serial), kind, waiter))
        self._pump()
        return waiter

    def _leave(self, waiter: Deferred[Permit]) -> None:
        """Whoever waited was cancelled."""
        self._take_out([waiter])
        self._pump()

    def _pump(self) -> None:
        """Let go whoever may go now, and sleep until the next one may."""
        if self._pumping:
            return  # a request ended at once, inside the loop below: it goes round again anyway
        self._pumping = True
        try:
            while (wait := self._first_wait()) == 0.0:
                self._go(heappop(self._queue))
        finally:
            self._pumping = False
        self._sleep(wait)

    def _first_wait(self) -> float | None:
        return self.quota.wait(self._queue[0][2], 0, self.now()) if self._queue else None

    def _go(self, entry: tuple[bool, int, Cost, Deferred[Permit]]) -> None:
        *_, kind, waiter = entry
        if self._said:
            self._said = False
            self._log.info("{service}: goes on", service=self.service)
        self.quota, ticket = self.quota.begun(kind, self.now())
        self._under_way += 1
        waiter.callback(ticket)

    def _end(self, ticket: Permit, reply: Reply | None) -> None:
        self._under_way -= 1
        self.quota = self.quota.ended(ticket, reply, self.now(), self._chance.random())
        self._pump()

    def _sleep(self, wait: float | None) -> None:
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()
        self._alarm = None
        if wait is None or wait == inf or self._closed:
            return
        self._alarm = self._clock.callLater(min(wait, LONGEST_SLEEP_S) + TICK_S, self._pump)
        if wait >= SAID_S and not self._said:
            self._said = True
            self._log.warn(
                "{service}: the quota is used up or refuses; {waiting} requests wait for {wait_s:.0f} s",
                service=self.service,
                waiting=len(self._queue),
                wait_s=wait,
            )
        if wait > self._patience_s:
            creates = [waiter for writes, _, _, waiter in self._queue if writes]
            self._send_away(creates, Unsent(f"{self.service}: not sent, the quota is used up or refuses"))

    def _send_away(self, waiters: Sequence[Deferred[Permit]], reason: Unsent) -> None:
        self._take_out(waiters)
        for waiter in waiters:
            waiter.errback(reason)

    def _take_out(self, waiters: Sequence[Deferred[Permit]]) -> None:
        self._queue = [entry for entry in self._queue if entry[3] not in waiters]
        heapify(self._queue)
