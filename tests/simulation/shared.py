"""The store of one instance of several, as the product's on PostgreSQL: reads by themselves, and a real writer."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from math import inf
from typing import Any, TypeVar, cast

from psycopg import OperationalError
from twisted.internet.interfaces import IReactorTime

from pipetest.domain.errors import DatabaseRefused, Unavailable
from pipetest.domain.interfaces import Order, Run, Time
from pipetest.domain.model import Change, Entry, Reading, User
from pipetest.store.postgres.connection import Database
from pipetest.store.postgres.lease import Lock
from pipetest.store.postgres.writer import Writer
from pipetest.store.tinydb.store import TinyStore
from tests.simulation.server import Server, Session
from tests.support.results import now

T = TypeVar("T")


class SharedWriter(Writer):
    """Obeys what people ask for by way of the server."""

    def __init__(self, server: Server, session: Session, run: Run, time: Time, clock: IReactorTime) -> None:
        super().__init__(cast(Database, server), cast(Lock, session), run, time, clock)
        self._server = server

    async def obeyed(self, order: Order) -> None:
        await self.make(lambda _: self._server.orders.remove(order))


class SharedStore:
    """A :class:`~pipetest.domain.interfaces.Store`. ``read`` and ``write`` do what blocks, ``write`` one
    piece after the other."""

    def __init__(
        self, server: Server, session: Session, read: Run, write: Run, time: Time, clock: IReactorTime
    ) -> None:
        self._server = server
        self._read = read
        self.writer = SharedWriter(server, session, write, time, clock)

    @property
    def trouble(self) -> str | None:
        return self.writer.trouble

    @property
    def unmarked(self) -> bool:
        return self.writer.unmarked

    def open(self) -> None:
        try:
            self.writer.open()
        except OperationalError as e:
            raise DatabaseRefused(self._server.said(e)) from None

    async def close(self) -> None:
        await self.writer.close()

    async def settled(self) -> None:
        await self._make(lambda tables: tables.settled())
        self.writer.unmarked = False

    async def note(self, name: str) -> Any:
        return await self._ask(lambda tables: tables.note(name))

    async def keep(self, name: str, value: Any) -> None:
        await self._make(lambda tables: tables.keep(name, value))

    async def users(self) -> Sequence[User]:
        return await self._ask(lambda tables: tables.users())

    async def gist_counts(self) -> Mapping[str, int]:
        return await self._ask(lambda tables: tables.gist_counts())

    async def recorded(self, gist_ids: Collection[str]) -> Collection[str]:
        return await self._ask(lambda tables: tables.recorded(gist_ids))

    async def record(self, reading: Reading) -> Sequence[Entry]:
        return await self._make(lambda tables: tables.record(reading))

    async def unfinished(self) -> Sequence[Entry]:
        return await self._ask(lambda tables: tables.unfinished())

    async def save(self, *changes: Change) -> None:
        await self._make(lambda tables: tables.save(*changes))

    async def feed(self, start: int, stop: int) -> Sequence[str]:
        return await self._ask(lambda tables: tables.feed(start, stop))

    async def feed_length(self) -> int:
        return await self._ask(lambda tables: tables.feed_length())

    async def session(self, session_id: str, now: float, lifetime: float = inf) -> int | None:
        return await self._ask(lambda tables: tables.session(session_id, now, lifetime))

    async def show(self, session_id: str, position: int, now: float) -> None:
        await self._ask(lambda tables: tables.show(session_id, position, now))

    async def forget_sessions(self, unvisited_since: float) -> int:
        return await self._ask(lambda tables: tables.forget_sessions(unvisited_since))

    # --- how ----------------------------------------------------------------------------------------------------------

    async def _make(self, change: Callable[[TinyStore], Awaitable[T]]) -> T:
        return await self.writer.make(lambda tables: now(change(cast(Any, tables))))

    async def _ask(self, query: Callable[[TinyStore], Awaitable[T]]) -> T:
        """
        :raises Unavailable: the server is not to be reached.
        """

        def asked() -> T:
            self._server.reached()
            return now(query(self._server.tables))

        try:
            return await self._read(asked)
        except OperationalError as e:
            raise Unavailable(self._server.said(e)) from None
