"""Which sessions have returned: gathered for a while, so that one statement writes many of them."""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

RENEW_S = 30.0
"""Visits are written this long after they began to wait. A crash forgets them: their sessions count as unvisited for
that much longer, nothing else."""


class SessionVisits:
    """``write`` is called once there are visits that have waited for :data:`RENEW_S`."""

    def __init__(self, clock: IReactorTime, write: Callable[[], None]) -> None:
        self._clock = clock
        self._write = write
        self._visits: dict[str, tuple[int, float]] = {}
        self._call: IDelayedCall | None = None

    def add(self, session_id: str, shown: int, now: float) -> None:
        """A session that was shown the feed up to this position has returned."""
        self._visits[session_id] = (shown, now)
        if self._call is None:
            self._call = self._clock.callLater(RENEW_S, self._write)

    def shown(self, session_id: str) -> int:
        """The position that it was shown when it returned; -1 where that is not known."""
        return self._visits.get(session_id, (-1, 0.0))[0]

    def take(self) -> list[tuple[str, float]]:
        """The visits that wait, for the caller to write: they wait here no more."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None
        visits, self._visits = self._visits, {}
        return [(session_id, now) for session_id, (_, now) in visits.items()]
