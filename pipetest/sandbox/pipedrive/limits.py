"""What Pipedrive allows a company, and how it says so.

Sources: Pipedrive's "Rate limiting" and the token prices in its API reference; and refusals that others recorded.
"""

import math
from collections.abc import Mapping

from msgspec.structs import replace

from pipetest.domain.model import Reply
from pipetest.sandbox.limits import GENEROUS, RollingCount
from pipetest.sandbox.replies import as_html, pipedrive_error

BURST_S = 2.0
DAY_S = 24 * 3600.0
IGNORED_WITHIN_S = 10.0
PRICES: Mapping[str, int] = {
    "POST /api/v2/organizations": 5,
    "POST /api/v2/deals": 5,
    "PATCH /api/v2/organizations/{id}": 5,
    "PATCH /api/v2/deals/{id}": 5,
    "GET /api/v1/users": 20,
    "GET /api/v1/users/me": 2,
    "GET /api/v2/pipelines": 5,
    "GET /api/v2/stages": 5,
    "GET /api/v2/dealFields": 10,
    "GET /api/v2/organizationFields": 10,
    "GET /api/v2/organizations": 10,
    "GET /api/v2/deals": 10,
    "GET /api/v2/deals/archived": 20,
    "GET /api/v2/organizations/search": 20,
    "GET /api/v2/organizations/{id}": 1,
    "GET /api/v2/deals/{id}": 1,
}
"""Tokens that each call costs, whether it succeeds or not."""


class PipedriveLimits:
    """Requests per rolling two seconds, searches counted apart; tokens and writes per UTC day, where None is no limit
    and no header.

    The real ones are a burst of 20 to 120 and 10 searches, 30,000 tokens or more, and 10,000 writes.
    ``daily_retry_after``: whether the daily refusal names its wait. ``block_after``: after more refusals than this
    within ten seconds, a web page refuses everything for ``block_s`` seconds; None: never.
    """

    def __init__(self) -> None:
        self.burst = GENEROUS
        self.search_burst = GENEROUS
        self.daily_tokens: int | None = GENEROUS
        self.daily_writes: int | None = None
        self.daily_retry_after = True
        self.block_after: int | None = None
        self.block_s = 300.0
        self.tokens_used = 0
        self._writes_used = 0
        self._requests = RollingCount(BURST_S)
        self._searches = RollingCount(BURST_S)
        self._refusals = RollingCount(IGNORED_WITHIN_S)
        self._blocked_until = 0.0
        self._day = 0

    def refuse(self, client: str, route: str, now: float) -> Reply | None:
        self._begin_day(now)
        if now < self._blocked_until:
            return as_html(403, "Access denied: you have been blocked")
        if self._day_is_spent(route):
            wait = {"retry-after": str(math.ceil((self._day + 1) * DAY_S - now))} if self.daily_retry_after else {}
            return self._refusal("daily request budget exceeded", self._headers(route, now) | wait, now)
        if self._remaining(route, now) > 0:
            return None
        return self._refusal("request over limit", self._headers(route, now), now)

    def count(self, client: str, route: str, reply: Reply, now: float) -> Reply:
        self._recent(route).add(now)
        self.tokens_used += PRICES.get(route, 0)
        self._writes_used += route.startswith("POST")
        return replace(reply, headers={**reply.headers, **self._headers(route, now)})

    def _begin_day(self, now: float) -> None:
        day = int(now // DAY_S)
        if day != self._day:
            self._day, self.tokens_used, self._writes_used = day, 0, 0

    def _day_is_spent(self, route: str) -> bool:
        return (self.daily_tokens is not None and self.tokens_used + PRICES.get(route, 0) > self.daily_tokens) or (
            self.daily_writes is not None and route.startswith("POST") and self._writes_used >= self.daily_writes
        )

    def _remaining(self, route: str, now: float) -> int:
        return max(0, self._burst(route) - self._recent(route).at(now))

    def _burst(self, route: str) -> int:
        return self.search_burst if _is_search(route) else self.burst

    def _recent(self, route: str) -> RollingCount:
        return self._searches if _is_search(route) else self._requests

    def _headers(self, route: str, now: float) -> dict[str, str]:
        headers = {
            "x-ratelimit-limit": str(self._burst(route)),
            "x-ratelimit-remaining": str(self._remaining(route, now)),
            "x-ratelimit-reset": str(math.ceil(self._recent(route).frees_at(now) - now)),
        }
        if self.daily_tokens is not None:
            headers["x-daily-ratelimit-token-limit"] = str(self.daily_tokens)
            headers["x-daily-ratelimit-token-remaining"] = str(max(0, self.daily_tokens - self.tokens_used))
        if self.daily_writes is not None:
            headers["x-daily-requests-left"] = str(max(0, self.daily_writes - self._writes_used))
        return headers

    def _refusal(self, error: str, headers: Mapping[str, str], now: float) -> Reply:
        """A 429. A client that keeps on asking is blocked in the end."""
        self._refusals.add(now)
        refusals = self._refusals.at(now)
        if self.block_after is not None and refusals > self.block_after:
            self._blocked_until = now + self.block_s
        return pipedrive_error(429, error, headers, errorCode=429)


def _is_search(route: str) -> bool:
    return route.endswith("/search")
