"""A PostgreSQL server as instances of the daemon see it: one state, and one session at a time that holds the lock.

The lock's times are as many times longer here than in the product, so that days of it pass in a second.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

from attrs import define, field
from psycopg import OperationalError
from twisted.internet.interfaces import IReactorTime

from pipetest.domain.interfaces import Command
from pipetest.store.tinydb.store import TinyStore
from tests.support.simulated_disk import Crash, SimDisk, run

T = TypeVar("T")

USED_EVERY_S = 90.0
FRESH_S = 100.0
IDLE_S = 240.0
"""One after the other as in the product: 1, 2 and 5 s."""


@define(eq=False)
class DatabaseServer:
    """``down``: nobody can reach it. ``holder`` has the lock, unless it was silent for too long."""

    _clock: IReactorTime
    _random: Random
    tables: TinyStore
    down: bool = False
    orders: list[Command] = field(factory=list)
    holder: "LockSession | None" = None
    _used_at: float = 0.0
    _ordered: int = 0
    name: str = "PostgreSQL"

    @classmethod
    def on(cls, clock: IReactorTime, disk: SimDisk, random: Random) -> "DatabaseServer":
        tables = TinyStore(disk.folder(), run, clock, roots={})
        tables.open()
        return cls(clock, random, tables)

    def said(self, error: Exception) -> str:
        return f"{self.name}: {error}"

    def reached(self) -> None:
        """
        :raises OperationalError: it is not to be reached.
        """
        if self.down:
            raise OperationalError("connection refused")

    def granted(self, session: "LockSession") -> bool:
        """Whether the lock is this session's from now on."""
        self.reached()
        if not self._holds(self.holder):
            self.holder, self._used_at = session, self._clock.seconds()
        return self.holder is session

    def used(self, session: "LockSession") -> None:
        """
        :raises OperationalError: it was closed meanwhile.
        """
        self.reached()
        if session is not self.holder or not self._holds(session):
            raise OperationalError("terminating connection")
        self._used_at = self._clock.seconds()

    def drop(self, session: "LockSession | None") -> None:
        """Close it, whoever wants that."""
        if session is self.holder:
            self.holder = None

    def cuts(self) -> bool:
        """Whether the connection breaks in this COMMIT, after it was made."""
        return self._random.random() < 0.003

    def order(self, what: str, about: str = "") -> None:
        self._ordered += 1
        self.orders.append(Command(self._ordered, what, about))

    def _holds(self, session: "LockSession | None") -> bool:
        return session is not None and self._clock.seconds() - self._used_at <= IDLE_S


@define(eq=False)
class LockSession:
    """The connection of one instance, of the shape of :class:`~pipetest.store.postgres.lease.AdvisoryLock`.
    ``strikes``: whether the process ends at this step of a commit."""

    _server: DatabaseServer
    _strikes: Callable[[], bool]
    lost: bool = True
    holder: str | None = None

    def acquire(self) -> bool | None:
        if not self._server.granted(self):
            return None
        self.lost = False
        return self._server.tables.unreconciled

    def renew(self) -> Sequence[Command]:
        self._held()
        return tuple(self._server.orders)

    def write(self, change: Callable[[TinyStore], T]) -> T:
        self._held()
        self._step()
        result = change(self._server.tables)
        self._step()
        if self._server.cuts():
            self._server.drop(self)
            self._held()
        return result

    def release(self) -> None:
        self._server.drop(self)
        self.lost = True

    def _held(self) -> None:
        try:
            self._server.used(self)
        except OperationalError:
            self.lost = True
            raise

    def _step(self) -> None:
        if self._strikes():
            raise Crash
