"""The lease, which one instance holds at a time: an advisory lock, and the connection that holds it.

Feed and outbox are written through that connection alone: an instance that has lost the lock has lost the connection
with it, and cannot write. All of it blocks, in the writing thread.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from psycopg import Error, OperationalError

from pipetest.domain.errors import DatabaseRefused
from pipetest.domain.interfaces import Command
from pipetest.store.postgres import commands, writes
from pipetest.store.postgres.connection import WRITING, Connected, Database, abort, fetch_one
from pipetest.store.postgres.migrations import MIGRATIONS, SCANNER_LOCK, version_of
from pipetest.store.refusals import newer_format

T = TypeVar("T")

_SERVER = """
    SELECT concat_ws('/', s.system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8), d.oid)
    FROM pg_control_system() AS s, pg_database AS d WHERE d.datname = current_database()
"""
"""Which server it is, and on which timeline: that of what is written now. The control file names the one before until
a checkpoint has ended."""

_MAY_TELL = "SELECT has_function_privilege('pg_control_system()', 'EXECUTE')"

_START = """
    SELECT concat_ws('/', 'started', extract(epoch FROM pg_postmaster_start_time()), d.oid)
    FROM pg_database AS d WHERE d.datname = current_database()
"""
"""Where a service does not tell which server it is (Aurora), one that was started again may be another."""


class LeaseConnection:
    """The connection that holds the lock, or tries to get it.

    ``instance`` is this process's name for people. ``holder`` is the instance that holds the lease, or held it last, as
    of our last try to acquire it; ``unreconciled``: whether the store was, when we acquired it last.
    """

    def __init__(self, database: Database, instance: str) -> None:
        self._database = database
        self._instance = instance
        self._connection: Connected | None = None
        self._backend: int | None = None
        self.holder: str | None = None
        self.unreconciled = False

    @property
    def lost(self) -> bool:
        """Whether there is no connection any more that could hold the lock."""
        return self._connection is None or self._connection.closed or self._connection.broken

    def acquire(self) -> bool:
        """Try to get the lock; False when another instance holds it.

        :raises psycopg.Error: the database cannot be asked.
        :raises DatabaseRefused: a later version of ours has changed the tables.
        """
        idle = self._connection is not None
        try:
            return self._try_lock(self._connected())
        except (Error, DatabaseRefused) as e:
            self._close()  # which releases the lock, if we had got so far
            if idle and isinstance(e, Error):
                return self.acquire()  # that an idle connection was lost shows only when it is used
            raise

    def renew(self) -> Sequence[Command]:
        """Show the server that we are alive; returns the commands that wait.

        :raises psycopg.Error: the lease may be lost.
        """
        backend, waiting = commands.waiting(self._held())
        if backend != self._backend:
            self._close()
            raise OperationalError("a pooler has given our session to others: it has to be in session mode")
        return waiting

    def write(self, change: Callable[[Connected], T]) -> T:
        """Make a change in one transaction.

        :raises psycopg.Error: it may not have been made; where :attr:`lost`, it may have been.
        """
        connection = self._held()
        with connection.transaction():
            return change(connection)

    def release(self) -> None:
        """Release the lock: another instance can have it when this returns, if the database can be asked at all."""
        with suppress(Error):
            self._held().execute("SELECT pg_advisory_unlock_all()")
        self._close()

    def abort(self) -> None:
        """From another thread: end whatever waits for the database."""
        if (connection := self._connection) is not None:
            abort(connection)

    def _try_lock(self, connection: Connected) -> bool:
        ours, self._backend = fetch_one(connection, "SELECT pg_try_advisory_lock(%s), pg_backend_pid()", SCANNER_LOCK)
        if not ours:
            (self.holder,) = fetch_one(connection, "SELECT scanner FROM pipetest.about")
            return False
        if (version := version_of(connection)) > len(MIGRATIONS):
            raise newer_format(self._database.name, version, len(MIGRATIONS))
        self.holder = self._instance
        self.unreconciled = self.write(self._register)
        return True

    def _register(self, connection: Connected) -> bool:
        """Store who scans; returns whether the store is unreconciled. On another server, or a restored one, it is: some
        commits that were acknowledged may be missing."""
        (told,) = fetch_one(connection, _MAY_TELL)
        (server,) = fetch_one(connection, _SERVER if told else _START)
        before, unreconciled = fetch_one(connection, "SELECT server, unmarked FROM pipetest.about")
        restored = before not in (None, server)
        connection.execute(
            "UPDATE pipetest.about SET server = %s, unmarked = %s, scanner = %s, scanning_since = now()",
            [server, unreconciled or restored, self._instance],
        )
        if restored:
            writes.no_organization_is_reconciled(connection)
        return bool(unreconciled or restored)

    def _connected(self) -> Connected:
        if self._connection is None or self.lost:
            self._close()
            self._connection = self._database.connect(WRITING)
        return self._connection

    def _held(self) -> Connected:
        if self._connection is None or self.lost:
            raise OperationalError("the connection that held the lease is lost")
        return self._connection

    def _close(self) -> None:
        """The server notices a little later, and gives the lock to others."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
