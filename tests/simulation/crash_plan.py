"""How and when a life of the daemon ends."""

from random import Random

from attrs import define

from pipetest.domain.model import Request

MOMENTS = ("before a request", "after a request", "at a step of the disk", "at any time", "in order", "never")
BEFORE, AFTER, DISK, TIME, STOP, NEVER = MOMENTS

_CHANCES = (3, 4, 5, 1, 2, 1)
_MEANS = (1.5, 6.0, 40.0)
_MEAN_TIME_S = 3 * 3600.0


@define
class CrashPlan:
    """It ends at the moment when ``left`` comes to nothing; ``seconds`` after its start, where time decides.

    ``posts``: only requests that create something count. ``power``: the machine stops with it.
    """

    moment: str = NEVER
    left: int = 0
    seconds: float = 0.0
    posts: bool = False
    power: bool = False

    def strikes(self, moment: str, request: Request | None = None) -> bool:
        """Whether this one is the end. A crash_plan strikes once."""
        if moment != self.moment or (self.posts and request is not None and request.method != "POST"):
            return False
        self.left -= 1
        return self.left == 0


def draw(random: Random) -> CrashPlan:
    """Soon after the start as a rule, when there is most to be got wrong."""
    return CrashPlan(
        moment=random.choices(MOMENTS, _CHANCES)[0],
        left=1 + int(random.expovariate(1.0 / random.choice(_MEANS))),
        seconds=random.expovariate(1.0 / random.choice((60.0, _MEAN_TIME_S))),
        posts=random.random() < 0.7,
        power=random.random() < 0.5,
    )
