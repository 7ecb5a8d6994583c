"""What is read. Each blocks, and costs one query that an index answers in proportion to what it returns; but for the
newest deals, for which all gists are looked at: about half a second for a million."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pipetest.domain.model import Entry, User, key
from pipetest.store.postgres import rows
from pipetest.store.postgres.connection import Connected, fetch_one

USERS_AT_ONCE = 10_000
"""Of a million, all rows together would take hundreds of megabytes."""

_USERS = b"SELECT id, %b FROM pipetest.users WHERE id > %%s ORDER BY id LIMIT %%s" % rows.USER.encode()
_KNOWN_USERS = (
    b"SELECT %b FROM pipetest.users WHERE key = ANY(%%s) OR owner_id = ANY(%%s) ORDER BY id" % rows.USER.encode()
)
_OPEN_ENTRIES = b"SELECT %b FROM pipetest.gists WHERE state <> 'done' ORDER BY position" % rows.ENTRY.encode()
_DONE_ENTRIES = (
    b"SELECT %b FROM pipetest.gists WHERE state = 'done' AND NOT skipped AND position > %%s ORDER BY position LIMIT %%s"
    % rows.ENTRY.encode()
)


def users(connection: Connected, after: int) -> tuple[Sequence[User], int | None]:
    """Those behind this row, :data:`USERS_AT_ONCE` at most, and the last one's row; None where there are no more."""
    found = connection.execute(_USERS, [after, USERS_AT_ONCE]).fetchall()
    return [rows.user(row[1:]) for row in found], found[-1][0] if len(found) == USERS_AT_ONCE else None


def known_users(connection: Connected, names: Collection[str], account_ids: Collection[int]) -> Sequence[User]:
    found = connection.execute(_KNOWN_USERS, [[key(name) for name in names], list(account_ids)])
    return [rows.user(row) for row in found]


def gist_counts(connection: Connected) -> Mapping[str, int]:
    return dict(connection.execute("SELECT key, gists FROM pipetest.users").fetchall())


def skipped_counts(connection: Connected) -> Mapping[str, int]:
    return dict(
        connection.execute("SELECT lower(username), count(*) FROM pipetest.gists WHERE skipped GROUP BY 1").fetchall()
    )


def known_gists(connection: Connected, gist_ids: Collection[str]) -> Collection[str]:
    found = connection.execute("SELECT gist FROM pipetest.gists WHERE gist = ANY(%s)", [list(gist_ids)])
    return {gist for (gist,) in found}


def users_without_text(connection: Connected) -> Collection[str]:
    query = b"SELECT DISTINCT lower(username) FROM pipetest.gists WHERE %b" % rows.WITHOUT_TEXT.encode()
    return {user for (user,) in connection.execute(query)}


def open_entries(connection: Connected) -> Sequence[Entry]:
    return [rows.entry(row) for row in connection.execute(_OPEN_ENTRIES)]


def done_entries(connection: Connected, after: int, most: int) -> Sequence[Entry]:
    return [rows.entry(row) for row in connection.execute(_DONE_ENTRIES, [after, most])]


def newest_deal(connection: Connected) -> int:
    (newest,) = fetch_one(
        connection,
        "SELECT greatest((SELECT max(deal_id) FROM pipetest.gists), (SELECT max(deal_id) FROM pipetest.found_deals))",
    )
    return newest or 0


def newest_deals(connection: Connected, users: Collection[str], most: int) -> Mapping[str, Sequence[int]]:
    found = connection.execute(
        "SELECT username, array_agg(deal_id ORDER BY deal_id DESC) FROM (SELECT lower(username) AS username, deal_id, "
        "row_number() OVER (PARTITION BY lower(username) ORDER BY deal_id DESC) AS number FROM pipetest.gists "
        "WHERE deal_id IS NOT NULL AND lower(username) = ANY(%s)) AS numbered WHERE number <= %s GROUP BY username",
        [[key(user) for user in users], most],
    )
    return dict(found.fetchall())


def known_deals(connection: Connected, gist_ids: Collection[str]) -> Collection[str]:
    found = connection.execute(
        "SELECT gist FROM pipetest.gists WHERE gist = ANY(%s) AND state = 'done' AND NOT skipped "
        "UNION SELECT gist FROM pipetest.found_deals WHERE gist = ANY(%s)",
        [list(gist_ids), list(gist_ids)],
    )
    return {gist for (gist,) in found}


def get_value(connection: Connected, name: str) -> Any:
    row = connection.execute("SELECT value FROM pipetest.notes WHERE name = %s", [name]).fetchone()
    return row and row[0]


def feed(connection: Connected, start: int, stop: int) -> Sequence[str]:
    found = connection.execute(
        "SELECT gist FROM pipetest.gists WHERE position > %s AND position <= %s ORDER BY position", [start, stop]
    )
    return [gist for (gist,) in found]


def feed_length(connection: Connected) -> int:
    (length,) = fetch_one(connection, "SELECT feed_length FROM pipetest.about")
    return int(length)
