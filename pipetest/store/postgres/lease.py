"""The lock that one instance holds, and the connection that holds it: feed and ledger are written through it alone.

So whoever was deposed cannot write: with the lock it has lost the connection. All of it blocks, in the writing thread.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from psycopg import Error, OperationalError

from pipetest.domain.errors import DatabaseRefused
from pipetest.domain.interfaces import Command
from pipetest.store.postgres.connection import WRITING, Connected, Database, cut, one
from pipetest.store.postgres.migrations import MIGRATIONS, version_of

T = TypeVar("T")

SCANNER_LOCK = 0x70697065_7363616E
"""An advisory lock's number: "pipescan" in ASCII."""

_SERVER = """
    SELECT concat_ws('/', s.system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8), d.oid)
    FROM pg_control_system() AS s, pg_database AS d WHERE d.datname = current_database()
"""
"""Its timeline is that of what is written now: the control file names the one before until a checkpoint has ended."""


class AdvisoryLock:
    """``instance`` is our name for people; ``holder`` is the name of the instance that holds it, or held it last."""

    def __init__(self, database: Database, instance: str) -> None:
        self._database = database
        self._instance = instance
        self._connection: Connected | None = None
        self._backend: int | None = None
        self.holder: str | None = None

    def acquire(self) -> bool | None:
        """Try to get it: None when somebody else holds it, else whether the store is unmarked.

        :raises psycopg.Error: the database cannot be asked.
        :raises DatabaseRefused: a later version of ours has changed the tables.
        """
        idle = self._connection is not None
        try:
            return self._tried(self._connected())
        except (Error, DatabaseRefused) as e:
            self.drop()  # which lets go of the lock, if we had got so far
            if idle and isinstance(e, Error):
                return self.acquire()  # only its use shows that an idle connection was lost
            raise

    def _tried(self, connection: Connected) -> bool | None:
        ours, backend = one(connection, "SELECT pg_try_advisory_lock(%s), pg_backend_pid()", SCANNER_LOCK)
        if not ours:
            (self.holder,) = one(connection, "SELECT scanner FROM pipetest.about")
            return None
        self._backend = backend
        if (version := version_of(connection)) > len(MIGRATIONS):
            raise DatabaseRefused(
                f"{self._database.name} is now of format {version}: install the version that wrote it"
            )
        self.holder = self._instance
        return self.write(self._taken)

    def _taken(self, connection: Connected) -> bool:
        """Say who scans. Another server, or a restored one, may lack commits that it once had: like a new store."""
        (server,) = one(connection, _SERVER)
        before, unmarked = one(connection, "SELECT server, unmarked FROM pipetest.about")
        restored = before not in (None, server)
        connection.execute(
            "UPDATE pipetest.about SET server = %s, unmarked = %s, scanner = %s, scanning_since = now()",
            [server, unmarked or restored, self._instance],
        )
        if restored:
            connection.execute("UPDATE pipetest.users SET listed_at = NULL")
        return bool(unmarked or restored)

    def write(self, change: Callable[[Connected], T]) -> T:
        """Make a change in one transaction.

        :raises psycopg.Error: it may not have been made; where :attr:`lost`, it may have been.
        """
        connection = self._held()
        with connection.transaction():
            return change(connection)

    def renew(self) -> Sequence[Command]:
        """Show the server that we are alive, and fetch what people ask for."""
        connection = self._held()
        backend, asked = one(connection, "SELECT pg_backend_pid(), EXISTS (SELECT FROM pipetest.orders)")
        if backend != self._backend:
            self.drop()
            raise OperationalError("a pooler has given our session to others: it has to be in session mode")
        if not asked:
            return []
        orders = connection.execute("SELECT id, what, about FROM pipetest.orders ORDER BY id")
        return [Command(*order) for order in orders]

    @property
    def lost(self) -> bool:
        """Whether there is no connection any more that could hold it."""
        return self._connection is None or self._connection.closed or self._connection.broken

    def release(self) -> None:
        """Let go of the lock: somebody else can have it when this returns, if the database can be asked at all."""
        with suppress(Error):
            self._held().execute("SELECT pg_advisory_unlock_all()")
        self.drop()

    def cut(self) -> None:
        """From another thread: end whatever waits for the database."""
        if (connection := self._connection) is not None:
            cut(connection)

    def drop(self) -> None:
        """Close the connection. The server notices a little later, and gives the lock to others."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connected(self) -> Connected:
        if self._connection is None or self.lost:
            self.drop()
            self._connection = self._database.connect(WRITING)
        return self._connection

    def _held(self) -> Connected:
        if self._connection is None or self.lost:
            raise OperationalError("the connection that held the lock is lost")
        return self._connection


def poolers_fault(connect: Callable[[], Connected]) -> str | None:
    """Whether something between us and the server shares its sessions among clients, in words; None where all is well.

    A pooler makes up the process number that a connection begins with. In transaction mode it gives two clients that
    take turns the same session.
    """
    with connect() as one, connect() as other:
        first = _backend(one)
        if first == one.info.backend_pid:
            return None
        seen = [_backend(connection) for connection in (other, one, one, other, one)]
    mine, others = {first, seen[1], seen[2], seen[4]}, {seen[0], seen[3]}
    if len(mine) == len(others) == 1 and not mine & others:
        return None
    return "the pooler before it shares sessions among clients: set its pool_mode to session"


def _backend(connection: Connected) -> int:
    (backend,) = one(connection, "SELECT pg_backend_pid()")
    return int(backend)
