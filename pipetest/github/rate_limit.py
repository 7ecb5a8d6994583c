"""GitHub's limits: requests an hour, points a minute, few at once (GitHub docs: rate limits for the REST API)."""

from collections.abc import Sequence
from math import inf

from msgspec import Struct
from msgspec.structs import replace

from pipetest.domain.backoff import backoff
from pipetest.domain.model import Reply, Request
from pipetest.ratelimit.cooldown import Cooldown
from pipetest.ratelimit.policy import Cost, Instant, Permit, SavedLimits, Usage, known, number, retry_after
from pipetest.ratelimit.windows import Remaining, SlidingWindow

AT_ONCE = 8
"""GitHub asks for a queue rather than concurrency; a few hide its answer times."""

POINTS_A_MINUTE = 900
FEW_POINTS = 90
"""So few are forgotten at a restart: they are not worth a commit after every scan."""

MINUTE_S = 60.0
HOUR_S = 3600.0

RESET_MARGIN_S = 1.0
"""The reset is told in whole seconds."""

SAME_WINDOW_S = 5.0
"""Resets that differ by less are one window, as several servers of GitHub tell it."""

FREE_SHARE = 0.5
"""Without a token, this part of an hour's requests may go at once; the others are spread over the hour, so that fresh
gists are still seen at its end."""

UNTOLD_FIRST_S = 60.0
UNTOLD_LONGEST_S = 3600.0


class Throttle(Struct, frozen=True):
    """GitHub limits the whole client: ``wait`` is in seconds, None where it names none."""

    wait: float | None


def throttle(reply: Reply, wall: float) -> Throttle | None:
    """What a 403 or 429 says about limits, in the order GitHub's documentation asks for; None if it is none of them."""
    if reply.status not in (403, 429):
        return None
    if (wait := retry_after(reply)) is not None:
        return Throttle(wait)
    reset_at = number(reply.headers, "x-ratelimit-reset")
    if number(reply.headers, "x-ratelimit-remaining") == 0 and reset_at is not None:
        return Throttle(min(HOUR_S, max(0.0, reset_at - wall)) + RESET_MARGIN_S)
    if reply.status == 429 or b"rate limit" in reply.body.lower():
        return Throttle(None)
    return None


class Window(Struct, frozen=True):
    """The hour's requests. Unknown at first, and again once it is over: then one request asks.

    Where GitHub tells nothing (GitHub Enterprise as a rule), there is no limit: ``reset_at`` is infinite.
    """

    limit: float = inf
    reset_at: float = -inf
    left: Remaining = Remaining()

    def over(self, wall: float) -> bool:
        return wall >= self.reset_at + RESET_MARGIN_S

    def wait(self, ahead: int, wall: float, *, spread: bool) -> float:
        if self.over(wall):
            return inf if self.left.under_way + ahead else 0.0
        left = self.left.sure - ahead
        if left < 1:
            return self.reset_at + RESET_MARGIN_S - wall
        if not spread or self.limit == inf:
            return 0.0
        return max(0.0, self.reset_at - wall - HOUR_S * left / (self.limit * (1.0 - FREE_SHARE)))

    def begun(self) -> "Window":
        return replace(self, left=self.left.begun(1))

    def ended(self, ticket: Permit, reply: Reply | None, at: Instant, *, free: bool) -> "Window":
        headers = {} if reply is None else reply.headers
        limit = number(headers, "x-ratelimit-limit")
        left = number(headers, "x-ratelimit-remaining")
        reset_at = number(headers, "x-ratelimit-reset")
        ours = headers.get("x-ratelimit-resource", "core") == "core"
        if limit is None or left is None or reset_at is None or not ours:
            return self._ended_untold(ticket, reply, at, free=free)
        reset_at = min(reset_at, at.wall + HOUR_S)
        under_way = self.left.under_way - 1
        if self.over(at.wall) or self.reset_at == inf or reset_at > self.reset_at + SAME_WINDOW_S:
            return Window(limit, reset_at, Remaining(left, under_way, ended_at=at.monotonic))
        if reset_at < self.reset_at - SAME_WINDOW_S:
            left = None  # an answer from the window before
        return Window(limit, self.reset_at, self.left.ended(ticket, 1, left, at.monotonic, taken=0))

    def _ended_untold(self, ticket: Permit, reply: Reply | None, at: Instant, *, free: bool) -> "Window":
        if self.over(at.wall) and reply is not None and reply.status < 400:
            return Window(inf, inf, Remaining(inf, self.left.under_way - 1))
        return replace(self, left=self.left.ended(ticket, 1, None, at.monotonic, taken=0 if free else 1))


