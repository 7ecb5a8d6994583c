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
    without using them only takes places from themselves, and the others are served."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._idle: dict[Connection, None] = {}  # in the order in which they became idle
        self._busy: set[Connection] = set()

    def idle(self, connection: Connection) -> None:
        """It is new, or has its answer."""
        self._busy.discard(connection)
        self._idle[connection] = None
        if len(self._idle) + len(self._busy) > self._limit:
            longest = next(iter(self._idle))
            self.gone(longest)
            longest.end()

    def busy(self, connection: Connection) -> None:
        """Its request has arrived and is being answered."""
        self._idle.pop(connection, None)
        self._busy.add(connection)

    def end_all(self) -> None:
        for connection in [*self._idle, *self._busy]:
            connection.end()

    def gone(self, connection: Connection) -> None:
        self._idle.pop(connection, None)
        self._busy.discard(connection)
