"""GitHub's limits. Of REST: requests an hour, points a minute, few at once (GitHub docs: rate limits for the REST API).
Of GraphQL: points an hour, of which a query of ours costs one (GraphQL API: rate limits and query limits). Pure."""

from collections.abc import Sequence
from math import inf

from msgspec import Struct, convert
from msgspec.structs import replace

from pipetest.domain.backoff import backoff
from pipetest.domain.model import POINTS_A_MINUTE, Reply, Request
from pipetest.domain.status import Quota
from pipetest.github.responses import HOUR_S, RESET_MARGIN_S, THROTTLED_FIRST_S, throttle
from pipetest.http.headers import number
from pipetest.ratelimit.cooldown import Cooldown
from pipetest.ratelimit.policy import Cost, Instant, Permit, SavedLimits, finite
from pipetest.ratelimit.windows import Remaining, SlidingWindow

MAX_CONCURRENT = 8
"""GitHub asks for a queue rather than concurrency; a few hide its answer times."""

GRAPHQL_POINTS_A_MINUTE = 2_000
FEW_POINTS = 90
"""So few are forgotten at a restart: they are not worth a commit after every scan."""

MINUTE_S = 60.0

SAME_WINDOW_S = 5.0
"""Resets that differ by less are one window, as several servers of GitHub report it."""

BURST_SHARE = 0.5
"""Without a token, this part of an hour's requests may go at once; the others are spread over the hour, so that new
gists are still seen at its end."""

THROTTLED_LONGEST_S = 3600.0


class HourlyWindow(Struct, frozen=True):
    """The hour's requests. Unknown at first, and again once the hour is over: then one request asks.

    Where GitHub reports nothing (GitHub Enterprise as a rule), there is no limit: ``reset_at`` is infinite.
    ``resource`` is what GitHub calls it.
    """

    limit: float = inf
    reset_at: float = -inf
    left: Remaining = Remaining()
    resource: str = "core"

    def over(self, wall: float) -> bool:
        """Whether nothing is known any more; nor is where the clock was set back, as no hour ends later than in one."""
        ends_in = self.reset_at - wall
        return ends_in <= -RESET_MARGIN_S or HOUR_S + SAME_WINDOW_S < ends_in < inf

    def wait(self, ahead: int, wall: float, *, spread: bool) -> float:
        if self.over(wall):
            return inf if self.left.under_way + ahead else 0.0
        left = self.left.available - ahead
        if left < 1:
            return self.reset_at + RESET_MARGIN_S - wall
        if not spread or self.limit == inf:
            return 0.0
        spread_out = max(1.0, self.limit) * (1.0 - BURST_SHARE)  # some report a limit of nothing
        return max(0.0, self.reset_at - wall - HOUR_S * left / spread_out)

    def started(self) -> "HourlyWindow":
        return replace(self, left=self.left.started(1))

    def finished(self, permit: Permit, reply: Reply | None, at: Instant, *, free: bool) -> "HourlyWindow":
        headers = {} if reply is None else reply.headers
        limit = number(headers, "x-ratelimit-limit")
        left = number(headers, "x-ratelimit-remaining")
        reset_at = number(headers, "x-ratelimit-reset")
        ours = headers.get("x-ratelimit-resource", self.resource) == self.resource
        if limit is None or left is None or reset_at is None or not ours:
            return self._finished_unreported(permit, reply, at, free=free)
        reset_at = min(reset_at, at.wall + HOUR_S)
        under_way = self.left.under_way - 1
        if self.over(at.wall) or self.reset_at == inf or reset_at > self.reset_at + SAME_WINDOW_S:
            remaining = Remaining(left, under_way, last_finished=at.monotonic)
            return replace(self, limit=limit, reset_at=reset_at, left=remaining)
        if reset_at < self.reset_at - SAME_WINDOW_S:
            left = None  # an answer from the window before
        return replace(self, limit=limit, left=self.left.finished(permit, 1, left, at.monotonic, taken=0))

    def _finished_unreported(self, permit: Permit, reply: Reply | None, at: Instant, *, free: bool) -> "HourlyWindow":
        if self.over(at.wall) and reply is not None and reply.status < 400:
            return replace(self, limit=inf, reset_at=inf, left=Remaining(inf, self.left.under_way - 1))
        return replace(self, left=self.left.finished(permit, 1, None, at.monotonic, taken=0 if free else 1))


class SavedGitHubLimits(SavedLimits, frozen=True, kw_only=True):
    """No more than ``left`` of the hour's ``limit`` remains until ``ends_at``. ``points`` are taken until
    ``points_end_at``. ``anonymous``: all of this was reported to a client without a token."""

    limit: float = 0.0
    left: float | None = None
    ends_at: float = 0.0
    points: float = 0
    points_end_at: float = 0.0
    anonymous: bool = False


