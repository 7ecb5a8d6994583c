"""Whether the daemon does its work, seen from beside it: what ``/ready`` answers, and a watchdog that says it aloud."""

from collections.abc import Callable, Mapping

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

FAILED_SCANS = 3
STANDING_INTERVALS = 3
CHECK_EVERY_S = 30.0


@frozen
class Health:
    """What is seen: failed scans in a row, seconds since a scan has last ended, and why Pipedrive refuses."""

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


def problems(signs: Health) -> Mapping[str, str]:
    """Why the daemon cannot do its work, a line for each kind of reason; none while it can."""
    reasons = {}
    if signs.failing:
        reasons["failing"] = f"the last {signs.failed_scans} scans failed"
    if signs.standing:
        reasons["standing"] = f"no scan has ended for {signs.silent_for / 60:.0f} minutes"
    if signs.refusal is not None:
        reasons["refused"] = f"creation is paused, Pipedrive refuses: {signs.refusal}"
    return reasons


class HealthMonitor:
    """Looks every half minute, and says what has changed. It runs apart from what it watches."""

    _log = Logger()

    def __init__(self, signs: Callable[[], Health], clock: IReactorTime) -> None:
        self._signs = signs
        self._said: Mapping[str, str] = {}
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock
        self._stopped: Deferred[LoopingCall] | None = None

    def start(self) -> None:
        self._stopped = self._loop.start(CHECK_EVERY_S)

    async def stop(self) -> None:
        if self._stopped is not None:
            self._loop.stop()
            await self._stopped

    def _look(self) -> None:
        """Told apart by kind: the texts change with each minute."""
        reasons = problems(self._signs())
        for reason in _only(reasons, self._said):
            self._log.error("not ready: {reason}", reason=reason)
        over = _only(self._said, reasons)
        if over and reasons:
            self._log.info("over, but not ready yet: {reason}", reason="; ".join(over))
        elif over:
            self._log.info("ready again")
        self._said = reasons


def _only(here: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    return [reason for kind, reason in here.items() if kind not in there]
