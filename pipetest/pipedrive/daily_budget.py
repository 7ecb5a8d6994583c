"""Pipedrive's daily budget: tokens and writes, counted by ourselves and believed where headers tell them."""

from math import inf

from msgspec import Struct
from msgspec.structs import replace

from pipetest.domain.model import Reply
from pipetest.pipedrive.prices import CREATE, DAILY_UNTOLD_S, daily, retry_delay
from pipetest.ratelimit.policy import Cost, Instant, Permit, SavedLimits, known, number
from pipetest.ratelimit.windows import Remaining

DAY_S = 24 * 3600.0
MIDNIGHT_MARGIN_S = 1.0


class DailyBudget(Struct, frozen=True):
    """One UTC day. ``used`` is our own count of tokens; ``limit`` and ``tokens`` are the company's, as headers tell.

    What is known is forgotten at ``ends_at``: at midnight; sooner, where a daily refusal says so; and after an hour
    where the day begins with nothing left, as Pipedrive's day may turn later than ours. The request that asks then may
    cost the reserve a create an hour; to wait for our midnight could cost the whole of Pipedrive's day.
    """

    ends_at: float = -inf
    number: int = 0
    used: int = 0
    limit: float = 0.0
    tokens: Remaining = Remaining()
    posts: Remaining = Remaining(said=inf)

    def at(self, wall: float) -> "DailyBudget":
        """What is still known then."""
        if wall < self.ends_at:
            return self
        number = int(wall // DAY_S)
        return DailyBudget(
            ends_at=(number + 1) * DAY_S + MIDNIGHT_MARGIN_S,
            number=number,
            used=self.used if number == self.number else 0,
            tokens=Remaining(under_way=self.tokens.under_way),
            posts=Remaining(said=inf, under_way=self.posts.under_way),
        )

    @classmethod
    def restored(cls, kept: SavedLimits, wall: float) -> "DailyBudget":
        """As an earlier life has left it, where it is still the same."""
        today = cls(number=kept.day, used=kept.used).at(wall)
        if today.number != kept.day:
            return today
        if kept.posts is not None:
            today = replace(today, posts=Remaining(kept.posts))
        if kept.left is None:
            return today
        return replace(today, ends_at=min(today.ends_at, kept.ends_at), limit=kept.limit, tokens=Remaining(kept.left))

    def kept(self, reserve: float) -> SavedLimits:
        """Tokens told by headers are kept only where too few are left: else the next answer tells better."""
        posts = known(max(0.0, self.posts.sure))
        kept = SavedLimits(day=self.number, used=self.used, posts=posts)
        if self.tokens.sure - reserve * self.limit >= CREATE.price:
            return kept
        return replace(kept, limit=self.limit, left=max(0.0, self.tokens.sure), ends_at=self.ends_at)

    def left(self, ceiling: float, reserve: float) -> float:
        """Tokens that we may still use; ``reserve`` is the part of the company's limit that is not ours."""
        return max(0.0, min(ceiling - self.used, self.tokens.sure - reserve * self.limit))

    def wait(self, kind: Cost, ahead: int, left: float, wall: float) -> float:
        """While nothing is known, one request asks first."""
        if self.tokens.said is None and self.tokens.under_way + ahead:
            return inf
        if left < kind.price * (ahead + 1) or (kind.writes and self.posts.sure < ahead + 1):
            return self.ends_at - wall
        return 0.0

    def begun(self, kind: Cost) -> "DailyBudget":
        posts = self.posts.begun(1) if kind.writes else self.posts
        return DailyBudget(
            self.ends_at, self.number, self.used + kind.price, self.limit, self.tokens.begun(kind.price), posts
        )

    def ended(self, ticket: Permit, reply: Reply | None, at: Instant, reserve: float) -> "DailyBudget":
        if reply is None:
            return self._counted(ticket, None, None, at, taken=ticket.kind.price)
        told = replace(self, limit=number(reply.headers, "x-daily-ratelimit-token-limit") or self.limit)
        tokens = number(reply.headers, "x-daily-ratelimit-token-remaining")
        if self.tokens.said is None:
            if tokens is None and reply.status < 400:
                tokens = inf
            elif tokens is not None and tokens - reserve * told.limit < CREATE.price:
                told = replace(told, ends_at=min(self.ends_at, at.wall + DAILY_UNTOLD_S))
        if daily(reply):
            told = replace(told, ends_at=min(told.ends_at, at.wall + retry_delay(reply)))
        taken = 0 if reply.status == 429 else ticket.kind.price
        return told._counted(ticket, tokens, number(reply.headers, "x-daily-requests-left"), at, taken=taken)

    def _counted(
        self, ticket: Permit, tokens: float | None, posts: float | None, at: Instant, *, taken: int
    ) -> "DailyBudget":
        price, writes = ticket.kind.price, int(ticket.kind.writes)
        return replace(
            self,
            used=max(0, self.used - price + taken),
            tokens=self.tokens.ended(ticket, price, tokens, at.monotonic, taken=taken),
            posts=self.posts.ended(ticket, writes, posts, at.monotonic, taken=writes),
        )
