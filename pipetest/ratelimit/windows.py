"""Two ways to stay within a bound that somebody else counts, without knowing when he does."""

from bisect import bisect_right
from math import ceil, inf

from msgspec import Struct
from msgspec.structs import replace

from pipetest.ratelimit.policy import Permit


class SlidingWindow(Struct, frozen=True):
    """At most ``limit`` requests in any ``span`` seconds, as the service sees it.

    It may note a request at any time between begin and end. So each one takes a slot until ``span`` after its end: no
    window of the service then holds more than ``limit``. ``frees`` are those ends plus ``span``, ascending, monotonic.
    ``foreign`` slots are in use by somebody else until ``foreign_until``; ``total`` counts all that were ever begun.
    """

    limit: float
    span: float
    under_way: int = 0
    frees: tuple[float, ...] = ()
    foreign: float = 0.0
    foreign_until: float = -inf
    total: int = 0

    def wait(self, ahead: int, now: float) -> float:
        """Seconds until one more may begin behind ``ahead`` others, infinite while it depends on those under way."""
        alone = self._wait(ahead, now)
        if now >= self.foreign_until:
            return alone
        return min(self._wait(ahead + self.foreign, now), max(alone, self.foreign_until - now))

    def _wait(self, ahead: float, now: float) -> float:
        missing = self.taken(now) + ahead + 1 - self.limit
        if missing <= 0:
            return 0.0
        last = bisect_right(self.frees, now) + ceil(missing) - 1
        return self.frees[last] - now if last < len(self.frees) else inf

    def taken(self, now: float) -> int:
        """How many slots our own requests hold."""
        return self.under_way + len(self.frees) - bisect_right(self.frees, now)

    def left(self, now: float) -> float:
        return max(0.0, self.limit - self.held(now))

    def held(self, now: float) -> float:
        """How many slots are not free, whoever holds them."""
        return self.taken(now) + (self.foreign if now < self.foreign_until else 0.0)

    def free_at(self, now: float) -> float:
        """When all slots are free if nothing more begins, and what is under way ends now."""
        return max(now + self.span if self.under_way else now, *self.frees[-1:], self.foreign_until)

    def begun(self) -> "SlidingWindow":
        return replace(self, under_way=self.under_way + 1, total=self.total + 1)

    def ended(self, now: float) -> "SlidingWindow":
        if self.limit == inf:
            return replace(self, under_way=self.under_way - 1, frees=())
        frees = (*self.frees[bisect_right(self.frees, now) :], now + self.span)
        return replace(self, under_way=self.under_way - 1, frees=frees)

    def place(self, now: float) -> int:
        """To go with a request that begins now, for :meth:`told` when it ends."""
        return self.total - self.taken(now)

    def told(self, limit: float, left: float | None, place: int, now: float) -> "SlidingWindow":
        """The service's own numbers. Where more is taken than we can have, somebody else takes it too."""
        ours = replace(self, limit=max(1.0, limit))
        most_ours = self.total - place
        foreign = 0.0 if left is None else max(0.0, ours.limit - left - most_ours)
        known = self.foreign if now < self.foreign_until else 0.0
        return ours if foreign < known or not foreign else replace(ours, foreign=foreign, foreign_until=now + self.span)


class Remaining(Struct, frozen=True):
    """What the service says is left, less what requests under way may take of it.

    ``said`` is None while nobody knows, infinite where there is no such limit. ``unsaid`` was taken by requests that
    ended without a word, and may not be in it. The last request ended at ``ended_at`` (monotonic).
    """

    said: float | None = None
    under_way: float = 0.0
    unsaid: float = 0.0
    ended_at: float = -inf

    @property
    def sure(self) -> float:
        return inf if self.said is None else self.said - self.unsaid - self.under_way

    def begun(self, cost: float) -> "Remaining":
        return replace(self, under_way=self.under_way + cost)

    def ended(self, ticket: Permit, cost: float, said: float | None, now: float, *, taken: float) -> "Remaining":
        """The end of what was begun with ``cost``: ``said`` is what its answer told, else it has ``taken`` so much.

        Only the answer to a request begun after all others had ended tells of them all. Of other answers the least
        counts.
        """
        ended = replace(self, under_way=self.under_way - cost, ended_at=now)
        if said is None:
            return replace(ended, unsaid=self.unsaid + taken)
        if ticket.begun > self.ended_at:
            return replace(ended, said=said, unsaid=0.0)
        return replace(ended, said=said if self.said is None else min(said, self.said))
