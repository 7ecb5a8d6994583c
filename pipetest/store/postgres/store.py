"""The store on a PostgreSQL server: reads through a few connections, writes through the one that holds the lock."""

from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from math import inf
from typing import Any, TypeVar

from msgspec import to_builtins
from psycopg import Error
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from pipetest.domain.errors import DatabaseRefused, Unavailable
from pipetest.domain.interfaces import Run, Time
from pipetest.domain.model import Change, Entry, PassResult, Secret, User
from pipetest.store.postgres import migrations, reads, writes
from pipetest.store.postgres.connection import READING, Connected, Database
from pipetest.store.postgres.lease import AdvisoryLock, poolers_fault
from pipetest.store.postgres.pool import ConnectionPool
from pipetest.store.postgres.session_visits import RENEW_S, SessionVisits
from pipetest.store.postgres.writer import LeasedWriter

T = TypeVar("T")

LAST_WRITE_S = 0.9
"""What is not written so long after the store is closed never is: it is the last step of a stop within ten seconds."""


class PostgresStore:
    """A :class:`~pipetest.domain.interfaces.Store` for any number of processes, one of which scans and creates at a
    time.

    ``read`` does what blocks on a few threads, ``write`` on one of its own. What writes feed and ledger ends with
    ``Unstored`` where this process does not hold the lock, or loses it on the way: then nobody here knows whether it
    was written. ``instance`` is this process's name for people.
    """

    _log = Logger()

    def __init__(
        self,
        url: Secret,
        read: Run,
        write: Run,
        time: Time,
        clock: IReactorTime,
        *,
        roots: Mapping[str, str],
        instance: str,
    ) -> None:
        self._database = database = Database.at(url)
        self._clock = clock
        self._roots = roots
        self._readers = ConnectionPool(database, read, time)
        self._visits = SessionVisits(clock, self._renew)
        self.writer = LeasedWriter(database, AdvisoryLock(database, instance), write, time, clock)

    # --- its life -----------------------------------------------------------------------------------------------------

    @property
    def trouble(self) -> str | None:
        return self.writer.trouble or self._readers.trouble

    @property
    def unreconciled(self) -> bool:
        return self.writer.unreconciled

    def open(self) -> None:
        try:
            if (fault := poolers_fault(lambda: self._database.connect(READING))) is not None:
                raise DatabaseRefused(f"{self._database.name}: {fault}")
            with self._database.connect(READING) as connection:
                migrations.migrate(connection, self._database.name)
                migrations.claim(connection, self._database.name, self._roots)
            self.writer.open()
        except Error as e:
            raise DatabaseRefused(self._database.said(e)) from None

    async def close(self) -> None:
        """Within a bounded time; what waits for a database that does not answer is lost with this process."""
        await gatherResults([self._within_bounds(self._close()), self._within_bounds(self.writer.close())])
        self._readers.cut()
        self.writer.cut()

    async def _close(self) -> None:
        await self._write_visits()
        await self._readers.close()

    def _within_bounds(self, closing: Coroutine[Deferred[Any], Any, None]) -> Deferred[None]:
        def left(failure: Failure) -> None:
            failure.trap(TimedOut)
            self._log.error("{name} does not answer; it is left as it is", name=self._database.name)

        return Deferred.fromCoroutine(closing).addTimeout(LAST_WRITE_S, self._clock).addErrback(left)

    async def mark_reconciled(self) -> None:
        await self.writer.mark_reconciled()

    async def get_value(self, name: str) -> Any:
        return await self._ask(reads.note, name)

    async def put_value(self, name: str, value: Any) -> None:
        kept = to_builtins(value)
        await self.writer.make(lambda connection: writes.keep(connection, name, kept))

    # --- the scan -----------------------------------------------------------------------------------------------------

    async def users(self) -> Sequence[User]:
        return await self._ask(reads.users)

    async def gist_counts(self) -> Mapping[str, int]:
        return await self._ask(reads.gist_counts)

    async def known_gists(self, gist_ids: Collection[str]) -> Collection[str]:
        return await self._ask(reads.recorded, gist_ids)

    async def add_gists(self, reading: PassResult) -> Sequence[Entry]:
        return await self.writer.make(lambda connection: writes.record(connection, reading))

    # --- the creator --------------------------------------------------------------------------------------------------

    async def open_entries(self) -> Sequence[Entry]:
        return await self._ask(reads.unfinished)

    async def save(self, *changes: Change) -> None:
        await self.writer.make(lambda connection: writes.save(connection, changes))

    # --- visitors -----------------------------------------------------------------------------------------------------

    async def feed(self, start: int, stop: int) -> Sequence[str]:
        return await self._ask(reads.feed, start, stop)

    async def feed_length(self) -> int:
        return await self._ask(reads.feed_length)

    async def resume_session(self, session_id: str, now: float, lifetime: float = inf) -> int | None:
        shown = await self._ask(reads.session, session_id, now - lifetime - RENEW_S)
        if shown is not None:
            self._visits.add(session_id, shown, now)
        return shown

    async def advance_session(self, session_id: str, position: int, now: float) -> None:
        """What moves a session on is written at once: its next visit may be to another instance."""
        if position > self._visits.shown(session_id):
            await self._ask(reads.show, session_id, position, now)

    async def expire_sessions(self, unvisited_since: float) -> int:
        await self._write_visits()
        return await self._ask(reads.forget, unvisited_since)

    # --- people -------------------------------------------------------------------------------------------------------

    async def order(self, what: str, about: str = "") -> None:
        """Have whichever instance scans do something; durable on return."""
        await self._ask(reads.order, what, about)

    async def quarantined(self, gist_id: str) -> bool:
        return await self._ask(reads.quarantined, gist_id)

    # --- how ----------------------------------------------------------------------------------------------------------

    def _renew(self) -> None:
        Deferred.fromCoroutine(self._write_visits()).addErrback(
            lambda failure: self._log.failure("visits were not noted", failure)
        )

    async def _write_visits(self) -> None:
        if visits := self._visits.taken():
            try:
                await self._ask(reads.renew, visits)
            except Unavailable as e:
                self._log.debug("{visits} visits are not noted: {reason}", visits=len(visits), reason=str(e))

    async def _ask(self, query: Callable[..., T], *arguments: object) -> T:
        """``query`` with a connection before these arguments."""

        def asked(connection: Connected) -> T:
            return query(connection, *arguments)

        return await self._readers.ask(asked)
