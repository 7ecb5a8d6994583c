"""What the two services allow a client, and how they say so. Generous unless told otherwise.

Sources: docs.github.com/rest, "Rate limits for the REST API"; Pipedrive's "Rate limiting" and the token prices of its
API reference; and refusals that others recorded. All limits may be changed at any time. Times are seconds since the
epoch.
"""

import math
from collections import deque
from collections.abc import Mapping

from attrs import define, field
from msgspec.structs import replace

from pipetest.domain.model import Reply
from pipetest.sandbox.replies import as_html, github_error, pipedrive_error

GENEROUS = 1_000_000

# --- GitHub -----------------------------------------------------------------------------------------------------------

HOUR_S = 3600.0
MINUTE_S = 60.0


@define
class Window:
    """An hour of the primary limit: begins with the first request."""

    ends: float = 0.0
    used: int = 0


@define
class GitHubLimits:
    """The primary limit per hour and client, and the secondary one, points per minute.

    The real ones: 60 an hour without a token, 5,000 with one, 900 points a minute. A refusal is a 403 or 429, as
    ``primary_status`` and ``secondary_status`` say, and names its wait where ``…_retry_after`` is set.
    """

    without_token: int = GENEROUS
    with_token: int = GENEROUS
    points: int = GENEROUS
    primary_status: int = 403
    primary_retry_after: bool = False
    secondary_status: int = 429
    secondary_retry_after: bool = True
    _windows: dict[str, Window] = field(factory=dict, init=False)
    _recent: deque[float] = field(factory=deque, init=False)

    def refuse(self, who: str, route: str, now: float) -> Reply | None:
        window = self._window(who, now)
        if window.used >= self._limit(who):
            wait = {"retry-after": str(math.ceil(window.ends - now))} if self.primary_retry_after else {}
            return github_error(self.primary_status, "API rate limit exceeded.", self._headers(who, now) | wait)
        _forget(self._recent, now - MINUTE_S)
        if len(self._recent) >= self.points:
            wait = {"retry-after": "60"} if self.secondary_retry_after else {}
            text = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
            return github_error(self.secondary_status, text, self._headers(who, now) | wait)
        return None

    def count(self, who: str, route: str, reply: Reply, now: float) -> Reply:
        """A 304 is free of the primary limit, but only for a client with a token."""
        self._recent.append(now)
        if who == "" or reply.status != 304:
            self._window(who, now).used += 1
        return replace(reply, headers={**reply.headers, **self._headers(who, now)})

    def _limit(self, who: str) -> int:
        return self.with_token if who else self.without_token

    def _window(self, who: str, now: float) -> Window:
        window = self._windows.get(who)
        if window is None or now >= window.ends:
            window = self._windows[who] = Window(math.floor(now) + HOUR_S)
        return window

    def _headers(self, who: str, now: float) -> dict[str, str]:
        window, limit = self._window(who, now), self._limit(who)
        return {
            "x-ratelimit-limit": str(limit),
            "x-ratelimit-remaining": str(max(0, limit - window.used)),
            "x-ratelimit-used": str(window.used),
            "x-ratelimit-reset": str(int(window.ends)),
            "x-ratelimit-resource": "core",
        }


def _forget(times: deque[float], until: float) -> None:
    while times and times[0] <= until:
        times.popleft()


# --- Pipedrive --------------------------------------------------------------------------------------------------------

BURST_S = 2.0
DAY_S = 24 * HOUR_S
IGNORED_WITHIN_S = 10.0
PRICES: Mapping[str, int] = {
    "POST /api/v2/organizations": 5,
    "POST /api/v2/deals": 5,
    "GET /api/v2/organizations": 10,
    "GET /api/v2/deals": 10,
    "GET /api/v2/deals/archived": 20,
    "GET /api/v2/organizations/search": 20,
    "GET /api/v2/organizations/{id}": 1,
    "GET /api/v2/deals/{id}": 1,
}
"""Tokens for each call, whether it succeeds or not."""


