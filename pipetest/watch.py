"""Whether the daemon does its work, seen from beside it: what ``/ready`` answers, and a watchdog that says it aloud."""

from collections.abc import Callable

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

FAILED_SCANS = 3
STANDING_INTERVALS = 3
CHECK_EVERY_S = 30.0


@frozen
class Signs:
    """What is seen: failed scans in a row, seconds since a scan has last ended, and why Pipedrive refuses."""

    failed_scans: int
    silent_for: float
    interval: float
    refusal: str | None


def unready(signs: Signs) -> str | None:
    """Why the daemon cannot do its work, in one line; None while it can."""
    if signs.refusal is not None:
        return f"creation is paused, Pipedrive refuses: {signs.refusal}"
    if signs.failed_scans >= FAILED_SCANS:
        return f"the last {signs.failed_scans} scans failed"
    if signs.silent_for > STANDING_INTERVALS * signs.interval:
        return f"no scan has ended for {signs.silent_for / 60:.0f} minutes"
    return None


class Watchdog:
    """Looks every half minute, and says what has changed. It runs apart from what it watches."""

    _log = Logger()

    def __init__(self, signs: Callable[[], Signs], clock: IReactorTime) -> None:
        self._signs = signs
        self._said: str | None = None
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
        problem = unready(self._signs())
        if problem is not None and self._said is None:
            self._log.error("not ready: {reason}", reason=problem)
        elif problem is None and self._said is not None:
            self._log.info("ready again")
        self._said = problem
