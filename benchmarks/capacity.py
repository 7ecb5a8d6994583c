"""``python -m benchmarks.capacity``: what the rate limits of GitHub and Pipedrive allow.

It is computed with the daemon's own rules: nothing is sent, and nobody waits. It prints the table in docs/capacity.md.
"""

import heapq
import sys
from collections.abc import Callable, Iterator, Sequence
from math import inf
from typing import Any

from msgspec import Struct

from pipetest.domain.model import Reply, Request
from pipetest.github.graphql import MOST_ACCOUNTS
from pipetest.github.rate_limit import github_rate_limit, graphql_rate_limit
from pipetest.github.responses import HOUR_S
from pipetest.pipedrive.daily_budget import DAY_S
from pipetest.pipedrive.rate_limit import pipedrive_rate_limit
from pipetest.ratelimit.policy import Instant

USERS = (10_000, 100_000, 1_000_000)
HOURLY = 5_000
"""GitHub's requests an hour, with a token."""

ANSWER_S = 0.2
"""How long an answer of either service takes."""

MIDNIGHT = 20_000 * DAY_S
SIMULATED = 20_000
"""So many requests are simulated: more would only go on in the same way."""

GISTS_EACH = 100
NEW_A_MONTH_EACH = 1
MONTH_DAYS = 30.0

PLANS = {"Lite": (30_000, 20), "Growth": (60_000, 40), "Premium": (150_000, 100), "Ultimate": (210_000, 120)}
"""Pipedrive's tokens a day and seat, and its requests in two seconds, by plan."""

OPEN_DEALS = {"Lite": 2_500, "Growth": 5_000, "Premium": 15_000, "Ultimate": 20_000}
"""How many deals a seat may hold open, by plan."""

RESERVE = 0.2

LIST = Request("GET", "https://api.github.com/users/ada/gists", {})
QUERY = Request("POST", "https://api.github.com/graphql", {}, b"{}")
CREATE = Request("POST", "https://company.pipedrive.com/api/v2/deals", {}, b"{}")


class Client:
    """Sends ``request`` as often as asked to, each time as soon as the rate limit allows; ``service`` answers after
    :data:`ANSWER_S`, and is told the time then."""

    def __init__(self, rate_limit: Any, request: Request, service: Callable[[float], Reply]) -> None:
        self.now = 0.0
        self._rate_limit = rate_limit
        self._cost = rate_limit.cost(request)
        self._service = service
        self._in_progress: list[tuple[float, int, Any]] = []

    def send(self, requests: int, until: float = inf) -> int:
        """Send so many, but none after ``until``; how many were sent. ``now`` is then the time of the last answer."""
        for sent in range(requests):
            while (wait := self._rate_limit.wait(self._cost, 0, self._at)) > 0:
                if self._in_progress and self._in_progress[0][0] <= self.now + wait:
                    self._take_answer()
                elif wait == inf or self.now + wait >= until:
                    return sent
                else:
                    self.now += wait
            self._rate_limit, permit = self._rate_limit.started(self._cost, self._at)
            heapq.heappush(self._in_progress, (self.now + ANSWER_S, sent, permit))
        while self._in_progress:
            self._take_answer()
        return requests

    @property
    def _at(self) -> Instant:
        return Instant(self.now, MIDNIGHT + self.now)

    def _take_answer(self) -> None:
        at, _, permit = heapq.heappop(self._in_progress)
        self.now = max(self.now, at)
        self._rate_limit = self._rate_limit.finished(permit, self._service(self.now), self._at, 0.5)


