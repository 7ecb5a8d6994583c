"""The store of one instance of several, as the product's on PostgreSQL: reads by themselves, and a real writer."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from math import inf
from typing import Any, TypeVar, cast

from psycopg import OperationalError
from twisted.internet.interfaces import IReactorTime

from pipetest.domain.errors import DatabaseRefused, Unavailable
from pipetest.domain.interfaces import Command, Run, Time
from pipetest.domain.model import Change, Entry, PassResult, User
from pipetest.store.postgres.connection import Database
from pipetest.store.postgres.lease import AdvisoryLock
from pipetest.store.postgres.writer import LeasedWriter
from pipetest.store.tinydb.store import TinyStore
from tests.simulation.database_server import DatabaseServer, LockSession
from tests.support.results import result_of

T = TypeVar("T")


class SharedWriter(LeasedWriter):
    """Its changes are those that the simulated server understands."""

    def __init__(self, server: DatabaseServer, session: LockSession, run: Run, time: Time, clock: IReactorTime) -> None:
        super().__init__(cast(Database, server), cast(AdvisoryLock, session), run, time, clock)
        self._server = server

    async def mark_reconciled(self) -> None:
        await self.make(lambda _: result_of(self._server.tables.mark_reconciled()))
        self.unreconciled = False

    async def acknowledge(self, command: Command) -> None:
        await self.make(lambda _: self._server.orders.remove(command))


class SharedStore:
    """A :class:`~pipetest.domain.interfaces.Store`. ``read`` and ``write`` do what blocks, ``write`` one
    piece after the other."""

    def __init__(
        self, server: DatabaseServer, session: LockSession, read: Run, write: Run, time: Time, clock: IReactorTime
    ) -> None:
        self._server = server
        self._read = read
        self.writer = SharedWriter(server, session, write, time, clock)

    @property
    def trouble(self) -> str | None:
        return self.writer.trouble

    @property
    def unreconciled(self) -> bool:
        return self.writer.unreconciled

    def open(self) -> None:
        try:
            self.writer.open()
        except OperationalError as e:
            raise DatabaseRefused(self._server.said(e)) from None

    async def close(self) -> None:
        await self.writer.close()

    async def mark_reconciled(self) -> None:
        await self.writer.mark_reconciled()

    async def get_value(self, name: str) -> Any:
        return await self._ask(lambda tables: tables.get_value(name))

    async def put_value(self, name: str, value: Any) -> None:
        await self._make(lambda tables: tables.put_value(name, value))

    async def users(self) -> Sequence[User]:
        return await self._ask(lambda tables: tables.users())

    async def gist_counts(self) -> Mapping[str, int]:
        return await self._ask(lambda tables: tables.gist_counts())

    async def known_gists(self, gist_ids: Collection[str]) -> Collection[str]:
        return await self._ask(lambda tables: tables.known_gists(gist_ids))

    async def add_gists(self, reading: PassResult) -> Sequence[Entry]:
        return await self._make(lambda tables: tables.add_gists(reading))

    async def open_entries(self) -> Sequence[Entry]:
        return await self._ask(lambda tables: tables.open_entries())

    async def save(self, *changes: Change) -> None:
        await self._make(lambda tables: tables.save(*changes))

    async def feed(self, start: int, stop: int) -> Sequence[str]:
        return await self._ask(lambda tables: tables.feed(start, stop))

    async def feed_length(self) -> int:
        return await self._ask(lambda tables: tables.feed_length())

    async def resume_session(self, session_id: str, now: float, lifetime: float = inf) -> int | None:
        return await self._ask(lambda tables: tables.resume_session(session_id, now, lifetime))

    async def advance_session(self, session_id: str, position: int, now: float) -> None:
        await self._ask(lambda tables: tables.advance_session(session_id, position, now))

    async def expire_sessions(self, unvisited_since: float) -> int:
        return await self._ask(lambda tables: tables.expire_sessions(unvisited_since))

    # --- how ----------------------------------------------------------------------------------------------------------

    async def _make(self, change: Callable[[TinyStore], Awaitable[T]]) -> T:
        return await self.writer.make(lambda tables: result_of(change(cast(Any, tables))))

    async def _ask(self, query: Callable[[TinyStore], Awaitable[T]]) -> T:
        """
        :raises Unavailable: the server is not to be reached.
        """

        def asked() -> T:
            self._server.reached()
            return result_of(query(self._server.tables))

        try:
            return await self._read(asked)
        except OperationalError as e:
            raise Unavailable(self._server.said(e)) from None
