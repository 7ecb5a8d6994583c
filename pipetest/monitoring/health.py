"""Whether the daemon does its work, seen from beside it: what ``/ready`` answers and the log says."""

from collections.abc import Callable, Mapping

from attrs import frozen
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from pipetest.runtime.periodic import Periodic

FAILED_SCANS = 3
STANDING_INTERVALS = 3
CHECK_EVERY_S = 30.0


@frozen
class Health:
    """What can be seen: failed scans in a row, seconds since a scan has last ended, and why Pipedrive refuses."""

    failed_scans: int
    silent_for: float
    interval: float
    refusal: str | None

    @property
    def failing(self) -> bool:
        return self.failed_scans >= FAILED_SCANS

    @property
    def standing(self) -> bool:
        return self.silent_for > STANDING_INTERVALS * self.interval


def problems(health: Health) -> Mapping[str, str]:
    """Why the daemon cannot do its work, a line for each kind of reason; none while it can."""
    reasons = {}
    if health.failing:
        reasons["failing"] = f"the last {health.failed_scans} scans failed"
    if health.standing:
        reasons["standing"] = f"no scan has ended for {health.silent_for / 60:.0f} minutes"
    if health.refusal is not None:
        reasons["refused"] = f"creation is paused, Pipedrive refuses: {health.refusal}"
    return reasons


class HealthMonitor:
    """Looks every half minute, and logs what has changed. It runs apart from what it watches."""

    _log = Logger()

    def __init__(self, health: Callable[[], Health], clock: IReactorTime) -> None:
        self._health = health
        self._known: Mapping[str, str] = {}
        self._periodic = Periodic("looking at the daemon's health", self._look, CHECK_EVERY_S, clock)

    def start(self) -> None:
        self._periodic.start()

    async def stop(self) -> None:
        await self._periodic.stop()

    def _look(self) -> None:
        """Problems are told apart by their kind: their texts change with each minute."""
        now = problems(self._health())
        for reason in _only(now, self._known):
            self._log.error("not ready: {reason}", reason=reason)
        over = _only(self._known, now)
        if over and now:
            self._log.info("over, but not ready yet: {reason}", reason="; ".join(over))
        elif over:
            self._log.info("ready again")
        self._known = now


def _only(here: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    return [reason for kind, reason in here.items() if kind not in there]
