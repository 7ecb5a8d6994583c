"""What is read all the time, in memory: the feed, the users, the sessions, and the part of the ledger
that is unfinished.

Positions are given out when a change is made, and shown once it is durable.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from pipetest.domain.model import (
    Change,
    DealChange,
    Done,
    Entry,
    Gist,
    Organization,
    OrganizationChange,
    PassResult,
    User,
    key,
)
from pipetest.store.tinydb.format import (
    ABOUT,
    ABOUT_ID,
    GISTS,
    SESSIONS,
    USERS,
    AboutRow,
    GistRow,
    SessionRow,
    Unusable,
    UserRow,
)
from pipetest.store.tinydb.generations import Tables
from pipetest.store.tinydb.sessions import Sessions


class Feed:
    """Gist ids by position and back. The two share their strings: 18 MB for a hundred thousand gists."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._positions: dict[str, int] = {}
        self.length = 0
        """How many are shown."""

    def add(self, gist_id: str) -> int | None:
        """Give out the next position; None when the gist has one."""
        if gist_id in self._positions:
            return None
        self._ids.append(gist_id)
        self._positions[gist_id] = len(self._ids)
        return len(self._ids)

    def position(self, gist_id: str) -> int:
        """:raises KeyError: the feed doesn't show it."""
        position = self._positions[gist_id]
        if position > self.length:
            raise KeyError(gist_id)
        return position

    def among(self, gist_ids: Collection[str]) -> Collection[str]:
        """Those of them that are shown."""
        return {gist_id for gist_id in gist_ids if self._positions.get(gist_id, self.length + 1) <= self.length}

    def slice(self, start: int, stop: int) -> Sequence[str]:
        return self._ids[start : min(stop, self.length)]


class Memory:
    """The state as far as it is read, as of the last durable change."""

    def __init__(self) -> None:
        self.about = AboutRow(0, {}, False, {})
        self.feed = Feed()
        self.users: dict[str, User] = {}
        self.gist_counts: Counter[str] = Counter()
        self._user_ids: dict[str, int] = {}
        self._last_user_id = 0
        self.unfinished: dict[int, Entry] = {}
        self.sessions = Sessions()

    def user_id(self, name: str) -> int | None:
        """A user's document id, also when it is still on its way to the disk."""
        return self._user_ids.get(key(name))

    def add_user(self, name: str, doc_id: int | None = None) -> int:
        """Give out a document id, the next one or this."""
        self._user_ids[key(name)] = self._last_user_id = doc_id or self._last_user_id + 1
        return self._last_user_id

    def stage(self, user: str, gists: Iterable[Gist]) -> Sequence[Entry]:
        """The new ones among the gists, each with its position."""
        placed = [(self.feed.add(gist.id), gist) for gist in gists]
        return [Entry(position, gist, user) for position, gist in placed if position is not None]

    def recorded(self, user: str, news: dict[str, Any], entries: Sequence[Entry]) -> Sequence[Entry]:
        """A pass is durable."""
        self.users[key(user)] = replace(self.users.get(key(user), User(user)), name=user, **news)
        self.gist_counts[key(user)] += len(entries)
        for entry in entries:
            self.unfinished[entry.position] = entry
            self.feed.length = entry.position
        return entries

    def changed(self, changes: Sequence[Change]) -> None:
        """Steps in the ledger are durable."""
        for change in changes:
            match change:
                case DealChange(gist_id, Done()):
                    self.unfinished.pop(self.feed.position(gist_id), None)
                case DealChange(gist_id, state):
                    position = self.feed.position(gist_id)
                    if position in self.unfinished:
                        self.unfinished[position] = replace(self.unfinished[position], deal=state)
                case OrganizationChange(user, organization):
                    self.users[key(user)] = replace(self.users[key(user)], organization=organization)

    def unlist(self) -> None:
        """Drop every user's mark."""
        for name, user in self.users.items():
            self.users[name] = replace(user, organization=replace(user.organization, reconciled_at=None))


def news_of(reading: PassResult) -> dict[str, Any]:
    """What a pass says about its user. A None leaves things as they were, but for the ETag."""
    news: dict[str, Any] = {"etag": reading.etag}
    if reading.owner_id is not None:
        news["owner_id"] = reading.owner_id
    if reading.read_to_end_at is not None:
        news["read_to_end_at"] = reading.read_to_end_at
    return news


def remember(tables: Tables) -> Memory:
    """Read the tables.

    :raises Unusable: a row is damaged or missing.
    """
    memory = Memory()
    try:
        memory.about = dict(tables[ABOUT].rows(AboutRow))[ABOUT_ID]
        for doc_id, user in tables[USERS].rows(UserRow):
            _remember_user(memory, doc_id, user)
        for position, gist in tables[GISTS].rows(GistRow):
            _remember_gist(memory, position, gist)
        memory.sessions = Sessions(tables[SESSIONS].rows(SessionRow))
    except msgspec.DecodeError as e:
        raise Unusable(f"is damaged ({e})") from e
    return memory


def _remember_user(memory: Memory, doc_id: int, row: UserRow) -> None:
    if memory.user_id(row.username) is not None:
        raise Unusable(f"is damaged (user {row.username} is in it twice)")
    memory.add_user(row.username, doc_id)
    memory.users[key(row.username)] = User(
        row.username, row.owner_id, row.etag, row.read_to_end_at, Organization(row.organization, row.listed_at)
    )


def _remember_gist(memory: Memory, position: int, row: GistRow) -> None:
    if memory.feed.add(row.gist) != position:
        raise Unusable(f"is damaged (gist {row.gist} is not where it should be)")
    if memory.user_id(row.user) is None:
        raise Unusable(f"is damaged (user {row.user} of gist {row.gist} is missing)")
    memory.feed.length = position
    memory.gist_counts[key(row.user)] += 1
    if not isinstance(row.deal, Done):
        memory.unfinished[position] = Entry(position, Gist(row.gist, row.created_at), row.user, row.deal)