class GitHubRateLimit(Struct, frozen=True):
    """All that is known of GitHub's limits for one token, or for none."""

    token: bool
    points: SlidingWindow
    window: Window = Window()
    hold: Cooldown = Cooldown()

    def kind(self, request: Request) -> Cost:
        return Cost()

    def wait(self, kind: Cost, ahead: int, at: Instant) -> float:
        if self.hold.under_way + ahead >= AT_ONCE:
            return inf
        return max(
            self.hold.wait(ahead, at.monotonic),
            self.points.wait(ahead, at.monotonic),
            self.window.wait(ahead, at.wall, spread=not self.token),
        )

    def begun(self, kind: Cost, at: Instant) -> tuple["GitHubRateLimit", Permit]:
        ticket = Permit(kind, at.monotonic, self.hold.turn)
        begun = replace(self, points=self.points.begun(), window=self.window.begun(), hold=self.hold.begun())
        return begun, ticket

    def ended(self, ticket: Permit, reply: Reply | None, at: Instant, chance: float) -> "GitHubRateLimit":
        free = self.token and reply is not None and reply.status == 304
        return replace(
            self,
            points=self.points.ended(at.monotonic),
            window=self.window.ended(ticket, reply, at, free=free),
            hold=self._held(ticket, reply, at, chance),
        )

    def _held(self, ticket: Permit, reply: Reply | None, at: Instant, chance: float) -> Cooldown:
        if reply is None or reply.status >= 500:
            return self.hold.failed(ticket, at.monotonic, chance)
        limited = throttle(reply, at.wall)
        if limited is None:
            return self.hold.answered(ticket)
        untold = backoff(self.hold.attempts(ticket), first=UNTOLD_FIRST_S, longest=UNTOLD_LONGEST_S)
        return self.hold.refused(ticket, untold if limited.wait is None else limited.wait, at.monotonic, chance)

    def gauges(self, at: Instant) -> Sequence[Usage]:
        window = Window() if self.window.over(at.wall) else self.window
        left = known(max(0.0, window.left.sure))
        return [Usage("requests this hour", known(window.limit), left, reset_at=known(window.reset_at))]

    def kept(self, at: Instant) -> SavedLimits:
        """The hour only where it is used up: else the next answer tells better."""
        kept = SavedLimits(self.hold.resumes_at(at), anonymous=not self.token)
        if not self.window.over(at.wall) and self.window.left.sure < 1:
            kept = replace(kept, limit=self.window.limit, left=0.0, ends_at=self.window.reset_at)
        if (points := self.points.held(at.monotonic)) > FEW_POINTS:
            free_in = self.points.free_at(at.monotonic) - at.monotonic
            kept = replace(kept, points=points, points_end_at=at.wall + free_in)
        return kept

    def restored(self, kept: SavedLimits, at: Instant) -> "GitHubRateLimit":
        if kept.anonymous == self.token:
            return self  # what GitHub told a client with a token says nothing of one without, nor the reverse
        window, minute = self.window, min(MINUTE_S, kept.points_end_at - at.wall)
        if kept.left is not None and kept.ends_at <= at.wall + HOUR_S:
            window = Window(kept.limit, kept.ends_at, Remaining(kept.left))
        points = replace(self.points, foreign=kept.points, foreign_until=at.monotonic + minute)
        return replace(self, window=window, points=points, hold=self.hold.resumed(kept.resumes_at, at))


def github_rate_limit(*, token: bool, host: str) -> GitHubRateLimit:
    """Nothing known yet. GitHub Enterprise counts no points by default."""
    points = POINTS_A_MINUTE if host == "api.github.com" else inf
    return GitHubRateLimit(token, SlidingWindow(points, MINUTE_S))
