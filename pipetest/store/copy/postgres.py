"""A PostgreSQL database, to copy from or to in one transaction; imported only where a URL asks for it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from psycopg import Error
from psycopg.types.json import Json

from pipetest.domain.errors import DatabaseRefused
from pipetest.domain.model import Secret, Skipped, key
from pipetest.store.copy.content import About, Row, portable
from pipetest.store.postgres import migrations, writes
from pipetest.store.postgres import rows as columns
from pipetest.store.postgres.connection import Connected, Database, fetch_one
from pipetest.store.postgres.migrations import SCANNER_LOCK
from pipetest.store.postgres.pooler import refuse_shared_sessions
from pipetest.store.postgres.sessions import WORTH
from pipetest.store.tinydb.format import (
    FOUND_DEALS,
    GISTS,
    SESSIONS,
    USERS,
    FoundDealRow,
    GistRow,
    SessionRow,
    UserRow,
)
from pipetest.store.tinydb.sessions import MAX_SESSIONS

COPYING = "SET lock_timeout = '5s'; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0"
CHUNK = 5_000

_SELECT = {
    USERS: f"SELECT {columns.USER} FROM pipetest.users ORDER BY id",  # noqa: S608  # no input
    GISTS: f"SELECT {columns.ENTRY} FROM pipetest.gists ORDER BY position",  # noqa: S608
    SESSIONS: "SELECT session_id, shown, extract(epoch FROM visited_at)::float8, returned, "  # noqa: S608
    "extract(epoch FROM begun_at)::float8 "
    f"FROM (SELECT * FROM pipetest.sessions ORDER BY {WORTH} LIMIT {MAX_SESSIONS}) AS kept "
    'ORDER BY session_id COLLATE "C"',
    FOUND_DEALS: 'SELECT gist, deal_id FROM pipetest.found_deals ORDER BY gist COLLATE "C"',
}
"""Of the sessions only those that TinyDB would keep."""

_COPY = {
    USERS: "users (key, name, owner_id, etag, read_to_end_at, "
    "state, organization_id, reason, since_at, sent, status, code)",
    GISTS: "gists (position, gist, username, created_at, state, deal_id, reason, since_at, sent, status, code, "
    "skipped, text)",
    SESSIONS: "sessions (session_id, shown, visited_at, returned, begun_at)",
    FOUND_DEALS: "found_deals (gist, deal_id)",
}


class PostgresSource:
    """:raises DatabaseRefused: it cannot be used, an instance holds it, or another version wrote it."""

    def __init__(self, url: Secret) -> None:
        self._database = Database(url)
        self.name = self._database.name
        with self._refusals():
            refuse_shared_sessions(self._database)
            self._connection = self._database.connect(COPYING)
        try:
            with self._refusals():
                self._begin(self._connection)
        except BaseException:
            self.close()
            raise

    def counts(self) -> Mapping[str, int]:
        with self._refusals():
            gists, users, sessions, found, length = fetch_one(
                self._connection,
                "SELECT (SELECT count(*) FROM pipetest.gists), (SELECT count(*) FROM pipetest.users), "
                "(SELECT count(*) FROM pipetest.sessions), (SELECT count(*) FROM pipetest.found_deals), feed_length "
                "FROM pipetest.about",
            )
        if gists != length:
            raise DatabaseRefused(f"{self.name} is damaged: it holds {gists} gists and says {length}")
        return {USERS: users, GISTS: gists, SESSIONS: min(sessions, MAX_SESSIONS), FOUND_DEALS: found}

    def about(self) -> About:
        with self._refusals():
            roots = self._connection.execute("SELECT service, root FROM pipetest.roots").fetchall()
            values = self._connection.execute("SELECT name, value FROM pipetest.notes").fetchall()
        return About(dict(roots), dict(values))

    def rows(self, table: str) -> Iterator[Row]:
        with self._refusals(), self._connection.cursor(table) as cursor:
            cursor.itersize = CHUNK
            for row in cursor.execute(_SELECT[table].encode()):
                yield portable(_row(table, row))

    def give_to(self, roots: Mapping[str, str]) -> None:
        with self._refusals(), self._connection.cursor() as cursor:
            changes = [(root, service) for service, root in roots.items()]
            cursor.executemany("UPDATE pipetest.roots SET root = %s WHERE service = %s", changes)
            writes.mark_unreconciled(self._connection)
            cursor.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()

    def _begin(self, connection: Connected) -> None:
        """Take the lock as an instance does, and begin the transaction of all that follows."""
        if not fetch_one(connection, "SELECT pg_try_advisory_lock(%s)", SCANNER_LOCK)[0]:
            raise DatabaseRefused(f"{self.name} is in use: stop every instance of pipetest first")
        self._check(connection)
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")

    def _check(self, connection: Connected) -> None:
        version = migrations.version_of(connection)
        if version == 0:
            raise DatabaseRefused(f"{self.name} holds no database of pipetest")
        if version != len(migrations.MIGRATIONS):
            raise DatabaseRefused(f"{self.name} is of format {version}: start this version of pipetest on it first")

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """:raises DatabaseRefused: the server refused something, or is gone."""
        try:
            yield
        except Error as e:
            raise DatabaseRefused(self._database.explain(e)) from None


class PostgresTarget(PostgresSource):
    """:raises DatabaseRefused: as above, or it is not empty."""

    _length = 0

    def put(self, about: About) -> None:
        with self._refusals(), self._connection.cursor() as cursor:
            cursor.execute("DELETE FROM pipetest.roots")
            cursor.executemany("INSERT INTO pipetest.roots VALUES (%s, %s)", list(about.roots.items()))
            values = [(name, Json(value)) for name, value in about.values.items()]
            cursor.executemany("INSERT INTO pipetest.notes VALUES (%s, %s)", values)

    def add(self, table: str, rows: Sequence[Row]) -> None:
        copying = f"COPY pipetest.{_COPY[table]} FROM STDIN".encode()
        with self._refusals(), self._connection.cursor() as cursor:
            with cursor.copy(copying) as copy:
                for row in rows:
                    copy.write_row(self._values(row))
            if table == GISTS:
                self._count(Counter(key(row.user) for row in rows if isinstance(row, GistRow)))

    def finish(self) -> None:
        with self._refusals():
            self._connection.execute("UPDATE pipetest.about SET feed_length = %s, unmarked = true", [self._length])

    def commit(self) -> None:
        with self._refusals():
            self._connection.execute("COMMIT")
            self._connection.execute("ANALYZE")

    def _check(self, connection: Connected) -> None:
        migrations.migrate(connection, self.name)
        tables = ("users", "gists", "sessions", "notes", "found_deals")
        query = " OR ".join(f"EXISTS (SELECT FROM pipetest.{table})" for table in tables)
        if fetch_one(connection, f"SELECT {query}")[0]:
            raise DatabaseRefused(
                f"{self.name} is not empty: give a new database, or DROP SCHEMA pipetest CASCADE in it"
            )

    def _values(self, row: Row) -> Sequence[Any]:
        match row:
            case UserRow():
                state = _columns(row.organization)
                return [key(row.username), row.username, row.owner_id, row.etag, _at(row.read_to_end_at), *state]
            case GistRow():
                self._length += 1
                skipped = isinstance(row.deal, Skipped)
                state, text = _columns(row.deal), columns.text_column(row.text)
                return [self._length, row.gist, row.user, _at(row.created_at), *state, skipped, text]
            case SessionRow():
                return [row.session_id, row.shown, _at(row.visited_at), row.returned, _at(row.begun_at)]
            case FoundDealRow():
                return [row.gist, row.deal_id]

    def _count(self, gists: Mapping[str, int]) -> None:
        self._connection.execute(
            "UPDATE pipetest.users AS u SET gists = u.gists + c.gists "
            "FROM unnest(%s::text[], %s::integer[]) AS c (key, gists) WHERE u.key = c.key",
            [list(gists), list(gists.values())],
        )


def _row(table: str, row: tuple[Any, ...]) -> Row:
    if table == USERS:
        user = columns.user(row)
        return UserRow(user.name, [], user.owner_id, user.etag, user.read_to_end_at, user.organization.state)
    if table == GISTS:
        entry = columns.entry(row)
        return GistRow(entry.gist.id, entry.user, entry.gist.created_at, entry.deal, entry.gist.text)
    return FoundDealRow(*row) if table == FOUND_DEALS else SessionRow(*row)


def _columns(given: Any) -> Sequence[Any]:
    name, record_id, reason, since_at, *rest = columns.columns(given)
    return [name, record_id, reason, _at(since_at), *rest]


def _at(moment: float | None) -> datetime | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC)
