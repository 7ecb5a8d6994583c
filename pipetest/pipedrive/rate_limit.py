"""Pipedrive's limits for one key, together: bursts, the day's budget, and refusals."""

from collections.abc import Sequence
from math import inf

from msgspec import Struct
from msgspec.structs import replace

from pipetest.domain.backoff import backoff
from pipetest.domain.model import Reply, Request
from pipetest.pipedrive.daily_budget import DailyBudget
from pipetest.pipedrive.prices import BURST_LONGEST_S, BURST_S, blocked, cost_of, daily, retry_delay
from pipetest.ratelimit.cooldown import Cooldown
from pipetest.ratelimit.policy import Cost, Instant, Permit, SavedLimits, Usage, known, number
from pipetest.ratelimit.windows import SlidingWindow

BURST = 20
"""What the smallest plan allows an API token in two seconds: as much as may go before Pipedrive tells more."""

SEARCH_BURST = 10

BLOCK_FIRST_S = 600.0
BLOCK_LONGEST_S = 3600.0
"""A client that goes on after 429s is blocked by the firewall; asking it often would make that longer."""


class Budget(Struct, frozen=True):
    """What creation may use: tokens left today and on each further day, when that begins, requests per second, when it
    may go on (0: now), and writes left today. Infinite is not limited; times are seconds since the epoch."""

    left: float
    a_day: float
    next_day_at: float
    per_second: float
    resumes_at: float
    posts: float = inf


class PipedriveRateLimit(Struct, frozen=True):
    """All that is known of the limits. Build it with :func:`pipedrive_rate_limit`.

    ``ceiling`` is our own bound on tokens a day; ``reserve`` the part of the company's limit that is left to others.
    ``learnt`` tells whether Pipedrive ever showed that it has a burst limit: if it has one, every answer names it. So
    the first success that names none shows that there is none, until a 429 shows otherwise.
    """

    ceiling: float
    reserve: float
    burst: SlidingWindow = SlidingWindow(BURST, BURST_S)
    searches: SlidingWindow = SlidingWindow(SEARCH_BURST, BURST_S)
    learnt: bool = False
    day: DailyBudget = DailyBudget()
    hold: Cooldown = Cooldown()

    def kind(self, request: Request) -> Cost:
        return cost_of(request)

    def wait(self, kind: Cost, ahead: int, at: Instant) -> float:
        day = self.day.at(at.wall)
        return max(
            self.hold.wait(ahead, at.monotonic),
            self._rolling(kind).wait(ahead, at.monotonic),
            day.wait(kind, ahead, day.left(self.ceiling, self.reserve), at.wall),
        )

    def begun(self, kind: Cost, at: Instant) -> tuple["PipedriveRateLimit", Permit]:
        rolling = self._rolling(kind)
        ticket = Permit(kind, at.monotonic, self.hold.turn, rolling.place(at.monotonic))
        begun = replace(self, day=self.day.at(at.wall).begun(kind), hold=self.hold.begun())
        return begun._rolled(kind, rolling.begun()), ticket

    def ended(self, ticket: Permit, reply: Reply | None, at: Instant, chance: float) -> "PipedriveRateLimit":
        rolling = self._rolling(ticket.kind).ended(at.monotonic)
        day = self.day.at(at.wall).ended(ticket, reply, at, self.reserve)
        ended = replace(self, day=day, hold=self._held(ticket, reply, at, chance))._rolled(ticket.kind, rolling)
        return ended if reply is None else ended._learning(ticket, reply, at.monotonic)

    def _rolling(self, kind: Cost) -> SlidingWindow:
        return self.searches if kind.searches else self.burst

    def _rolled(self, kind: Cost, rolling: SlidingWindow) -> "PipedriveRateLimit":
        return replace(self, searches=rolling) if kind.searches else replace(self, burst=rolling)

    def _learning(self, ticket: Permit, reply: Reply, now: float) -> "PipedriveRateLimit":
        limit, left = (number(reply.headers, f"x-ratelimit-{name}") for name in ("limit", "remaining"))
        if limit is not None:
            rolling = self._rolling(ticket.kind).told(limit, left, ticket.place, now)
            return replace(self._rolled(ticket.kind, rolling), learnt=True)
        if self.learnt or ticket.kind.searches:
            return self
        if reply.status == 429 and not daily(reply):
            return replace(self, burst=replace(self.burst, limit=BURST), learnt=True)
        if reply.status < 400:
            return replace(self, burst=replace(self.burst, limit=inf))
        return self

    def _held(self, ticket: Permit, reply: Reply | None, at: Instant, chance: float) -> Cooldown:
        hold, now = self.hold, at.monotonic
        if reply is None or reply.status >= 500:
            return hold.failed(ticket, now, chance)
        if reply.status == 429:
            again = backoff(hold.attempts(ticket), first=BURST_S, longest=BURST_LONGEST_S)
            return hold.refused(ticket, max(retry_delay(reply), again), now, chance)
        if blocked(reply) and hold.refusals:
            wait = backoff(max(1, hold.attempts(ticket) - 1), first=BLOCK_FIRST_S, longest=BLOCK_LONGEST_S)
            return hold.refused(ticket, wait, now, chance)
        return hold.answered(ticket)

    # --- for people, and for the next life ----------------------------------------------------------------------------

    def budget(self, at: Instant) -> Budget:
        day = self.day.at(at.wall)
        return Budget(
            left=day.left(self.ceiling, self.reserve),
            a_day=min(self.ceiling, (1 - self.reserve) * day.limit if day.limit else inf),
            next_day_at=day.ends_at,
            per_second=self.burst.limit / BURST_S,
            resumes_at=self.hold.resumes_at(at),
            posts=max(0.0, day.posts.sure),
        )

    def gauges(self, at: Instant) -> Sequence[Usage]:
        day, budget = self.day.at(at.wall), self.budget(at)
        return [
            Usage("requests in 2 s", known(self.burst.limit), known(self.burst.left(at.monotonic))),
            Usage("tokens today", known(budget.a_day), known(budget.left), day.used, day.ends_at),
            Usage("writes today", None, known(budget.posts), reset_at=day.ends_at),
        ]

    def kept(self, at: Instant) -> SavedLimits:
        return replace(self.day.at(at.wall).kept(self.reserve), resumes_at=self.hold.resumes_at(at))

    def restored(self, kept: SavedLimits, at: Instant) -> "PipedriveRateLimit":
        return replace(self, day=DailyBudget.restored(kept, at.wall), hold=self.hold.resumed(kept.resumes_at, at))


def pipedrive_rate_limit(*, ceiling: int | None, reserve: float) -> PipedriveRateLimit:
    """Nothing known yet; ``reserve`` is a part of 1."""
    return PipedriveRateLimit(inf if ceiling is None else ceiling, reserve)