@define
class PipedriveLimits:
    """Requests per rolling two seconds, search apart; tokens and writes per UTC day, None: no limit and no header.

    The real ones: a burst of 20 to 120 and 10 searches, tokens from 30,000, 10,000 writes. ``daily_retry_after``:
    whether the daily refusal names its wait. ``block_after``: so many requests refused within ten seconds, and all are
    refused with a web page for ``block_s`` seconds; None: never.
    """

    burst: int = GENEROUS
    search_burst: int = GENEROUS
    daily_tokens: int | None = GENEROUS
    daily_writes: int | None = None
    daily_retry_after: bool = True
    block_after: int | None = None
    block_s: float = 300.0
    _recent: dict[bool, deque[float]] = field(factory=lambda: {False: deque(), True: deque()}, init=False)
    _ignored: deque[float] = field(factory=deque, init=False)
    _blocked_until: float = field(default=0.0, init=False)
    _day: int = field(default=0, init=False)
    tokens_used: int = field(default=0, init=False)
    writes: int = field(default=0, init=False)

    def refuse(self, who: str, route: str, now: float) -> Reply | None:
        self._turn_day(now)
        if now < self._blocked_until:
            return as_html(403, "Access denied: you have been blocked")
        if self._spent(route):
            wait = {"retry-after": str(math.ceil((self._day + 1) * DAY_S - now))} if self.daily_retry_after else {}
            return self._refusal("daily request budget exceeded", self._headers(route, now) | wait, now)
        if self._left(route, now) > 0:
            return None
        return self._refusal("request over limit", self._headers(route, now), now)

    def count(self, who: str, route: str, reply: Reply, now: float) -> Reply:
        self._recent[_is_search(route)].append(now)
        self.tokens_used += PRICES.get(route, 0)
        self.writes += route.startswith("POST")
        return replace(reply, headers={**reply.headers, **self._headers(route, now)})

    def _turn_day(self, now: float) -> None:
        day = int(now // DAY_S)
        if day != self._day:
            self._day, self.tokens_used, self.writes = day, 0, 0

    def _spent(self, route: str) -> bool:
        return (self.daily_tokens is not None and self.tokens_used + PRICES.get(route, 0) > self.daily_tokens) or (
            self.daily_writes is not None and route.startswith("POST") and self.writes >= self.daily_writes
        )

    def _left(self, route: str, now: float) -> int:
        recent = self._recent[_is_search(route)]
        _forget(recent, now - BURST_S)
        return max(0, self._burst(route) - len(recent))

    def _burst(self, route: str) -> int:
        return self.search_burst if _is_search(route) else self.burst

    def _headers(self, route: str, now: float) -> dict[str, str]:
        left = self._left(route, now)
        oldest = next(iter(self._recent[_is_search(route)]), now)
        headers = {
            "x-ratelimit-limit": str(self._burst(route)),
            "x-ratelimit-remaining": str(left),
            "x-ratelimit-reset": str(math.ceil(oldest + BURST_S - now)),
        }
        if self.daily_tokens is not None:
            headers["x-daily-ratelimit-token-limit"] = str(self.daily_tokens)
            headers["x-daily-ratelimit-token-remaining"] = str(max(0, self.daily_tokens - self.tokens_used))
        if self.daily_writes is not None:
            headers["x-daily-requests-left"] = str(max(0, self.daily_writes - self.writes))
        return headers

    def _refusal(self, error: str, headers: Mapping[str, str], now: float) -> Reply:
        """A 429; who goes on all the same is shut out in the end."""
        self._ignored.append(now)
        _forget(self._ignored, now - IGNORED_WITHIN_S)
        if self.block_after is not None and len(self._ignored) > self.block_after:
            self._blocked_until = now + self.block_s
        return pipedrive_error(429, error, headers, errorCode=429)


def _is_search(route: str) -> bool:
    return route.endswith("/search")
