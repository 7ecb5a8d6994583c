"""GitHub and Pipedrive reduced to their rate limits, and a harness for the limiters that keep to them."""

from bisect import bisect_right
from math import inf
from random import Random
from typing import Any

from msgspec import Struct, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from pipetest.domain.errors import Unanswered, Unsent
from pipetest.domain.interfaces import Exchange, Time
from pipetest.domain.model import Reply, Request
from pipetest.github.rate_limit import GitHubRateLimit, github_rate_limit
from pipetest.pipedrive.prices import cost_of
from pipetest.pipedrive.rate_limit import PipedriveRateLimit, pipedrive_rate_limit
from pipetest.ratelimit.limiter import CountAhead, RateLimiter
from pipetest.ratelimit.policy import RateLimit

DAY = 86400.0
START = 20_000 * DAY
"""A UTC midnight: the clock of a test begins there."""

POST = Request("POST", "https://acme.pipedrive.com/api/v2/deals", {})
LIST = Request("GET", "https://acme.pipedrive.com/api/v2/deals?limit=500", {})
PAGE = Request("GET", "https://api.github.com/users/ada/gists", {})


class ServiceModel(Struct):
    """Answers after ``latency`` seconds; counts a request at a random moment of these. ``down``: it never answers."""

    clock: Clock
    random: Random
    latency: float = 0.05
    down: bool = False
    counted: list[float] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    async def __call__(self, request: Request) -> Reply:
        early = self.random.random() * self.latency
        await deferLater(self.clock, early)
        self.counted.append(self.clock.seconds())
        status, headers = self.judge(request)
        await deferLater(self.clock, self.latency - early)
        if self.down:
            raise Unanswered("Model", "no answer")
        self.statuses.append(status)
        return Reply(status, {name: str(value) for name, value in headers.items()}, b"{}")

    def judge(self, request: Request) -> tuple[int, dict[str, float]]:
        return 200, {}


class PipedriveModel(ServiceModel):
    """A burst limit in a sliding window of two seconds, and daily tokens, renewed ``midnight`` seconds after midnight
    UTC."""

    burst: int = 20
    tokens: int = 10**9
    midnight: float = 0.0
    left: int = -1
    day: int | None = None

    def judge(self, request: Request) -> tuple[int, dict[str, float]]:
        now = self.clock.seconds()
        day = int((now - self.midnight) // DAY)
        if day != self.day:
            self.day, self.left = day, self.tokens
        recent = len(self.counted) - bisect_right(self.counted, now - 2.0)
        headers: dict[str, float] = {
            "x-ratelimit-limit": self.burst,
            "x-ratelimit-remaining": max(0, self.burst - recent),
            "x-ratelimit-reset": 2,
            "x-daily-ratelimit-token-limit": self.tokens,
        }
        price = cost_of(request).price
        refused = recent > self.burst or price > self.left
        if not refused:
            self.left -= price
        return (429 if refused else 200), {**headers, "x-daily-ratelimit-token-remaining": self.left}


class GitHubModel(ServiceModel):
    """``hourly`` requests in each hour of the clock, which begins at ``epoch``."""

    hourly: int = 60
    epoch: float = START
    used: int = 0
    hour: int = -1

    def judge(self, request: Request) -> tuple[int, dict[str, float]]:
        now = self.clock.seconds()
        if int(now // 3600) != self.hour:
            self.hour, self.used = int(now // 3600), 0
        refused = self.used >= self.hourly
        self.used += not refused
        return (403 if refused else 200), {
            "x-ratelimit-limit": self.hourly,
            "x-ratelimit-remaining": self.hourly - self.used,
            "x-ratelimit-reset": self.epoch + (self.hour + 1) * 3600,
        }


class Harness(Struct):
    """Limiters on a clock that jumps from one delayed call to the next."""

    clock: Clock
    random: Random

    @classmethod
    def of(cls, seed: int = 0) -> "Harness":
        return cls(Clock(), Random(seed))

    def limiter(
        self,
        rate_limit: RateLimit,
        service: Exchange,
        *,
        longest_create_wait: float = inf,
        count_ahead: CountAhead | None = None,
    ) -> RateLimiter[Any]:
        time = Time(wall=lambda: START + self.clock.seconds(), monotonic=self.clock.seconds)
        return RateLimiter(
            "Model",
            rate_limit,
            service,
            time,
            self.clock,
            self.random,
            longest_create_wait=longest_create_wait,
            count_ahead=count_ahead,
        )

    def pipedrive(self, service: ServiceModel, ceiling: int | None = None) -> RateLimiter[PipedriveRateLimit]:
        return self.limiter(pipedrive_rate_limit(ceiling=ceiling, reserve=0.2), service)

    def github(self, service: ServiceModel, *, token: bool = False) -> RateLimiter[GitHubRateLimit]:
        return self.limiter(github_rate_limit(token=token, host="api.github.com"), service)

    def run_until(self, at: float) -> None:
        """Let every delayed call happen at its time, up to ``at``."""
        while (calls := self.clock.getDelayedCalls()) and (due := min(call.getTime() for call in calls)) <= at:
            self.clock.advance(max(0.0, due - self.clock.seconds()))
        self.clock.advance(max(0.0, at - self.clock.seconds()))


def asked(limiter: RateLimiter[Any], *requests: Request) -> list[Deferred[Reply | None]]:
    """Ask for all of them at once. An error that the limiter raises becomes an answer of None."""

    async def ask(request: Request) -> Reply | None:
        try:
            return await limiter(request)
        except (Unsent, Unanswered):
            return None

    return [Deferred.fromCoroutine(ask(request)) for request in requests]


def succeeded(requests: list[Deferred[Reply | None]]) -> int:
    return sum(request.called for request in requests)
