"""What GitHub allows a client, and how it says so.

Sources: docs.github.com/rest, "Rate limits for the REST API"; and refusals that others recorded.
"""

import math

from msgspec import Struct
from msgspec.structs import replace

from pipetest.domain.model import Reply
from pipetest.sandbox.limits import GENEROUS, RollingCount
from pipetest.sandbox.replies import github_error

HOUR_S = 3600.0
MINUTE_S = 60.0


class Window(Struct):
    """An hour of the primary limit; it begins with the client's first request."""

    ends_at: float
    used: int = 0


class GitHubLimits:
    """The primary limit, requests per hour and client; and the secondary one, points per minute.

    The real ones are 60 an hour without a token, 5,000 with one, and 900 points a minute. A refusal is a 403 or a 429,
    as ``primary_status`` and ``secondary_status`` say; it names its wait where ``…_retry_after`` is set.
    """

    def __init__(self) -> None:
        self.without_token = GENEROUS
        self.with_token = GENEROUS
        self.points = GENEROUS
        self.primary_status = 403
        self.primary_retry_after = False
        self.secondary_status = 429
        self.secondary_retry_after = True
        self._windows: dict[str, Window] = {}
        self._recent = RollingCount(MINUTE_S)

    def refuse(self, client: str, route: str, now: float) -> Reply | None:
        window = self._window(client, now)
        if window.used >= self._limit(client):
            wait = {"retry-after": str(math.ceil(window.ends_at - now))} if self.primary_retry_after else {}
            return github_error(self.primary_status, "API rate limit exceeded.", self._headers(client, now) | wait)
        if self._recent.at(now) >= self.points:
            wait = {"retry-after": "60"} if self.secondary_retry_after else {}
            text = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
            return github_error(self.secondary_status, text, self._headers(client, now) | wait)
        return None

    def count(self, client: str, route: str, reply: Reply, now: float) -> Reply:
        """A 304 does not count for the primary limit, but only for a client with a token."""
        self._recent.add(now)
        if client == "" or reply.status != 304:
            self._window(client, now).used += 1
        return replace(reply, headers={**reply.headers, **self._headers(client, now)})

    def _limit(self, client: str) -> int:
        return self.with_token if client else self.without_token

    def _window(self, client: str, now: float) -> Window:
        window = self._windows.get(client)
        if window is None or now >= window.ends_at:
            window = self._windows[client] = Window(math.floor(now) + HOUR_S)
        return window

    def _headers(self, client: str, now: float) -> dict[str, str]:
        window, limit = self._window(client, now), self._limit(client)
        return {
            "x-ratelimit-limit": str(limit),
            "x-ratelimit-remaining": str(max(0, limit - window.used)),
            "x-ratelimit-used": str(window.used),
            "x-ratelimit-reset": str(int(window.ends_at)),
            "x-ratelimit-resource": "core",
        }
