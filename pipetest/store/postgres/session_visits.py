"""When visitors came, kept back a little: that a session lives on is written for many visits at once."""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

RENEW_S = 30.0
"""A crash forgets the visits of so long: the sessions count as unvisited for that much longer, nothing else."""


class SessionVisits:
    """``write`` is called once there are visits that have waited for :data:`RENEW_S`."""

    def __init__(self, clock: IReactorTime, write: Callable[[], None]) -> None:
        self._clock = clock
        self._write = write
        self._visits: dict[str, tuple[int, float]] = {}
        self._due: IDelayedCall | None = None

    def add(self, session_id: str, shown: int, now: float) -> None:
        """A session that was shown so much has come back."""
        self._visits[session_id] = (shown, now)
        if self._due is None:
            self._due = self._clock.callLater(RENEW_S, self._write)

    def shown(self, session_id: str) -> int:
        """How much it was shown when it came back; less than nothing where that is not known."""
        return self._visits.get(session_id, (-1, 0.0))[0]

    def taken(self) -> list[tuple[str, float]]:
        """The visits that wait, now the caller's to write."""
        if self._due is not None and self._due.active():
            self._due.cancel()
        self._due = None
        visits, self._visits = self._visits, {}
        return [(session_id, now) for session_id, (_, now) in visits.items()]
