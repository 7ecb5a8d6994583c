"""TinyDB's file, to copy from or to."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from pipetest.domain.errors import DatabaseRefused
from pipetest.domain.model import key
from pipetest.store.copy.content import About, Row, portable
from pipetest.store.tinydb import format as layout
from pipetest.store.tinydb.disk import FolderDisk
from pipetest.store.tinydb.format import (
    ABOUT,
    ABOUT_ID,
    FORMAT,
    FOUND_DEALS,
    GISTS,
    SESSIONS,
    USERS,
    AboutRow,
    FoundDealRow,
    GistRow,
    SessionRow,
    UserRow,
)
from pipetest.store.tinydb.generations import CURRENT, NEW, PREVIOUS, Generations, Tables, encoded, write
from pipetest.store.tinydb.pages import Pages
from pipetest.store.tinydb.recovery import find

ROWS: Mapping[str, type[Any]] = {
    USERS: UserRow,
    GISTS: GistRow,
    SESSIONS: SessionRow,
    FOUND_DEALS: FoundDealRow,
}
SORTED_BY = {SESSIONS: "session_id", FOUND_DEALS: "gist"}
"""The order in which tables are read whose rows have none of their own."""


class TinySource:
    """:raises DatabaseRefused: there is none, a daemon holds it, or it cannot be read."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        if not any(path.with_name(path.name + suffix).exists() for suffix in (CURRENT, PREVIOUS)):
            raise DatabaseRefused(f"{path} does not exist")
        self._disk = FolderDisk(str(path))
        self._disk.open()
        try:
            found = find(self._disk, {})
            if found.older_service:
                raise DatabaseRefused(f"{path} is the older service's: start pipetest on it once, then copy it")
        except BaseException:
            self._disk.close()
            raise
        self._found = found
        self._tables = found.tables

    def counts(self) -> Mapping[str, int]:
        return {table: sum(1 for _ in self._tables[table].rows(row)) for table, row in ROWS.items()}

    def about(self) -> About:
        return _about(self._tables)

    def rows(self, table: str) -> Iterator[Row]:
        return _rows(self._tables, table)

    def give_to(self, roots: Mapping[str, str]) -> None:
        """
        :raises DatabaseRefused: a start has to mend it first.
        """
        if self._found.suffix != CURRENT:
            raise DatabaseRefused(f"{self.name} is not whole: start pipetest on it once with the addresses it had")
        layout.give_to(self._tables, roots)
        Generations(self._disk, self._tables).flush()

    def close(self) -> None:
        self._disk.close()


class TinyTarget:
    """All is gathered in memory and written in :meth:`finish`.

    :raises DatabaseRefused: there is one already, or the folder cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._disk = FolderDisk(str(path))
        self._disk.open()
        if taken := [suffix for suffix in (CURRENT, PREVIOUS) if self._disk.exists(suffix)]:
            self._disk.close()
            raise DatabaseRefused(f"{path}{taken[0]} exists: move it away, or give another path")
        self._rows: dict[str, dict[int, Raw]] = {table: {} for table in (ABOUT, *ROWS)}
        self._users: list[UserRow] = []
        self._gists: defaultdict[str, list[str]] = defaultdict(list)
        self._written: Tables = {}

    def put(self, about: About) -> None:
        row = AboutRow(FORMAT, dict(about.roots), unreconciled=True, values=dict(about.values))
        self._rows[ABOUT][ABOUT_ID] = Raw(msgspec.json.encode(row))

    def add(self, table: str, rows: Sequence[Row]) -> None:
        for row in rows:
            if isinstance(row, UserRow):
                self._users.append(row)
                continue
            if isinstance(row, GistRow):
                self._gists[key(row.user)].append(row.gist)
            self._add(table, row)

    def finish(self) -> None:
        for user in self._users:
            self._add(USERS, replace(user, gists=self._gists[key(user.username)]))
        tables = {name: Pages(rows) for name, rows in self._rows.items()}
        write(self._disk, NEW, encoded(tables))
        self._written = layout.read(self._disk.read(NEW) or b"")

    def counts(self) -> Mapping[str, int]:
        return {table: len(rows) for table, rows in self._rows.items()}

    def about(self) -> About:
        return _about(self._written)

    def rows(self, table: str) -> Iterator[Row]:
        return _rows(self._written, table)

    def commit(self) -> None:
        self._disk.rename(NEW, CURRENT)
        self._disk.sync()

    def close(self) -> None:
        self._disk.close()

    def _add(self, table: str, row: Row) -> None:
        rows = self._rows[table]
        rows[len(rows) + 1] = Raw(msgspec.json.encode(row))


def _about(tables: Tables) -> About:
    row = dict(tables[ABOUT].rows(AboutRow))[ABOUT_ID]
    return About(row.roots, row.values)


def _rows(tables: Tables, table: str) -> Iterator[Row]:
    rows = (portable(row) for _, row in tables[table].rows(ROWS[table]))
    return iter(sorted(rows, key=attrgetter(SORTED_BY[table]))) if table in SORTED_BY else rows
