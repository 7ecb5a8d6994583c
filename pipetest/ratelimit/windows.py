"""Two ways to stay within a limit that a service counts, at moments of its own that nobody knows."""

from bisect import bisect_right
from math import ceil, inf

from msgspec import Struct
from msgspec.structs import replace

from pipetest.ratelimit.policy import Permit


class SlidingWindow(Struct, frozen=True):
    """At most ``limit`` requests in any ``span`` seconds, as the service counts them.

    It may count a request at any time between start and end. So each request takes a slot until ``span`` after its end:
    then no window of the service holds more than ``limit``. ``releases`` are the times (ascending, monotonic) at which
    slots of finished requests are free again. ``used_by_others`` slots are taken by other clients of the key until
    ``used_by_others_until``. ``total`` counts all of our requests that ever started.
    """

    limit: float
    span: float
    under_way: int = 0
    releases: tuple[float, ...] = ()
    used_by_others: float = 0.0
    used_by_others_until: float = -inf
    total: int = 0

    def wait(self, ahead: int, now: float) -> float:
        """Seconds until one more may start behind ``ahead`` others; infinite while it depends on those under way."""
        alone = self._wait(ahead, now)
        if now >= self.used_by_others_until:
            return alone
        return min(self._wait(ahead + self.used_by_others, now), max(alone, self.used_by_others_until - now))

    def _wait(self, ahead: float, now: float) -> float:
        missing = self.used_by_us(now) + ahead + 1 - self.limit
        if missing <= 0:
            return 0.0
        last = bisect_right(self.releases, now) + ceil(missing) - 1
        return self.releases[last] - now if last < len(self.releases) else inf

    def used_by_us(self, now: float) -> int:
        """How many slots our own requests take."""
        return self.under_way + len(self.releases) - bisect_right(self.releases, now)

    def used(self, now: float) -> float:
        """How many slots are taken, by us or by others."""
        return self.used_by_us(now) + (self.used_by_others if now < self.used_by_others_until else 0.0)

    def left(self, now: float) -> float:
        return max(0.0, self.limit - self.used(now))

    def last_release(self, now: float) -> float:
        """When all slots are free if nothing more starts, and what is under way ends now."""
        return max(now + self.span if self.under_way else now, *self.releases[-1:], self.used_by_others_until)

    def oldest_counted(self, now: float) -> int:
        """For the :class:`Permit` of a request that starts now: our requests from this number on take a slot."""
        return self.total - self.used_by_us(now)

    def started(self) -> "SlidingWindow":
        return replace(self, under_way=self.under_way + 1, total=self.total + 1)

    def finished(self, now: float) -> "SlidingWindow":
        if self.limit == inf:
            return replace(self, under_way=self.under_way - 1, releases=())
        releases = (*self.releases[bisect_right(self.releases, now) :], now + self.span)
        return replace(self, under_way=self.under_way - 1, releases=releases)

    def reported(self, limit: float, left: float | None, oldest_counted: int, now: float) -> "SlidingWindow":
        """The service's own numbers. Where more slots are taken than we can have taken, others have."""
        ours = replace(self, limit=max(1.0, limit))
        most_by_us = self.total - oldest_counted
        others = 0.0 if left is None else max(0.0, ours.limit - left - most_by_us)
        known = self.used_by_others if now < self.used_by_others_until else 0.0
        if others < known or not others:
            return ours
        return replace(ours, used_by_others=others, used_by_others_until=now + self.span)


class Remaining(Struct, frozen=True):
    """What the service has reported to be left, less what requests under way may take of it.

    ``reported`` is None while nobody knows, infinite where there is no such limit. ``unreported`` is what requests took
    whose answers reported nothing: it may still be in ``reported``. The last request finished at ``last_finished``
    (monotonic).
    """

    reported: float | None = None
    under_way: float = 0.0
    unreported: float = 0.0
    last_finished: float = -inf

    @property
    def available(self) -> float:
        """So much is left for certain."""
        return inf if self.reported is None else self.reported - self.unreported - self.under_way

    def started(self, amount: float) -> "Remaining":
        return replace(self, under_way=self.under_way + amount)

    def finished(
        self, permit: Permit, amount: float, reported: float | None, now: float, *, taken: float
    ) -> "Remaining":
        """The end of what was started with ``amount``: its answer ``reported`` what is left, or else it has ``taken``
        so much.

        Only the answer to a request that started after all others had finished accounts for them all. Of other answers
        the lowest counts.
        """
        finished = replace(self, under_way=self.under_way - amount, last_finished=now)
        if reported is None:
            return replace(finished, unreported=self.unreported + taken)
        if permit.started > self.last_finished:
            return replace(finished, reported=reported, unreported=0.0)
        return replace(finished, reported=reported if self.reported is None else min(reported, self.reported))
