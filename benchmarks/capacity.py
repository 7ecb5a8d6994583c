"""``python -m benchmarks.capacity``: what the services' limits allow, by the daemon's own rules on a clock of its own.

Nothing is sent and nothing is waited for. It prints the table of docs/capacity.md.
"""

import heapq
import sys
from collections.abc import Iterator, Mapping, Sequence
from math import inf
from typing import Any

from attrs import define, frozen

from pipetest.domain.model import Reply, Request
from pipetest.github.rate_limit import github_rate_limit
from pipetest.github.responses import HOUR_S
from pipetest.pipedrive.daily_budget import DAY_S
from pipetest.pipedrive.rate_limit import pipedrive_rate_limit
from pipetest.ratelimit.policy import Instant

USERS = (10_000, 100_000, 1_000_000)
HOURLY = 5_000
ANSWER_S = 0.2
"""What an answer of either service takes."""

MIDNIGHT = 20_000 * DAY_S
SIMULATED = 20_000
"""Requests that are simulated; more of them only go on like that."""

GISTS_EACH = 100
A_MONTH_EACH = 1
MONTH_DAYS = 30.0

PLANS = {"Lite": (30_000, 20), "Growth": (60_000, 40), "Premium": (150_000, 100), "Ultimate": (210_000, 120)}
"""Pipedrive's tokens a day and seat, and its requests in two seconds."""

OPEN_DEALS = {"Lite": 2_500, "Growth": 5_000, "Premium": 15_000, "Ultimate": 20_000}
RESERVE = 0.2


@define
class Run:
    """Requests that go as soon as a rate limit lets them, each answered after :data:`ANSWER_S`."""

    rate_limit: Any
    now: float = 0.0

    def spend(self, requests: int, until: float = inf) -> int:
        """Make so many, before ``until``; how many were made. ``now`` is then when the last one was answered."""
        under_way: list[tuple[float, int, Any]] = []
        for made in range(requests):
            while (wait := self.rate_limit.wait(self.rate_limit.cost(self.request()), 0, self.at)) > 0:
                if under_way and under_way[0][0] <= self.now + wait:
                    self._answered(*heapq.heappop(under_way))
                elif wait == inf or self.now + wait >= until:
                    return made
                else:
                    self.now += wait
            self.rate_limit, permit = self.rate_limit.started(self.rate_limit.cost(self.request()), self.at)
            heapq.heappush(under_way, (self.now + ANSWER_S, made, permit))
        while under_way:
            self._answered(*heapq.heappop(under_way))
        return requests

    @property
    def at(self) -> Instant:
        return Instant(self.now, MIDNIGHT + self.now)

    def request(self) -> Request:
        raise AssertionError

    def headers(self) -> Mapping[str, str]:
        raise AssertionError

    def status(self) -> int:
        return 200

    def _answered(self, at: float, _: int, permit: Any) -> None:
        self.now = max(self.now, at)
        self.rate_limit = self.rate_limit.finished(permit, Reply(self.status(), self.headers(), b"{}"), self.at, 0.5)


@define
class GitHubRun(Run):
    """Lists of users; ``changed``: none of them is as it was."""

    changed: bool = False
    _spent: int = 0
    _hour: int = 0

    def request(self) -> Request:
        return Request("GET", "https://api.github.com/users/ada/gists", {})

    def status(self) -> int:
        return 200 if self.changed else 304

    def headers(self) -> Mapping[str, str]:
        hour = int(self.now // HOUR_S)
        self._spent = (self._spent if hour == self._hour else 0) + self.changed
        self._hour = hour
        reset_at = MIDNIGHT + (hour + 1) * HOUR_S
        left = max(0, HOURLY - self._spent)
        return {
            "x-ratelimit-limit": f"{HOURLY}",
            "x-ratelimit-remaining": f"{left}",
            "x-ratelimit-reset": f"{reset_at}",
        }


@define
class PipedriveRun(Run):
    """Creates of deals."""

    tokens: int = 0
    burst: int = 0
    _spent: int = 0

    def request(self) -> Request:
        return Request("POST", "https://company.pipedrive.com/api/v2/deals", {}, b"{}")

    def headers(self) -> Mapping[str, str]:
        self._spent += 5
        return {
            "x-ratelimit-limit": f"{self.burst}",
            "x-ratelimit-remaining": f"{self.burst}",
            "x-ratelimit-reset": "2",
            "x-daily-ratelimit-token-limit": f"{self.tokens}",
            "x-daily-ratelimit-token-remaining": f"{self.tokens - self._spent}",
        }


@frozen
class Pace:
    """What GitHub allows: users whose unchanged lists are read in a minute, and lists that are new in an hour."""

    unchanged_a_minute: float
    changed_an_hour: float


def pace() -> Pace:
    rate_limit = github_rate_limit(token=True, host="api.github.com")
    unchanged = GitHubRun(rate_limit)
    unchanged.spend(SIMULATED)
    changed = GitHubRun(rate_limit, changed=True)
    changed.spend(SIMULATED)
    return Pace(60 * SIMULATED / unchanged.now, HOUR_S * SIMULATED / changed.now)


def deals_a_day(tokens: int, burst: int) -> int:
    """How many creates the rules let through from one midnight (UTC) to the next."""
    return PipedriveRun(pipedrive_rate_limit(ceiling=None, reserve=RESERVE), tokens=tokens, burst=burst).spend(
        10**6, until=DAY_S
    )


def table() -> Iterator[str]:
    github = pace()
    day = {plan: deals_a_day(*allowed) for plan, allowed in PLANS.items()}
    yield "| | " + " | ".join(f"{users:,} users" for users in USERS) + " |"
    yield "|---|" + "---|" * len(USERS)
    yield _row("a scan that finds nothing, minutes", [users / github.unchanged_a_minute for users in USERS])
    yield _row(
        "GitHub accounts' points for a scan every 30 minutes",
        [users / github.unchanged_a_minute / 30 for users in USERS],
    )
    yield _row("the first scan, hours", [users / github.changed_an_hour for users in USERS])
    new = [users * A_MONTH_EACH / MONTH_DAYS for users in USERS]
    yield _row("new deals a day", new)
    for plan, deals in day.items():
        yield _row(f"seats of {plan} for them", [deal / deals for deal in new])
    backlog = [users * (GISTS_EACH + 1) for users in USERS]
    yield _row("creates at the first start", backlog)
    for plan, deals in day.items():
        yield _row(f"days for them with one seat of {plan} ({deals:,} a day)", [creates / deals for creates in backlog])
    for plan, deals in OPEN_DEALS.items():
        yield _row(f"seats of {plan} to hold them open", [users * GISTS_EACH / deals for users in USERS])


def _row(name: str, values: Sequence[float]) -> str:
    return f"| {name} | " + " | ".join(_told(value) for value in values) + " |"


def _told(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 0.1 else "below 0.1"


if __name__ == "__main__":
    for line in table():
        sys.stdout.write(f"{line}\n")
