"""What is read. Each blocks, and costs one query that an index answers in proportion to what it returns."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from pipetest.domain.model import Entry, User
from pipetest.store.postgres import rows
from pipetest.store.postgres.connection import Connected, one

ONCE_SEEN = 1_000_000
"""Sessions at most: a visitor without a cookie jar begins one at every visit. As many take some 100 MB."""

_USERS = b"SELECT %b FROM pipetest.users ORDER BY id" % rows.USER.encode()
_UNFINISHED = b"SELECT %b FROM pipetest.gists WHERE state <> 'done' ORDER BY position" % rows.ENTRY.encode()


def users(connection: Connected) -> Sequence[User]:
    return [rows.user(row) for row in connection.execute(_USERS)]


def gist_counts(connection: Connected) -> Mapping[str, int]:
    return dict(connection.execute("SELECT key, gists FROM pipetest.users").fetchall())


def recorded(connection: Connected, gist_ids: Collection[str]) -> Collection[str]:
    found = connection.execute("SELECT gist FROM pipetest.gists WHERE gist = ANY(%s)", [list(gist_ids)])
    return {gist for (gist,) in found}


def unfinished(connection: Connected) -> Sequence[Entry]:
    return [rows.entry(row) for row in connection.execute(_UNFINISHED)]


def note(connection: Connected, name: str) -> Any:
    row = connection.execute("SELECT value FROM pipetest.notes WHERE name = %s", [name]).fetchone()
    return row and row[0]


def feed(connection: Connected, start: int, stop: int) -> Sequence[str]:
    found = connection.execute(
        "SELECT gist FROM pipetest.gists WHERE position > %s AND position <= %s ORDER BY position", [start, stop]
    )
    return [gist for (gist,) in found]


def feed_length(connection: Connected) -> int:
    (length,) = one(connection, "SELECT feed_length FROM pipetest.about")
    return int(length)


# --- visitors ---------------------------------------------------------------------------------------------------------


def session(connection: Connected, session_id: str, unvisited_since: float) -> int | None:
    row = connection.execute(
        "SELECT shown FROM pipetest.sessions WHERE session_id = %s AND visited_at >= to_timestamp(%s)",
        [session_id, unvisited_since],
    ).fetchone()
    return None if row is None else int(row[0])


def show(connection: Connected, session_id: str, position: int, now: float) -> None:
    connection.execute(
        "INSERT INTO pipetest.sessions AS s VALUES (%s, %s, to_timestamp(%s)) ON CONFLICT (session_id) DO UPDATE "
        "SET shown = greatest(s.shown, excluded.shown), visited_at = greatest(s.visited_at, excluded.visited_at)",
        [session_id, position, now],
    )


def renew(connection: Connected, visits: Iterable[tuple[str, float]]) -> None:
    """Note when these sessions have returned."""
    session_ids, times = zip(*sorted(visits), strict=True)  # sorted, so that two instances don't lock crosswise
    connection.execute(
        "UPDATE pipetest.sessions AS s SET visited_at = greatest(s.visited_at, to_timestamp(v.at)), returned = true "
        "FROM unnest(%s::text[], %s::float8[]) AS v (session_id, at) WHERE s.session_id = v.session_id",
        [list(session_ids), list(times)],
    )


def forget(connection: Connected, unvisited_since: float) -> int:
    """Remove the sessions unvisited since then. Beyond the bound those seen once go first, then the longest unvisited.

    How many went.
    """
    unvisited = connection.execute(
        "DELETE FROM pipetest.sessions WHERE visited_at < to_timestamp(%s)", [unvisited_since]
    ).rowcount
    surplus = connection.execute(
        "DELETE FROM pipetest.sessions WHERE session_id IN "
        "(SELECT session_id FROM pipetest.sessions ORDER BY returned DESC, visited_at DESC OFFSET %s)",
        [ONCE_SEEN],
    ).rowcount
    return unvisited + surplus


# --- people -----------------------------------------------------------------------------------------------------------


def order(connection: Connected, what: str, about: str) -> None:
    """Ask for something; on disk when this returns."""
    with connection.transaction():
        connection.execute("SET LOCAL synchronous_commit = on")
        connection.execute("INSERT INTO pipetest.orders (what, about) VALUES (%s, %s)", [what, about])


def quarantined(connection: Connected, gist_id: str) -> bool:
    found = connection.execute("SELECT FROM pipetest.gists WHERE gist = %s AND state = 'quarantined'", [gist_id])
    return found.fetchone() is not None
