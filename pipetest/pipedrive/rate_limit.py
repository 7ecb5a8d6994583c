"""Pipedrive's limits for one key, together: bursts, the day's budget, and refusals. Pure."""

from collections.abc import Sequence
from functools import partial
from math import inf

from msgspec import Struct, convert
from msgspec.structs import replace

from pipetest.domain.backoff import backoff
from pipetest.domain.model import Reply, Request
from pipetest.domain.status import Quota
from pipetest.http.headers import number
from pipetest.pipedrive.daily_budget import DailyBudget, SavedPipedriveLimits
from pipetest.pipedrive.prices import cost_of
from pipetest.pipedrive.responses import BURST_LONGEST_S, BURST_S, is_daily_refusal, is_firewall_page, retry_delay
from pipetest.ratelimit.cooldown import Cooldown
from pipetest.ratelimit.policy import Cost, Instant, Permit, finite
from pipetest.ratelimit.windows import SlidingWindow

BURST = 20
"""What the smallest plan allows an API token in two seconds: as many may go before Pipedrive reports more."""

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
    writes: float = inf


class PipedriveRateLimit(Struct, frozen=True):
    """All that is known of the limits. Build it with :func:`pipedrive_rate_limit`.

    ``ceiling`` is our own limit of tokens a day; ``reserve`` the share of the company's limit that is left to others.
    ``burst_seen`` tells whether Pipedrive ever showed that it has a burst limit: if it has one, every answer names it.
    So the first success that names none shows that there is none, until a 429 shows otherwise.
    """

    ceiling: float
    reserve: float
    burst: SlidingWindow = SlidingWindow(BURST, BURST_S)
    searches: SlidingWindow = SlidingWindow(SEARCH_BURST, BURST_S)
    burst_seen: bool = False
    day: DailyBudget = DailyBudget()
    cooldown: Cooldown = Cooldown()

    def cost(self, request: Request) -> Cost:
        return cost_of(request)

    def wait(self, cost: Cost, ahead: int, at: Instant) -> float:
        day = self.day.at(at.wall)
        return max(
            self.cooldown.wait(ahead, at.monotonic),
            self._window(cost).wait(ahead, at.monotonic),
            day.wait(cost, ahead, day.left(self.ceiling, self.reserve), at.wall),
        )

    def started(self, cost: Cost, at: Instant) -> tuple["PipedriveRateLimit", Permit]:
        window = self._window(cost)
        permit = Permit(cost, at.monotonic, self.cooldown.waits, window.oldest_counted(at.monotonic))
        started = replace(self, day=self.day.at(at.wall).started(cost), cooldown=self.cooldown.started())
        return started._with_window(cost, window.started()), permit

    def finished(self, permit: Permit, reply: Reply | None, at: Instant, jitter: float) -> "PipedriveRateLimit":
        window = self._window(permit.cost).finished(at.monotonic)
        day = self.day.at(at.wall).finished(permit, reply, at, self.reserve)
        cooldown = self._cooldown_after(permit, reply, at.monotonic, jitter)
        finished = replace(self, day=day, cooldown=cooldown)._with_window(permit.cost, window)
        return finished if reply is None else finished._with_reported_burst(permit, reply, at.monotonic)

    def _window(self, cost: Cost) -> SlidingWindow:
        return self.searches if cost.searches else self.burst

    def _with_window(self, cost: Cost, window: SlidingWindow) -> "PipedriveRateLimit":
        return replace(self, searches=window) if cost.searches else replace(self, burst=window)

    def _with_reported_burst(self, permit: Permit, reply: Reply, now: float) -> "PipedriveRateLimit":
        limit, left = (number(reply.headers, f"x-ratelimit-{name}") for name in ("limit", "remaining"))
        if limit is not None:
            window = self._window(permit.cost).reported(limit, left, permit.oldest_counted, now)
            return replace(self._with_window(permit.cost, window), burst_seen=True)
        if self.burst_seen or permit.cost.searches:
            return self
        if reply.status == 429 and not is_daily_refusal(reply):
            return replace(self, burst=replace(self.burst, limit=BURST), burst_seen=True)
        if reply.status < 400:
            return replace(self, burst=replace(self.burst, limit=inf))
        return self

    def _cooldown_after(self, permit: Permit, reply: Reply | None, now: float, jitter: float) -> Cooldown:
        cooldown = self.cooldown
        if reply is None or reply.status >= 500:
            return cooldown.failed(permit, now, jitter)
        if reply.status == 429:
            wait = backoff(cooldown.attempts(permit), first=BURST_S, longest=BURST_LONGEST_S)
            return cooldown.refused(permit, max(retry_delay(reply), wait), now, jitter)
        if is_firewall_page(reply) and cooldown.refusals:
            wait = backoff(max(1, cooldown.attempts(permit) - 1), first=BLOCK_FIRST_S, longest=BLOCK_LONGEST_S)
            return cooldown.refused(permit, wait, now, jitter)
        return cooldown.answered(permit)

    # --- for people, and for the next start ---------------------------------------------------------------------------

    def budget(self, at: Instant) -> Budget:
        day = self.day.at(at.wall)
        return Budget(
            left=day.left(self.ceiling, self.reserve),
            a_day=min(self.ceiling, (1 - self.reserve) * day.limit if day.limit else inf),
            next_day_at=day.ends_at,
            per_second=self.burst.limit / BURST_S,
            resumes_at=self.cooldown.resumes_at(at),
            writes=max(0.0, day.writes.available),
        )

    def usage(self, at: Instant) -> Sequence[Quota]:
        day, budget, quota = self.day.at(at.wall), self.budget(at), partial(Quota, service="Pipedrive")
        return [
            quota(name="requests in 2 s", limit=finite(self.burst.limit), left=finite(self.burst.left(at.monotonic))),
            quota(
                name="tokens today",
                limit=finite(budget.a_day),
                left=finite(budget.left),
                used=day.used,
                reset_at=day.ends_at,
            ),
            quota(name="writes today", left=finite(budget.writes), reset_at=day.ends_at),
        ]

    def saved(self, at: Instant) -> SavedPipedriveLimits:
        return replace(self.day.at(at.wall).saved(self.reserve), resumes_at=self.cooldown.resumes_at(at))

    def restored(self, stored: object, at: Instant) -> "PipedriveRateLimit":
        saved = convert(stored, SavedPipedriveLimits)
        day, cooldown = DailyBudget.restored(saved, at.wall), self.cooldown.restored(saved.resumes_at, at)
        return replace(self, day=day, cooldown=cooldown)


def pipedrive_rate_limit(*, ceiling: int | None, reserve: float) -> PipedriveRateLimit:
    """Nothing known yet; ``reserve`` is a share of 1."""
    return PipedriveRateLimit(inf if ceiling is None else ceiling, reserve)
