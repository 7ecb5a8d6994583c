"""A PostgreSQL server as instances of the daemon see it: one state, and one session at a time that holds the lock.

The times of the lease are as many times longer here than in the product, so that days of it pass in a second.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

from psycopg import OperationalError
from twisted.internet.interfaces import IReactorTime

from pipetest.domain.interfaces import Command
from pipetest.store.tinydb.store import TinyStore
from tests.support.simulated_disk import Crash, SimDisk, run

T = TypeVar("T")

RENEW_EVERY_S = 90.0
FRESH_S = 100.0
LOCK_TIMEOUT_S = 240.0
"""The lease is renewed so often, is fresh for so long, and a silent holder loses it after so long: in the product 1, 2
and 5 s."""

BROKEN_COMMITS = 0.003


class DatabaseServer:
    """``down``: nobody can reach it. ``holder`` has the lock, unless it has been silent for too long. ``content``: what
    the database holds."""

    name = "PostgreSQL"

    def __init__(self, clock: IReactorTime, random: Random, content: TinyStore) -> None:
        self._clock = clock
        self._random = random
        self._renewed_at = 0.0
        self._commands_given = 0
        self.content = content
        self.down = False
        self.commands: list[Command] = []
        self.holder: LockSession | None = None

    @classmethod
    def on(cls, clock: IReactorTime, disk: SimDisk, random: Random) -> "DatabaseServer":
        content = TinyStore(disk.folder(), run, clock, roots={})
        content.open()
        return cls(clock, random, content)

    def explain(self, error: Exception) -> str:
        return f"{self.name}: {error}"

    def go_down(self) -> None:
        """Nobody reaches it any more, and the session that holds the lock is closed."""
        self.down = True
        self.close(self.holder)

    def come_back(self) -> None:
        self.down = False

    def check_reachable(self) -> None:
        """
        :raises OperationalError: the server cannot be reached.
        """
        if self.down:
            raise OperationalError("connection refused")

    def give_lock(self, session: "LockSession") -> bool:
        """Whether this session has the lock from now on."""
        self.check_reachable()
        if not self._has_lock(self.holder):
            self.holder, self._renewed_at = session, self._clock.seconds()
        return self.holder is session

    def renew(self, session: "LockSession") -> None:
        """
        :raises OperationalError: the session was closed meanwhile.
        """
        self.check_reachable()
        if session is not self.holder or not self._has_lock(session):
            raise OperationalError("terminating connection")
        self._renewed_at = self._clock.seconds()

    def close(self, session: "LockSession | None") -> None:
        """Close this session, and so free the lock where it has it."""
        if session is self.holder:
            self.holder = None

    def breaks_commit(self) -> bool:
        """Whether the connection breaks in this COMMIT, after it was made."""
        return self._random.random() < BROKEN_COMMITS

    def give_command(self, what: str, about: str = "") -> None:
        """For the instance that leads."""
        self._commands_given += 1
        self.commands.append(Command(self._commands_given, what, about))

    def _has_lock(self, session: "LockSession | None") -> bool:
        return session is not None and self._clock.seconds() - self._renewed_at <= LOCK_TIMEOUT_S


class LockSession:
    """The session in which one instance has the lock, or tries to get it; it has the shape of
    :class:`~pipetest.store.postgres.lease.LeaseConnection`. ``crashes``: whether the process dies at this step of a
    commit."""

    def __init__(self, server: DatabaseServer, crashes: Callable[[], bool]) -> None:
        self._server = server
        self._crashes = crashes
        self.lost = True
        self.holder: str | None = None

    @property
    def unreconciled(self) -> bool:
        return self._server.content.unreconciled

    def acquire(self) -> bool:
        self.lost = not self._server.give_lock(self)
        return not self.lost

    def renew(self) -> Sequence[Command]:
        self._renew()
        return tuple(self._server.commands)

    def write(self, change: Callable[[TinyStore], T]) -> T:
        self._renew()
        self._step()
        result = change(self._server.content)
        self._step()
        if self._server.breaks_commit():
            self._server.close(self)
            self._renew()
        return result

    def release(self) -> None:
        self._server.close(self)
        self.lost = True

    def abort(self) -> None:
        self._server.close(self)  # which whoever waits for it notices

    def _renew(self) -> None:
        try:
            self._server.renew(self)
        except OperationalError:
            self.lost = True
            raise

    def _step(self) -> None:
        if self._crashes():
            raise Crash
