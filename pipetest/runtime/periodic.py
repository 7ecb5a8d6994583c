"""A function called again and again, whatever becomes of one call."""

from collections.abc import Callable

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure


class Periodic:
    """Calls ``function`` every ``interval`` seconds; a call that takes longer skips the next ones: they never overlap.

    A call that fails is logged under the name ``what``, and the next one comes on time: a bare ``LoopingCall`` would
    stop for ever. Failures that can be expected are for ``function`` itself to handle.
    """

    _log = Logger()

    def __init__(self, what: str, function: Callable[[], object], interval: float, clock: IReactorTime) -> None:
        self._what = what
        self._function = function
        self._interval = interval
        self._loop = LoopingCall(self._call)
        self._loop.clock = clock
        self._ended: Deferred[LoopingCall] | None = None

    @property
    def waiting(self) -> bool:
        """Whether no call is under way and the next one is due at its time."""
        return self._loop.call is not None

    def start(self, *, now: bool = True) -> None:
        """Call for the first time at once, or else after one interval."""
        self._ended = self._loop.start(self._interval, now=now)

    def run_now(self) -> None:
        """Call at once, and then after each interval; a call that is under way will do."""
        if self.waiting:
            self._loop.stop()
            self.start()

    async def stop(self) -> None:
        """Call no more; returns when the call under way has ended."""
        if self._ended is None:
            return
        if self._loop.running:
            self._loop.stop()
        await self._ended

    def _call(self) -> "Deferred[object]":
        return maybeDeferred(self._function).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        self._log.failure(
            "{what} failed; retrying in {wait_s:g} s",
            failure,
            event="periodic_call_failed",
            what=self._what,
            wait_s=self._interval,
        )
