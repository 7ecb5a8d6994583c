"""How many connections there may be at once, and which of them is closed for one too many."""

from typing import Protocol

MAX_CONNECTIONS = 500
OTHER_FILES = 64  # open at most beside connections: the database, the log, requests to the two APIs, listening sockets
NOT_YET_CLOSED = 100  # connections that Twisted may accept in one go, before those are closed that make room for them


def connection_limit(open_files: int) -> int:
    """How many connections there may be in a process that may have so many files open; below 0 is no limit."""
    if open_files < 0:
        return MAX_CONNECTIONS
    return max(1, min(MAX_CONNECTIONS, open_files - OTHER_FILES - NOT_YET_CLOSED))


class Connection(Protocol):
    def abort(self) -> None:
        """Close it at once."""


class Connections:
    """At most ``limit`` connections. One too many closes the one that has been idle longest: whoever opens connections
    without using them only takes places from themselves. While all but a tenth are busy, it closes the one whose answer
    has been under way longest: whoever reads slowly keeps a place only until it is needed."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._newcomers = max(1, limit // 10)  # idle ones that stay, so that each has the time to send its request
        self._idle: dict[Connection, None] = {}  # in the order in which they became idle
        self._busy: dict[Connection, None] = {}  # in the order in which they became busy

    def idle(self, connection: Connection) -> None:
        """It is new, or its answer is written."""
        self._busy.pop(connection, None)
        self._idle[connection] = None
        if len(self._idle) + len(self._busy) > self._limit:
            longest = next(iter(self._idle if len(self._idle) > self._newcomers else self._busy))
            self.lost(longest)
            longest.abort()

    def busy(self, connection: Connection) -> None:
        """Its request has arrived and is being answered."""
        self._idle.pop(connection, None)
        self._busy[connection] = None

    def lost(self, connection: Connection) -> None:
        """It no longer counts."""
        self._idle.pop(connection, None)
        self._busy.pop(connection, None)

    def abort_all(self) -> None:
        for connection in [*self._idle, *self._busy]:
            connection.abort()