class GitHub:
    """Answers for lists of users: all of them have ``changed``, or none."""

    def __init__(self, *, changed: bool) -> None:
        self._changed = changed
        self._spent = 0
        self._hour = 0

    def __call__(self, now: float) -> Reply:
        hour = int(now // HOUR_S)
        self._spent = (self._spent if hour == self._hour else 0) + self._changed
        self._hour = hour
        headers = {
            "x-ratelimit-limit": f"{HOURLY}",
            "x-ratelimit-remaining": f"{max(0, HOURLY - self._spent)}",
            "x-ratelimit-reset": f"{MIDNIGHT + (hour + 1) * HOUR_S}",
        }
        return Reply(200 if self._changed else 304, headers, b"{}")


class Pipedrive:
    """Answers to creates of deals."""

    def __init__(self, tokens: int, burst: int) -> None:
        self._tokens = tokens
        self._burst = burst
        self._spent = 0

    def __call__(self, now: float) -> Reply:
        self._spent += 5
        headers = {
            "x-ratelimit-limit": f"{self._burst}",
            "x-ratelimit-remaining": f"{self._burst}",
            "x-ratelimit-reset": "2",
            "x-daily-ratelimit-token-limit": f"{self._tokens}",
            "x-daily-ratelimit-token-remaining": f"{self._tokens - self._spent}",
        }
        return Reply(200, headers, b"{}")


class GitHubPace(Struct, frozen=True):
    """How many lists GitHub allows to be read: unchanged ones in a minute, changed ones in an hour."""

    unchanged_a_minute: float
    changed_an_hour: float


def github_pace() -> GitHubPace:
    rate_limit = github_rate_limit(token=True, host="api.github.com")
    unchanged, changed = (Client(rate_limit, LIST, GitHub(changed=changed)) for changed in (False, True))
    unchanged.send(SIMULATED)
    changed.send(SIMULATED)
    return GitHubPace(60 * SIMULATED / unchanged.now, HOUR_S * SIMULATED / changed.now)


def sweep_minutes(users: int) -> float:
    """How long GraphQL's queries about so many users take."""
    client = Client(graphql_rate_limit("api.github.com"), QUERY, GitHub(changed=True))
    client.send(users // MOST_ACCOUNTS)
    return client.now / 60


def deals_a_day(tokens: int, burst: int) -> int:
    """How many creates the rules allow from one midnight (UTC) to the next."""
    rate_limit = pipedrive_rate_limit(ceiling=None, reserve=RESERVE)
    return Client(rate_limit, CREATE, Pipedrive(tokens, burst)).send(10**6, until=DAY_S)


def table() -> Iterator[str]:
    github = github_pace()
    deals_by_plan = {plan: deals_a_day(*allowed) for plan, allowed in PLANS.items()}
    yield "| | " + " | ".join(f"{users:,} users" for users in USERS) + " |"
    yield "|---|" + "---|" * len(USERS)
    yield _row("a scan by REST that finds nothing, minutes", [users / github.unchanged_a_minute for users in USERS])
    yield _row("a scan by GraphQL that finds nothing, minutes", [sweep_minutes(users) for users in USERS])
    yield _row("GraphQL points for it, of 5,000 an hour", [users / MOST_ACCOUNTS for users in USERS])
    yield _row("the first scan, hours", [users / github.changed_an_hour for users in USERS])
    new = [users * NEW_A_MONTH_EACH / MONTH_DAYS for users in USERS]
    yield _row("new deals a day", new)
    for plan, deals in deals_by_plan.items():
        yield _row(f"seats of {plan} for them", [deal / deals for deal in new])
    backlog = [users * (GISTS_EACH + 1) for users in USERS]
    yield _row("creates at the first start", backlog)
    for plan, deals in deals_by_plan.items():
        yield _row(f"days for them with one seat of {plan} ({deals:,} a day)", [creates / deals for creates in backlog])
    for plan, deals in OPEN_DEALS.items():
        yield _row(f"seats of {plan} to hold them open", [users * GISTS_EACH / deals for users in USERS])


def _row(name: str, values: Sequence[float]) -> str:
    return f"| {name} | " + " | ".join(_number(value) for value in values) + " |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 0.1 else "below 0.1"


if __name__ == "__main__":
    for line in table():
        sys.stdout.write(f"{line}\n")
