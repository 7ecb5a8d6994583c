"""The store in one file: TinyDB on a thread, reads from memory."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from math import inf
from typing import Any

from msgspec import to_builtins
from twisted.internet.interfaces import IReactorTime

from pipetest.domain.interfaces import Run
from pipetest.domain.model import Change, DealChange, Entry, OrganizationChange, PassResult, User
from pipetest.store.tinydb.disk import Disk
from pipetest.store.tinydb.group_commit import GroupCommit
from pipetest.store.tinydb.memory import Memory, news_of
from pipetest.store.tinydb.recovery import open_database
from pipetest.store.tinydb.tables import TinyTables


class TinyStore:
    """A :class:`~pipetest.domain.interfaces.Store` for one process, a few thousand users and a hundred thousand gists.

    ``run`` does what blocks, one piece of work at a time. ``roots`` are the URLs of the services that this is about, by
    name.
    """

    _tables: TinyTables

    def __init__(self, disk: Disk, run: Run, clock: IReactorTime, *, roots: Mapping[str, str]) -> None:
        self._disk = disk
        self._run = run
        self._roots = roots
        self._memory = Memory()
        self._commits = GroupCommit(run, clock, disk.path, self._riders, lambda: self._tables.flush())

    # --- its life -----------------------------------------------------------------------------------------------------

    @property
    def trouble(self) -> str | None:
        return self._commits.trouble

    @property
    def unreconciled(self) -> bool:
        return self._memory.about.unmarked

    def open(self) -> None:
        opened = open_database(self._disk, self._roots)
        self._memory = opened.memory
        self._tables = TinyTables(opened.storage)

    async def close(self) -> None:
        if await self._commits.close():
            await self._run(self._tables.close)

    async def mark_reconciled(self) -> None:
        def then() -> None:
            self._memory.about.unmarked = False

        await self._commits.make(lambda: self._tables.set_unmarked(False), then)

    async def get_value(self, name: str) -> Any:
        return self._memory.about.notes.get(name)

    async def put_value(self, name: str, value: Any) -> None:
        kept = to_builtins(value)
        await self._commits.make(
            lambda: self._tables.keep(name, kept), lambda: self._memory.about.notes.update({name: kept})
        )

    # --- the scan -----------------------------------------------------------------------------------------------------

    async def users(self) -> Sequence[User]:
        return list(self._memory.users.values())

    async def gist_counts(self) -> Mapping[str, int]:
        return self._memory.gist_counts

    async def known_gists(self, gist_ids: Collection[str]) -> Collection[str]:
        return self._memory.feed.among(gist_ids)

    async def add_gists(self, reading: PassResult) -> Sequence[Entry]:
        news = news_of(reading)
        entries = self._memory.stage(reading.user, reading.gists)
        known_id = self._memory.user_id(reading.user)
        user_id = known_id or self._memory.add_user(reading.user)

        def apply() -> None:
            if known_id is None:
                self._tables.add_user(user_id, reading.user)
            self._tables.record(user_id, reading.user, news, entries)

        return await self._commits.make(apply, lambda: self._memory.recorded(reading.user, news, entries))

    # --- the creator --------------------------------------------------------------------------------------------------

    async def open_entries(self) -> Sequence[Entry]:
        return list(self._memory.unfinished.values())

    async def save(self, *changes: Change) -> None:
        steps = [self._step(change) for change in changes]

        def apply() -> None:
            for step in steps:
                step()

        await self._commits.make(apply, lambda: self._memory.changed(changes))

    def _step(self, change: Change) -> Callable[[], None]:
        match change:
            case DealChange(gist_id, state):
                return partial(self._tables.set_deal, self._memory.feed.position(gist_id), state)
            case OrganizationChange(user, organization):
                if (user_id := self._memory.user_id(user)) is None:
                    raise KeyError(user)
                return partial(self._tables.set_organization, user_id, organization)

    # --- visitors -----------------------------------------------------------------------------------------------------

    async def feed(self, start: int, stop: int) -> Sequence[str]:
        return self._memory.feed.slice(start, stop)

    async def feed_length(self) -> int:
        return self._memory.feed.length

    async def resume_session(self, session_id: str, now: float, lifetime: float = inf) -> int | None:
        return self._memory.sessions.visit(session_id, now, lifetime)

    async def advance_session(self, session_id: str, position: int, now: float) -> None:
        if self._memory.sessions.show(session_id, position, now):
            self._commits.ride()

    async def expire_sessions(self, unvisited_since: float) -> int:
        forgotten = self._memory.sessions.forget(unvisited_since)
        if forgotten:
            self._commits.ride()
        return forgotten

    def _riders(self) -> Callable[[], None] | None:
        changes = self._memory.sessions.changes()
        return partial(self._tables.set_sessions, changes) if changes else None
