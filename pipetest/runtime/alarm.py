"""Does what is due, and wakes up again when the next thing is."""

from collections.abc import Callable
from math import inf

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from pipetest.domain.backoff import RETRY_FIRST_S

LONGEST_SLEEP_S = 3600.0
"""Where something is due later, it looks again after so long: by the clock on the wall, that may come sooner."""


class Alarm:
    """Calls ``work`` when it is woken, and again after as many seconds as ``work`` returned: infinite for never.

    Whoever wakes it while ``work`` runs changes nothing: ``work`` goes on until nothing is due. Where ``work`` raises,
    that is logged, and it is called again soon: nobody else may come to wake it.
    """

    _log = Logger()

    def __init__(self, work: Callable[[], float], clock: IReactorTime) -> None:
        self._work = work
        self._clock = clock
        self._call: IDelayedCall | None = None
        self._working = False

    def wake(self) -> None:
        """Do what is due now."""
        if self._working:
            return
        self._working = True
        try:
            wait = self._work()
        except Exception:
            wait = RETRY_FIRST_S
            self._log.failure(
                "what is due could not be started; retrying in {wait_s:g} s", event="alarm_failed", wait_s=wait
            )
        finally:
            self._working = False
        self.stop()
        if wait < inf:
            self._call = self._clock.callLater(max(0.0, min(wait, LONGEST_SLEEP_S)), self.wake)

    def stop(self) -> None:
        """Sleep until somebody wakes it."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None
