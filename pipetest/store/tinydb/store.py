"""The store in one file: TinyDB on a thread, reads from memory."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from functools import partial
from math import inf
from typing import Any, TypeVar

from msgspec import json
from twisted.internet.interfaces import IReactorTime

from pipetest.domain.interfaces import IDENTITY, Run, new_identity
from pipetest.domain.model import Change, DealChange, Entry, OrganizationChange, PassResult, Text, User, Visit, key
from pipetest.store import limits
from pipetest.store.tinydb.disk import Disk
from pipetest.store.tinydb.group_commit import GroupCommit
from pipetest.store.tinydb.memory import Memory, user_fields
from pipetest.store.tinydb.recovery import open_database
from pipetest.store.tinydb.tables import TinyTables
from pipetest.store.values import as_json, read_as

T = TypeVar("T")


class TinyStore:
    """A :class:`~pipetest.domain.interfaces.Store` for one process, a few thousand users and a hundred thousand gists.

    ``run`` runs blocking work, one call at a time. ``roots`` are the URLs of the services that the database belongs
    to, by name. ``monotonic`` measures how long a commit takes, which a wall clock that is set would get wrong; None:
    the ``clock`` does.
    """

    _memory: Memory
    _tables: TinyTables

    def __init__(
        self,
        disk: Disk,
        run: Run,
        clock: IReactorTime,
        *,
        roots: Mapping[str, str],
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self._disk = disk
        self._run = run
        self._roots = roots
        self._commits = GroupCommit(
            run, clock, monotonic or clock.seconds, disk.path, self._lazy_changes, lambda: self._tables.flush()
        )

    @property
    def problem(self) -> str | None:
        return self._commits.problem

    @property
    def unreconciled(self) -> bool:
        return self._memory.unreconciled

    def open(self, before_takeover: Callable[[], None] = lambda: None) -> None:
        opened = open_database(self._disk, self._roots, before_takeover)
        self._memory = opened.memory
        self._tables = TinyTables(opened.storage)
        if IDENTITY not in self._memory.values:  # written with the next commit: nothing needs it before
            identity = new_identity()
            self._tables.put_value(IDENTITY, identity)
            self._memory.put_value(IDENTITY, identity)

    async def close(self) -> None:
        if await self._commits.close():
            await self._run(self._tables.close)

    # --- the scanner --------------------------------------------------------------------------------------------------

    async def users(self) -> Sequence[User]:
        return list(self._memory.users.values())

    async def users_in_parts(self) -> AsyncIterator[Sequence[User]]:
        yield await self.users()

    async def known_users(self, names: Collection[str], account_ids: Collection[int]) -> Sequence[User]:
        keys, numbers = {key(name) for name in names}, {*account_ids}
        users = self._memory.users.items()
        return [user for name, user in users if name in keys or user.owner_id in numbers]

    async def gist_counts(self) -> Mapping[str, int]:
        return self._memory.gist_counts

    async def skipped_counts(self) -> Mapping[str, int]:
        return self._memory.skipped_counts()

    async def known_gists(self, gist_ids: Collection[str]) -> Collection[str]:
        return self._memory.feed.known(gist_ids)

    async def add_gists(self, result: PassResult) -> Sequence[Entry]:
        limits.check_result(result)
        user, fields = result.user, user_fields(result)
        entries, adopted = self._memory.new_entries(result)
        known_id = self._memory.user_id(user)
        user_id = known_id or self._memory.new_user_id(user)

        def apply() -> None:
            if known_id is None:
                self._tables.add_user(user_id, user)
            self._tables.add_gists(user_id, user, fields, entries)
            if adopted:
                self._tables.remove_found_deals(adopted)

        return await self._commits.submit(apply, partial(self._memory.add_gists, user, fields, entries))

    async def users_without_text(self) -> Collection[str]:
        return self._memory.open_entries.users_without_text()

    async def add_texts(self, user: str, texts: Mapping[str, Text]) -> Sequence[Entry]:
        open_entries = self._memory.open_entries
        added = {entry.position: texts.get(entry.gist.id, Text()) for entry in open_entries.without_text(user)}
        limits.check_texts(added.values())
        if not added:
            return []
        return await self._commits.submit(partial(self._tables.add_texts, added), lambda: open_entries.add_texts(added))

    # --- the outbox ---------------------------------------------------------------------------------------------------

    async def open_entries(self) -> Sequence[Entry]:
        return self._memory.open_entries.all()

    async def done_entries(self, after: int, most: int) -> Sequence[Entry]:
        return await self._run(partial(self._tables.done_entries, after, most))

    async def want_skipped(self, user: str) -> Sequence[Entry]:
        wanted: list[Entry] = []

        def apply() -> None:
            wanted[:] = self._tables.want_skipped(user)

        return await self._commits.submit(apply, lambda: self._memory.skip_no_more(wanted))

    async def save(self, *changes: Change) -> None:
        limits.check_changes(changes)
        steps = [self._step(change) for change in changes]

        def apply() -> None:
            for step in steps:
                step()

        await self._commits.submit(apply, partial(self._memory.save, changes))

    def _step(self, change: Change) -> Callable[[], None]:
        match change:
            case DealChange(gist_id, state):
                return partial(self._tables.set_deal, self._memory.feed.position(gist_id), state)
            case OrganizationChange(user, organization):
                if (user_id := self._memory.user_id(user)) is None:
                    raise KeyError(user)
                return partial(self._tables.set_organization, user_id, organization)

    async def adopt(self, deals: Mapping[str, int]) -> Sequence[Entry]:
        limits.check_deals(deals)
        claimed, others = self._memory.split(deals)
        found = self._memory.found_deals.keep(others)
        adopted: dict[int, int] = {}
        skipped_no_more: list[Entry] = []

        def apply() -> None:
            adopted.update(self._tables.lacking_deal(claimed))
            skipped_no_more[:] = self._tables.adopt(adopted, found)

        return await self._commits.submit(apply, lambda: self._memory.adopt(adopted, found.values(), skipped_no_more))

    async def newest_deal(self) -> int:
        return self._memory.newest_deal

    async def newest_deals(self, users: Collection[str], most: int) -> Mapping[str, Sequence[int]]:
        return await self._run(partial(self._tables.newest_deals, users, most))

    async def known_deals(self, gist_ids: Collection[str]) -> Collection[str]:
        return {gist_id for gist_id in gist_ids if self._memory.is_deal_known(gist_id)}

    async def mark_reconciled(self, reconciled_at: float | None = None) -> None:
        await self._commits.submit(
            partial(self._tables.mark_reconciled, reconciled_at), partial(self._memory.mark_reconciled, reconciled_at)
        )

    async def mark_unreconciled(self) -> None:
        await self._commits.submit(self._tables.mark_unreconciled, self._memory.mark_unreconciled)

    # --- values -------------------------------------------------------------------------------------------------------

    async def get_value(self, name: str, kind: type[T]) -> T | None:
        return read_as(kind, name, self._memory.values.get(name))

    async def put_value(self, name: str, value: Any) -> None:
        stored = json.decode(as_json(value))
        await self._commits.submit(
            partial(self._tables.put_value, name, stored), partial(self._memory.put_value, name, stored)
        )

    # --- visitors -----------------------------------------------------------------------------------------------------

    async def feed(self, start: int, stop: int) -> Sequence[str]:
        return self._memory.feed.slice(start, stop)

    async def feed_length(self) -> int:
        return self._memory.feed.length

    async def resume_session(self, session_id: str, now: float, lifetime: float = inf) -> Visit:
        return Visit(self._memory.sessions.resume(session_id, now, lifetime), self._memory.feed.length)

    async def advance_session(self, session_id: str, position: int, now: float) -> None:
        if self._memory.sessions.advance(session_id, position, now):
            self._commits.schedule_lazy()

    async def expire_sessions(self, unvisited_since: float) -> int:
        expired = self._memory.sessions.expire(unvisited_since)
        if expired:
            self._commits.schedule_lazy()
        return expired

    def _lazy_changes(self) -> Callable[[], None] | None:
        changes = self._memory.sessions.changes()
        return partial(self._tables.set_sessions, changes) if changes else None
