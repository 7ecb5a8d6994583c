"""The store of one instance of several: the product's own writer, with its lease, on a simulated database server."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from math import inf
from typing import Any, TypeVar, cast

from psycopg import OperationalError
from twisted.internet.interfaces import IReactorTime

from pipetest.domain.errors import DatabaseRefused, Unavailable
from pipetest.domain.interfaces import Command, Run, Time
from pipetest.domain.model import Change, Entry, PassResult, Text, User, Visit
from pipetest.store.postgres.connection import Database
from pipetest.store.postgres.lease import LeaseConnection
from pipetest.store.postgres.writer import LeasedWriter
from pipetest.store.tinydb.store import TinyStore
from tests.simulation.database_server import DatabaseServer, LockSession
from tests.support.results import result_of

T = TypeVar("T")


class SharedWriter(LeasedWriter):
    """Where the product's writer speaks SQL, this one does the same to the simulated server."""

    def __init__(self, server: DatabaseServer, session: LockSession, run: Run, time: Time, clock: IReactorTime) -> None:
        super().__init__(cast(Database, server), cast(LeaseConnection, session), run, time, clock)
        self._server = server

    async def mark_reconciled(self, reconciled_at: float | None) -> None:
        await self.submit(lambda _: result_of(self._server.content.mark_reconciled(reconciled_at)))
        self.unreconciled = False

    async def mark_unreconciled(self) -> None:
        await self.submit(lambda _: result_of(self._server.content.mark_unreconciled()))
        self.unreconciled = True

    async def acknowledge(self, command: Command) -> None:
        await self.submit(lambda _: self._server.commands.remove(command))


class SharedStore:
    """A :class:`~pipetest.domain.interfaces.Store`. ``read`` and ``write`` run what blocks; ``write`` one after the
    other."""

    def __init__(
        self, server: DatabaseServer, session: LockSession, read: Run, write: Run, time: Time, clock: IReactorTime
    ) -> None:
        self._server = server
        self._run = read
        self.writer = SharedWriter(server, session, write, time, clock)

    @property
    def problem(self) -> str | None:
        return self.writer.problem

    @property
    def unreconciled(self) -> bool:
        return self.writer.unreconciled

    def open(self, before_takeover: Callable[[], None] = lambda: None) -> None:
        try:
            self.writer.open()
        except OperationalError as e:
            raise DatabaseRefused(self._server.explain(e)) from None

    async def close(self) -> None:
        await self.writer.close()

    async def mark_reconciled(self, reconciled_at: float | None = None) -> None:
        await self.writer.mark_reconciled(reconciled_at)

    async def mark_unreconciled(self) -> None:
        await self.writer.mark_unreconciled()

    async def adopt(self, deals: Mapping[str, int]) -> Sequence[Entry]:
        return await self._write(lambda content: content.adopt(deals))

    async def newest_deal(self) -> int:
        return await self._read(lambda content: content.newest_deal())

    async def done_entries(self, after: int, most: int) -> Sequence[Entry]:
        return await self._read(lambda content: content.done_entries(after, most))

    async def newest_deals(self, users: Collection[str], most: int) -> Mapping[str, Sequence[int]]:
        return await self._read(lambda content: content.newest_deals(users, most))

    async def known_deals(self, gist_ids: Collection[str]) -> Collection[str]:
        return await self._read(lambda content: content.known_deals(gist_ids))

    async def get_value(self, name: str, kind: type[T]) -> T | None:
        return await self._read(lambda content: content.get_value(name, kind))

    async def put_value(self, name: str, value: Any) -> None:
        await self._write(lambda content: content.put_value(name, value))

    async def users(self) -> Sequence[User]:
        return await self._read(lambda content: content.users())

    async def users_in_parts(self) -> AsyncIterator[Sequence[User]]:
        yield await self.users()

    async def known_users(self, names: Collection[str], account_ids: Collection[int]) -> Sequence[User]:
        return await self._read(lambda content: content.known_users(names, account_ids))

    async def gist_counts(self) -> Mapping[str, int]:
        return await self._read(lambda content: content.gist_counts())

    async def skipped_counts(self) -> Mapping[str, int]:
        return await self._read(lambda content: content.skipped_counts())

    async def users_without_text(self) -> Collection[str]:
        return await self._read(lambda content: content.users_without_text())

    async def add_texts(self, user: str, texts: Mapping[str, Text]) -> Sequence[Entry]:
        return await self._write(lambda content: content.add_texts(user, texts))

    async def want_skipped(self, user: str) -> Sequence[Entry]:
        return await self._write(lambda content: content.want_skipped(user))

    async def known_gists(self, gist_ids: Collection[str]) -> Collection[str]:
        return await self._read(lambda content: content.known_gists(gist_ids))

    async def add_gists(self, result: PassResult) -> Sequence[Entry]:
        return await self._write(lambda content: content.add_gists(result))

    async def open_entries(self) -> Sequence[Entry]:
        return await self._read(lambda content: content.open_entries())

    async def save(self, *changes: Change) -> None:
        await self._write(lambda content: content.save(*changes))

    async def feed(self, start: int, stop: int) -> Sequence[str]:
        return await self._read(lambda content: content.feed(start, stop))

    async def feed_length(self) -> int:
        return await self._read(lambda content: content.feed_length())

    async def resume_session(self, session_id: str, now: float, lifetime: float = inf) -> Visit:
        return await self._read(lambda content: content.resume_session(session_id, now, lifetime))

    async def advance_session(self, session_id: str, position: int, now: float) -> None:
        await self._read(lambda content: content.advance_session(session_id, position, now))

    async def expire_sessions(self, unvisited_since: float) -> int:
        return await self._read(lambda content: content.expire_sessions(unvisited_since))

    # --- how ----------------------------------------------------------------------------------------------------------

    async def _write(self, change: Callable[[TinyStore], Awaitable[T]]) -> T:
        return await self.writer.submit(lambda content: result_of(change(cast(Any, content))))

    async def _read(self, query: Callable[[TinyStore], Awaitable[T]]) -> T:
        """
        :raises Unavailable: the server cannot be reached.
        """

        def ask() -> T:
            self._server.check_reachable()
            return result_of(query(self._server.content))

        try:
            return await self._run(ask)
        except OperationalError as e:
            raise Unavailable(self._server.explain(e)) from None
