"""The time of a simulated run: it jumps from one thing that is due to the next."""

from bisect import insort
from collections.abc import Callable

from twisted.internet.base import DelayedCall
from twisted.internet.task import Clock

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


class JumpingClock(Clock):
    """Seconds since the epoch. Calls are kept sorted as they come; its parent sorts all of them again and again."""

    def __init__(self, now: float) -> None:
        super().__init__()
        self.rightNow = now

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kw: object) -> DelayedCall:  # noqa: A002
        at = self.rightNow + delay
        call = DelayedCall(at, callable, args, kw, self.calls.remove, lambda _: None, self.seconds)
        insort(self.calls, call, key=DelayedCall.getTime)
        return call

    def postpone(self, call: DelayedCall, until: float) -> None:
        """Let it happen then, be that later or earlier, after what is already due at that moment."""
        self.calls.remove(call)
        call.time = until
        insort(self.calls, call, key=DelayedCall.getTime)

    def pass_time(self, until: float) -> None:
        """Let everything that is due by ``until`` happen, in order."""
        while self.calls and self.calls[0].getTime() <= until:
            call = self.calls.pop(0)
            self.rightNow = max(self.rightNow, call.getTime())
            call.called = 1
            call.func(*call.args, **call.kw)
        self.rightNow = max(self.rightNow, until)
