"""How many connections there may be at once, and which gives way."""

from typing import Protocol

MOST = 500
WORK_FILES = 64  # the database, the log, requests to the two APIs, what listens
ACCEPTED = 100  # at once, by Twisted, before those are let go that give way to them


def places(files: int) -> int:
    """How many connections a process may have that may have so many files open; below 0 is no limit."""
    return MOST if files < 0 else max(1, min(MOST, files - WORK_FILES - ACCEPTED))


class Connection(Protocol):
    def end(self) -> None:
        """Hang up at once."""


class Connections:
    """At most ``limit`` connections. One too many ends the one that has been idle longest: whoever opens connections
    without using them only takes places from themselves. While all but a tenth are busy, it ends the one whose answer
    has been under way longest: whoever reads slowly holds a place only until it is needed."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._newcomers = max(1, limit // 10)  # idle ones that stay, so that each has the time to say what it wants
        self._idle: dict[Connection, None] = {}  # in the order in which they became idle
        self._busy: dict[Connection, None] = {}  # in the order in which they became busy

    def idle(self, connection: Connection) -> None:
        """It is new, or has its answer."""
        self._busy.pop(connection, None)
        self._idle[connection] = None
        if len(self._idle) + len(self._busy) > self._limit:
            longest = next(iter(self._idle if len(self._idle) > self._newcomers else self._busy))
            self.gone(longest)
            longest.end()

    def busy(self, connection: Connection) -> None:
        """Its request has arrived and is being answered."""
        self._idle.pop(connection, None)
        self._busy[connection] = None

    def end_all(self) -> None:
        for connection in [*self._idle, *self._busy]:
            connection.end()

    def gone(self, connection: Connection) -> None:
        self._idle.pop(connection, None)
        self._busy.pop(connection, None)
