"""What GitHub allows a client, and how it says so.

Sources: docs.github.com/rest, "Rate limits for the REST API"; docs.github.com/graphql, "Rate limits and query limits";
and refusals that others recorded.
"""

import math

from msgspec import Struct
from msgspec.structs import replace

from pipetest.domain.model import Reply
from pipetest.sandbox.limits import GENEROUS, RollingCount
from pipetest.sandbox.replies import as_json, github_error

GRAPHQL = "/graphql"
CORE = "core"

HOUR_S = 3600.0
MINUTE_S = 60.0


class Window(Struct):
    """An hour of the primary limit; it begins with the client's first request."""

    ends_at: float
    used: int = 0


class GitHubLimits:
    """The primary limit, requests per hour and client; and the secondary one, points per minute. GraphQL has a primary
    one of its own, ``graphql_points`` an hour: each query costs one, as none is of more than 149 accounts.

    The real ones are 60 an hour without a token, 5,000 with one, 5,000 for GraphQL, and 900 points a minute. A refusal
    is a 403 or a 429, as ``primary_status`` and ``secondary_status`` say; it names its wait where ``…_retry_after`` is
    set. GraphQL refuses with status 200.
    """

    def __init__(self) -> None:
        self.without_token = GENEROUS
        self.with_token = GENEROUS
        self.points = GENEROUS
        self.graphql_points = GENEROUS
        self.primary_status = 403
        self.primary_retry_after = False
        self.secondary_status = 429
        self.secondary_retry_after = True
        self._windows: dict[tuple[str, str], Window] = {}
        self._recent = RollingCount(MINUTE_S)

    def refuse(self, client: str, route: str, now: float) -> Reply | None:
        resource = _resource(route)
        window = self._window(client, resource, now)
        if window.used >= self._limit(client, resource):
            return self._used_up(client, resource, now)
        if resource != CORE:
            return None
        if self._recent.at(now) >= self.points:
            wait = {"retry-after": "60"} if self.secondary_retry_after else {}
            text = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
            return github_error(self.secondary_status, text, self._headers(client, CORE, now) | wait)
        return None

    def _used_up(self, client: str, resource: str, now: float) -> Reply:
        headers = self._headers(client, resource, now)
        if resource != CORE:  # a refusal with status 200
            error = {"type": "RATE_LIMITED", "message": "API rate limit exceeded."}
            return as_json(200, {"data": None, "errors": [error]}, headers)
        window = self._window(client, resource, now)
        wait = {"retry-after": str(math.ceil(window.ends_at - now))} if self.primary_retry_after else {}
        return github_error(self.primary_status, "API rate limit exceeded.", headers | wait)

    def count(self, client: str, route: str, reply: Reply, now: float) -> Reply:
        """A 304 does not count for the primary limit, but only for a client with a token."""
        resource = _resource(route)
        if resource == CORE:
            self._recent.add(now)
        if client == "" or reply.status != 304:
            self._window(client, resource, now).used += 1
        return replace(reply, headers={**reply.headers, **self._headers(client, resource, now)})

    def _limit(self, client: str, resource: str) -> int:
        if resource != CORE:
            return self.graphql_points
        return self.with_token if client else self.without_token

    def _window(self, client: str, resource: str, now: float) -> Window:
        window = self._windows.get((client, resource))
        if window is None or now >= window.ends_at:
            window = self._windows[client, resource] = Window(math.floor(now) + HOUR_S)
        return window

    def _headers(self, client: str, resource: str, now: float) -> dict[str, str]:
        window, limit = self._window(client, resource, now), self._limit(client, resource)
        return {
            "x-ratelimit-limit": str(limit),
            "x-ratelimit-remaining": str(max(0, limit - window.used)),
            "x-ratelimit-used": str(window.used),
            "x-ratelimit-reset": str(int(window.ends_at)),
            "x-ratelimit-resource": resource,
        }


def _resource(route: str) -> str:
    return "graphql" if route.endswith(GRAPHQL) else CORE
