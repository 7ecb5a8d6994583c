"""What the limits of both services are made of. They are generous, unless somebody changes them.

All limits may be changed at any time. Times are seconds since the epoch.
"""

from collections import deque
from typing import Protocol

from pipetest.domain.model import Reply

GENEROUS = 1_000_000


class Limits(Protocol):
    """What a service allows a client."""

    def refuse(self, client: str, route: str, now: float) -> Reply | None:
        """The refusal, where a limit is reached."""

    def count(self, client: str, route: str, reply: Reply, now: float) -> Reply:
        """Count a call that was let through; its reply, with the headers that tell of the limits."""


class RollingCount:
    """Counts what happened within the last ``window`` seconds."""

    def __init__(self, window: float) -> None:
        self._window = window
        self._times: deque[float] = deque()

    def add(self, now: float) -> None:
        self._times.append(now)

    def at(self, now: float) -> int:
        while self._times and self._times[0] <= now - self._window:
            self._times.popleft()
        return len(self._times)

    def frees_at(self, now: float) -> float:
        """When the oldest of them will not count any more; counted from now where there is none."""
        return (self._times[0] if self._times else now) + self._window
