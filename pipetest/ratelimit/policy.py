"""When may the next request go? Rules over what is known: the answers' headers and our own count. Pure.

A quota is a frozen value. It is told when a request begins and ends, and says how long the next one has to wait. What
it cannot know, it assumes the worst of: a request under way counts, whenever the service may note it.
"""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Protocol, Self

from msgspec import Struct

from pipetest.domain.model import Reply, Request

LONGEST_TOLD_S = 24 * 3600.0
"""No service has a reason to send us away for longer than a day: a longer wait is taken for a mistake."""


class Instant(Struct, frozen=True):
    """Now, on both clocks: ``monotonic`` for waits, ``wall`` (since the epoch) for hours and days of a service."""

    monotonic: float
    wall: float


class Cost(Struct, frozen=True):
    """What a request counts as; ``price`` is in the service's own currency."""

    price: int = 1
    writes: bool = False
    searches: bool = False


class Permit(Struct, frozen=True):
    """A request under way: when it began (monotonic), under which turn of the hold, and which place it took among all
    that were ever begun, counted from those that held a slot then."""

    kind: Cost
    begun: float
    turn: int
    place: int = 0


class Usage(Struct, frozen=True):
    """One limit as people see it; None is not known, or not limited."""

    name: str
    limit: float | None
    left: float | None
    used: float | None = None
    reset_at: float | None = None


class SavedLimits(Struct, frozen=True):
    """What of a quota outlives a restart: what was told and counted, not what followed from it, as settings may change.

    Told to wait, nothing goes before ``resumes_at``. On a UTC ``day`` so many tokens were ``used``, and ``posts`` are
    left. No more than ``left`` of the ``limit`` remains until ``ends_at``. ``points`` are taken until
    ``points_end_at``. ``anonymous``: all of this was told to a client without a token.
    """

    resumes_at: float = 0.0
    day: int = 0
    used: int = 0
    posts: float | None = None
    limit: float = 0.0
    left: float | None = None
    ends_at: float = 0.0
    points: float = 0
    points_end_at: float = 0.0
    anonymous: bool = False


class RateLimit(Protocol):
    """One API's limits for one key."""

    def kind(self, request: Request) -> Cost: ...

    def wait(self, kind: Cost, ahead: int, at: Instant) -> float:
        """Seconds until one more request may begin behind ``ahead`` others of its kind; infinite while that depends on
        what is under way."""

    def begun(self, kind: Cost, at: Instant) -> tuple[Self, Permit]: ...

    def ended(self, ticket: Permit, reply: Reply | None, at: Instant, chance: float) -> Self:
        """``reply`` is None where no usable answer came back; ``chance`` in [0, 1) spreads what waits."""

    def gauges(self, at: Instant) -> Sequence[Usage]: ...

    def kept(self, at: Instant) -> SavedLimits: ...

    def restored(self, kept: SavedLimits, at: Instant) -> Self: ...


def number(headers: Mapping[str, str], name: str) -> float | None:
    """A header's number, None where it is missing or makes no sense."""
    try:
        value = float(headers[name])
    except (KeyError, ValueError):
        return None
    return value if isfinite(value) and value >= 0 else None


def retry_after(reply: Reply) -> float | None:
    """Seconds that the service asks us to wait, where it does."""
    wait = number(reply.headers, "retry-after")
    return None if wait is None else min(wait, LONGEST_TOLD_S)


def known(value: float) -> float | None:
    """A number for people: None where there is no limit."""
    return value if isfinite(value) else None
