"""The store on a PostgreSQL server: reads through a pool of connections, writes through the one with the lease."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from math import inf
from typing import Any, TypeVar

from psycopg import Error
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from pipetest.domain.errors import DatabaseRefused, Unavailable
from pipetest.domain.interfaces import Run, Time
from pipetest.domain.model import Change, Entry, PassResult, Secret, Text, User, Visit
from pipetest.runtime.shutdown import LAST_WRITE_S, all_ended
from pipetest.store import limits
from pipetest.store.postgres import migrations, reads, sessions, writes
from pipetest.store.postgres.commands import CommandQueue
from pipetest.store.postgres.connection import READING, Database
from pipetest.store.postgres.lease import LeaseConnection
from pipetest.store.postgres.pool import ConnectionPool
from pipetest.store.postgres.pooler import refuse_shared_sessions
from pipetest.store.postgres.session_visits import RENEW_S, SessionVisits
from pipetest.store.postgres.writer import LeasedWriter
from pipetest.store.values import as_json, read_as

T = TypeVar("T")


class PostgresStore:
    """A :class:`~pipetest.domain.interfaces.Store` for any number of processes, one of which scans and creates at a
    time.

    ``read`` runs blocking work on a few threads, ``write`` on one of its own. What writes feed and outbox ends with
    ``Unstored`` where this process does not hold the lease, or loses it on the way: then nobody here knows whether it
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
        self._database = database = Database(url)
        self._clock = clock
        self._roots = roots
        self._pool = ConnectionPool(database, read, time, clock)
        self._visits = SessionVisits(clock, self._begin_to_write_visits)
        self.writer = LeasedWriter(database, LeaseConnection(database, instance), write, time, clock)
        self.commands = CommandQueue(self._pool)

    @property
    def problem(self) -> str | None:
        return self.writer.problem or self._pool.problem

    @property
    def unreconciled(self) -> bool:
        return self.writer.unreconciled

    def open(self, before_takeover: Callable[[], None] = lambda: None) -> None:
        try:
            refuse_shared_sessions(self._database)
            with self._database.connect(READING) as connection:
                migrations.migrate(connection, self._database.name)
                migrations.claim(connection, self._database.name, self._roots)
            self.writer.open()
        except Error as e:
            raise DatabaseRefused(self._database.explain(e)) from None

    async def close(self) -> None:
        """Within a bounded time; what waits for a database that does not answer is lost with this process."""
        name = self._database.name
        endings = [(f"reading from {name}", self._close()), (f"writing to {name}", self.writer.close())]
        await all_ended(endings, LAST_WRITE_S, self._clock)
        self._pool.abort()
        self.writer.abort()

    async def _close(self) -> None:
        await self._write_visits()
        await self._pool.close()

    # --- the scanner --------------------------------------------------------------------------------------------------

    async def users(self) -> Sequence[User]:
        return [user async for part in self.users_in_parts() for user in part]

    async def users_in_parts(self) -> AsyncIterator[Sequence[User]]:
        row: int | None = 0
        while row is not None:
            users, row = await self._pool.ask(reads.users, row)
            yield users

    async def known_users(self, names: Collection[str], account_ids: Collection[int]) -> Sequence[User]:
        return await self._pool.ask(reads.known_users, names, account_ids)

    async def gist_counts(self) -> Mapping[str, int]:
        return await self._pool.ask(reads.gist_counts)

    async def skipped_counts(self) -> Mapping[str, int]:
        return await self._pool.ask(reads.skipped_counts)

    async def known_gists(self, gist_ids: Collection[str]) -> Collection[str]:
        return await self._pool.ask(reads.known_gists, gist_ids)

    async def add_gists(self, result: PassResult) -> Sequence[Entry]:
        limits.check_result(result)
        return await self.writer.submit(writes.add_gists, result)

    async def users_without_text(self) -> Collection[str]:
        return await self._pool.ask(reads.users_without_text)

    async def add_texts(self, user: str, texts: Mapping[str, Text]) -> Sequence[Entry]:
        limits.check_texts(texts.values())
        return await self.writer.submit(writes.add_texts, user, texts)

    # --- the outbox ---------------------------------------------------------------------------------------------------

    async def open_entries(self) -> Sequence[Entry]:
        return await self._pool.ask(reads.open_entries)

    async def done_entries(self, after: int, most: int) -> Sequence[Entry]:
        return await self._pool.ask(reads.done_entries, after, most)

    async def want_skipped(self, user: str) -> Sequence[Entry]:
        return await self.writer.submit(writes.want_skipped, user)

    async def save(self, *changes: Change) -> None:
        limits.check_changes(changes)
        await self.writer.submit(writes.save, changes)

    async def adopt(self, deals: Mapping[str, int]) -> Sequence[Entry]:
        limits.check_deals(deals)
        return await self.writer.submit(writes.adopt, deals)

    async def newest_deal(self) -> int:
        return await self._pool.ask(reads.newest_deal)

    async def newest_deals(self, users: Collection[str], most: int) -> Mapping[str, Sequence[int]]:
        return await self._pool.ask(reads.newest_deals, users, most)

    async def known_deals(self, gist_ids: Collection[str]) -> Collection[str]:
        return await self._pool.ask(reads.known_deals, gist_ids)

    async def mark_reconciled(self, reconciled_at: float | None = None) -> None:
        await self.writer.mark_reconciled(reconciled_at)

    async def mark_unreconciled(self) -> None:
        await self.writer.mark_unreconciled()

    # --- values -------------------------------------------------------------------------------------------------------

    async def get_value(self, name: str, kind: type[T]) -> T | None:
        return read_as(kind, name, await self._pool.ask(reads.get_value, name))

    async def put_value(self, name: str, value: Any) -> None:
        await self.writer.submit(writes.put_value, name, as_json(value))

    # --- visitors -----------------------------------------------------------------------------------------------------

    async def feed(self, start: int, stop: int) -> Sequence[str]:
        return await self._pool.ask(reads.feed, start, stop)

    async def feed_length(self) -> int:
        return await self._pool.ask(reads.feed_length)

    async def resume_session(self, session_id: str, now: float, lifetime: float = inf) -> Visit:
        visit = await self._pool.ask(sessions.visit, session_id, now - lifetime - RENEW_S)
        if visit.shown is not None:
            self._visits.add(session_id, visit.shown, now)
        return visit

    async def advance_session(self, session_id: str, position: int, now: float) -> None:
        """What moves a session on is written at once: its next visit may be to another instance."""
        if position > self._visits.shown(session_id):
            await self._pool.ask(sessions.advance, session_id, position, now)

    async def expire_sessions(self, unvisited_since: float) -> int:
        await self._write_visits()
        return await self._pool.ask(sessions.expire, unvisited_since)

    def _begin_to_write_visits(self) -> None:
        writing = Deferred.fromCoroutine(self._write_visits())
        writing.addErrback(
            lambda failure: self._log.failure("sessions were not stored", failure, event="sessions_not_stored")
        )

    async def _write_visits(self) -> None:
        if visits := self._visits.take():
            try:
                await self._pool.ask(sessions.renew, visits)
            except Unavailable as e:
                self._log.debug("{visits} visits are not stored: {reason}", visits=len(visits), reason=str(e))
