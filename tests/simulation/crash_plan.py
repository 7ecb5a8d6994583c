"""When and how an instance of the daemon ends; drawn before it starts."""

from random import Random

from msgspec import Struct

from pipetest.domain.model import Request
from tests.simulation.requests import creates

MOMENTS = ("before a request", "after a request", "at a step of the disk", "at any time", "in order", "never")
BEFORE, AFTER, DISK, TIME, STOP, NEVER = MOMENTS

_WEIGHTS = (3, 4, 5, 1, 2, 1)
_MEAN_COUNTS = (1.5, 6.0, 40.0)
_MEAN_TIME_S = 3 * 3600.0


class CrashPlan(Struct):
    """The instance ends when ``moment`` has come ``count`` times; for those of time, ``seconds`` after its start.

    ``creates_only``: requests count only if they create something. ``power_cut``: the machine stops with the process.
    ``loses_database``: its database goes with it, and another one is started at once.
    """

    moment: str = NEVER
    count: int = 0
    seconds: float = 0.0
    creates_only: bool = False
    power_cut: bool = False
    loses_database: bool = False

    @classmethod
    def draw(cls, random: Random) -> "CrashPlan":
        """Mostly soon after the start, when most can go wrong."""
        return cls(
            moment=random.choices(MOMENTS, _WEIGHTS)[0],
            count=1 + int(random.expovariate(1.0 / random.choice(_MEAN_COUNTS))),
            seconds=random.expovariate(1.0 / random.choice((60.0, _MEAN_TIME_S))),
            creates_only=random.random() < 0.7,
            power_cut=random.random() < 0.5,
        )

    @classmethod
    def draw_loss(cls, random: Random) -> "CrashPlan":
        """At a create whose record nothing here will tell of."""
        return cls(AFTER, count=1 + int(random.expovariate(1.0 / 3.0)), creates_only=True, loses_database=True)

    def crashes_at(self, moment: str, request: Request | None = None) -> bool:
        """Count this moment. True for the last one, and only once."""
        if moment != self.moment or (self.creates_only and request is not None and not creates(request)):
            return False
        self.count -= 1
        return self.count == 0