class GitHubRateLimit(Struct, frozen=True):
    """All that is known of GitHub's limits for one token, or for none. Build it with :func:`github_rate_limit` or
    :func:`graphql_rate_limit`. ``counts`` tells people what is counted."""

    token: bool
    points: SlidingWindow
    hour: HourlyWindow = HourlyWindow()
    cooldown: Cooldown = Cooldown()
    most_at_once: int = MAX_CONCURRENT
    counts: str = "requests this hour"

    def cost(self, request: Request) -> Cost:
        return Cost()

    def wait(self, cost: Cost, ahead: int, at: Instant) -> float:
        if self.cooldown.under_way + ahead >= self.most_at_once:
            return inf
        return max(
            self.cooldown.wait(ahead, at.monotonic),
            self.points.wait(ahead, at.monotonic),
            self.hour.wait(ahead, at.wall, spread=not self.token),
        )

    def started(self, cost: Cost, at: Instant) -> tuple["GitHubRateLimit", Permit]:
        started = replace(
            self, points=self.points.started(), hour=self.hour.started(), cooldown=self.cooldown.started()
        )
        return started, Permit(cost, at.monotonic, self.cooldown.waits)

    def finished(self, permit: Permit, reply: Reply | None, at: Instant, jitter: float) -> "GitHubRateLimit":
        free = self.token and reply is not None and reply.status == 304
        return replace(
            self,
            points=self.points.finished(at.monotonic),
            hour=self.hour.finished(permit, reply, at, free=free),
            cooldown=self._cooldown_after(permit, reply, at, jitter),
        )

    def _cooldown_after(self, permit: Permit, reply: Reply | None, at: Instant, jitter: float) -> Cooldown:
        if reply is None or reply.status >= 500:
            return self.cooldown.failed(permit, at.monotonic, jitter)
        throttled = throttle(reply, at.wall)
        if throttled is None:
            return self.cooldown.answered(permit)
        wait = throttled.wait
        if wait is None:
            wait = backoff(self.cooldown.attempts(permit), first=THROTTLED_FIRST_S, longest=THROTTLED_LONGEST_S)
        return self.cooldown.refused(permit, wait, at.monotonic, jitter)

    # --- for people, and for the next start ---------------------------------------------------------------------------

    def usage(self, at: Instant) -> Sequence[Quota]:
        hour = HourlyWindow() if self.hour.over(at.wall) else self.hour
        left = finite(max(0.0, hour.left.available))
        return [
            Quota(
                service="GitHub",
                name=self.counts,
                limit=finite(hour.limit),
                left=left,
                reset_at=finite(hour.reset_at),
            )
        ]

    def saved(self, at: Instant) -> SavedGitHubLimits:
        """The hour only where it is used up: else the next answer tells better."""
        saved = SavedGitHubLimits(resumes_at=self.cooldown.resumes_at(at), anonymous=not self.token)
        if not self.hour.over(at.wall) and self.hour.left.available < 1:
            saved = replace(saved, limit=self.hour.limit, left=0.0, ends_at=self.hour.reset_at)
        if (points := self.points.used(at.monotonic)) > FEW_POINTS:
            free_in = self.points.last_release(at.monotonic) - at.monotonic
            saved = replace(saved, points=points, points_end_at=at.wall + free_in)
        return saved

    def restored(self, stored: object, at: Instant) -> "GitHubRateLimit":
        saved = convert(stored, SavedGitHubLimits)
        if saved.anonymous == self.token:
            return self  # what GitHub told a client with a token says nothing of one without, nor the reverse
        hour, minute = self.hour, min(MINUTE_S, saved.points_end_at - at.wall)
        if saved.left is not None and saved.ends_at <= at.wall + HOUR_S:
            hour = replace(hour, limit=saved.limit, reset_at=saved.ends_at, left=Remaining(saved.left))
        points = replace(self.points, used_by_others=saved.points, used_by_others_until=at.monotonic + minute)
        return replace(self, hour=hour, points=points, cooldown=self.cooldown.restored(saved.resumes_at, at))


def github_rate_limit(*, token: bool, host: str) -> GitHubRateLimit:
    """Nothing known yet. GitHub Enterprise counts no points by default."""
    points = POINTS_A_MINUTE if host == "api.github.com" else inf
    return GitHubRateLimit(token, SlidingWindow(points, MINUTE_S))


def graphql_rate_limit(host: str) -> GitHubRateLimit:
    """Nothing known yet of what GraphQL allows a token. Queries go one at a time: so they never take more than the 60 s
    of processor time a minute that are allowed."""
    points = GRAPHQL_POINTS_A_MINUTE if host == "api.github.com" else inf
    return GitHubRateLimit(
        True,
        SlidingWindow(points, MINUTE_S),
        HourlyWindow(resource="graphql"),
        most_at_once=1,
        counts="GraphQL points this hour",
    )
