"""Pipedrive's daily budget: tokens and writes, as headers report them, and as we count them ourselves. Pure."""

from math import ceil, inf
from typing import Self

from msgspec import Struct, field
from msgspec.structs import replace

from pipetest.domain.model import Reply
from pipetest.http.headers import number
from pipetest.pipedrive.prices import CREATE
from pipetest.pipedrive.responses import DAILY_RETRY_S, is_daily_refusal, retry_delay
from pipetest.ratelimit.policy import Cost, Instant, Permit, SavedLimits, finite
from pipetest.ratelimit.windows import Remaining

DAY_S = 24 * 3600.0
MIDNIGHT_MARGIN_S = 1.0

LONGEST_DAY_S = DAY_S + 3600.0
"""What ends later than in so long was begun by a clock that was ahead. One that steps back over midnight begins no
other day."""


class SavedPipedriveLimits(SavedLimits, frozen=True, kw_only=True):
    """On this UTC ``day`` so many tokens were ``used``, and so many writes are left. No more than ``left`` of the
    company's ``limit`` remains until ``ends_at``."""

    day: int = 0
    used: int = 0
    writes: float | None = field(default=None, name="posts")  # its name in the databases of 1.0.0
    limit: float = 0.0
    left: float | None = None
    ends_at: float = 0.0

    def covers(self, spent: Self) -> bool:
        return self.day == spent.day and self.used >= spent.used

    def counted_ahead(self, tokens: int, stored: Self) -> Self:
        """In multiples of so many; tokens that a refusal has given back stay counted."""
        return replace(self, used=stored.used if stored.covers(self) else ceil(self.used / tokens) * tokens)


class DailyBudget(Struct, frozen=True):
    """One UTC ``day``. ``used`` is our own count of tokens; ``limit`` and ``tokens`` are the company's, from headers.

    What is known is forgotten at ``ends_at``: at midnight; sooner, where a daily refusal says so; and after an hour
    where the day begins with nothing left, as Pipedrive's day may begin later than ours. Each request that asks then
    may take the price of a create from the others' reserve; waiting for our midnight could cost all of Pipedrive's
    day.
    """

    ends_at: float = -inf
    day: int = 0
    used: int = 0
    limit: float = 0.0
    tokens: Remaining = Remaining()
    writes: Remaining = Remaining(reported=inf)

    def at(self, wall: float) -> "DailyBudget":
        """What is still known then."""
        if wall < self.ends_at <= wall + LONGEST_DAY_S:
            return self
        day = int(wall // DAY_S)
        return DailyBudget(
            ends_at=(day + 1) * DAY_S + MIDNIGHT_MARGIN_S,
            day=day,
            used=self.used if day == self.day else 0,
            tokens=Remaining(under_way=self.tokens.under_way),
            writes=Remaining(reported=inf, under_way=self.writes.under_way),
        )

    def left(self, ceiling: float, reserve: float) -> float:
        """Tokens that we may still use; ``reserve`` is the share of the company's limit that is not ours."""
        return max(0.0, min(ceiling - self.used, self.tokens.available - reserve * self.limit))

    def wait(self, cost: Cost, ahead: int, left: float, wall: float) -> float:
        """While nothing is known, one request asks first."""
        if self.tokens.reported is None and self.tokens.under_way + ahead:
            return inf
        if left < cost.price * (ahead + 1) or (cost.writes and self.writes.available < ahead + 1):
            return self.ends_at - wall
        return 0.0

    def started(self, cost: Cost) -> "DailyBudget":
        return replace(
            self,
            used=self.used + cost.price,
            tokens=self.tokens.started(cost.price),
            writes=self.writes.started(1) if cost.writes else self.writes,
        )

    def finished(self, permit: Permit, reply: Reply | None, at: Instant, reserve: float) -> "DailyBudget":
        if reply is None:
            return self._counted(permit, None, None, at, taken=permit.cost.price)
        known = replace(self, limit=number(reply.headers, "x-daily-ratelimit-token-limit") or self.limit)
        tokens = number(reply.headers, "x-daily-ratelimit-token-remaining")
        if self.tokens.reported is None:
            if tokens is None and reply.status < 400:
                tokens = inf
            elif tokens is not None and tokens - reserve * known.limit < CREATE.price:
                known = replace(known, ends_at=min(self.ends_at, at.wall + DAILY_RETRY_S))
        if is_daily_refusal(reply):
            known = replace(known, ends_at=min(known.ends_at, at.wall + retry_delay(reply)))
        taken = 0 if reply.status == 429 else permit.cost.price
        return known._counted(permit, tokens, number(reply.headers, "x-daily-requests-left"), at, taken=taken)

    def _counted(
        self, permit: Permit, tokens: float | None, writes: float | None, at: Instant, *, taken: int
    ) -> "DailyBudget":
        price, wrote = permit.cost.price, int(permit.cost.writes)
        return replace(
            self,
            used=max(0, self.used - price + taken),
            tokens=self.tokens.finished(permit, price, tokens, at.monotonic, taken=taken),
            writes=self.writes.finished(permit, wrote, writes, at.monotonic, taken=wrote),
        )

    def saved(self, reserve: float) -> SavedPipedriveLimits:
        """Tokens that headers reported only where too few are left: else the next answer tells better."""
        writes = finite(max(0.0, self.writes.available))
        saved = SavedPipedriveLimits(day=self.day, used=self.used, writes=writes)
        if self.tokens.available - reserve * self.limit >= CREATE.price:
            return saved
        return replace(saved, limit=self.limit, left=max(0.0, self.tokens.available), ends_at=self.ends_at)

    @classmethod
    def restored(cls, saved: SavedPipedriveLimits, wall: float) -> "DailyBudget":
        """As before a restart, where it is still the same day. By a clock that is behind it is not yet: what was used
        counts until the clock is set, or at midnight."""
        today = cls(day=saved.day, used=saved.used).at(wall)
        if today.day < saved.day:
            return replace(today, day=saved.day, used=saved.used)
        if today.day != saved.day:
            return today
        if saved.writes is not None:
            today = replace(today, writes=Remaining(saved.writes))
        if saved.left is None:
            return today
        ends_at = min(today.ends_at, saved.ends_at)
        return replace(today, ends_at=ends_at, limit=saved.limit, tokens=Remaining(saved.left))
