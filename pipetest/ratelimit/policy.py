"""What a rate limit answers: when may the next request go? And the values that it is asked with. Pure.

A rate limit is a frozen value. It is told when a request starts and when it has finished, and says how long the next
one has to wait. It assumes the worst of what it cannot know: a request under way counts, since the service may count
it at any time.
"""

from collections.abc import Sequence
from math import isfinite
from typing import Protocol, Self

from msgspec import Struct

from pipetest.domain.model import Reply, Request
from pipetest.domain.status import Quota


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
    """Lets one request go. It started at ``started`` (monotonic), after so many ``waits`` of the cooldown.

    ``oldest_counted`` is the number of our oldest request that the service may count in one window with it.
    """

    cost: Cost
    started: float
    waits: int
    oldest_counted: int = 0


class SavedLimits(Struct, frozen=True, kw_only=True):
    """What of an API's limits outlives a restart; each API adds fields of its own. Their names are stored.

    It holds what was reported and counted, not what followed from that, as settings may change. Nothing goes before
    ``resumes_at``.
    """

    resumes_at: float = 0.0

    def covers(self, spent: Self) -> bool:
        """Whether a restart from this forgets nothing that we alone have counted in ``spent``."""
        return True

    def counted_ahead(self, tokens: int, stored: Self) -> Self:
        """What to store next, after ``stored``: with this many tokens counted as spent before they are."""
        return self


class RateLimit(Protocol):
    """One API's limits for one key."""

    def cost(self, request: Request) -> Cost: ...

    def wait(self, cost: Cost, ahead: int, at: Instant) -> float:
        """Seconds until one more request may start behind ``ahead`` others of its cost; infinite while that depends on
        what is under way."""

    def started(self, cost: Cost, at: Instant) -> tuple[Self, Permit]: ...

    def finished(self, permit: Permit, reply: Reply | None, at: Instant, jitter: float) -> Self:
        """``reply`` is None where no usable answer came back; ``jitter`` in [0, 1) spreads waits."""

    def usage(self, at: Instant) -> Sequence[Quota]:
        """How much of each limit is used, for people."""

    def saved(self, at: Instant) -> SavedLimits: ...

    def restored(self, stored: object, at: Instant) -> Self:
        """From what was :meth:`saved`, or from the same as JSON.

        :raises ValidationError: ``stored`` is neither.
        """


def finite(value: float) -> float | None:
    """A number for people: None where there is no limit."""
    return value if isfinite(value) else None
