"""What is read. Each blocks, and costs one query that an index answers in proportion to what it returns."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pipetest.domain.model import Entry, User, key
from pipetest.store.postgres import rows
from pipetest.store.postgres.connection import Connected, fetch_one

_USERS = b"SELECT %b FROM pipetest.users ORDER BY id" % rows.USER.encode()
_OPEN_ENTRIES = b"SELECT %b FROM pipetest.gists WHERE state <> 'done' ORDER BY position" % rows.ENTRY.encode()


def users(connection: Connected) -> Sequence[User]:
    return [rows.user(row) for row in connection.execute(_USERS)]


def gist_counts(connection: Connected) -> Mapping[str, int]:
    return dict(connection.execute("SELECT key, gists FROM pipetest.users").fetchall())


def skipped_counts(connection: Connected) -> Mapping[str, int]:
    return dict(
        connection.execute("SELECT lower(username), count(*) FROM pipetest.gists WHERE skipped GROUP BY 1").fetchall()
    )


def known_gists(connection: Connected, gist_ids: Collection[str]) -> Collection[str]:
    found = connection.execute("SELECT gist FROM pipetest.gists WHERE gist = ANY(%s)", [list(gist_ids)])
    return {gist for (gist,) in found}


def open_entries(connection: Connected) -> Sequence[Entry]:
    return [rows.entry(row) for row in connection.execute(_OPEN_ENTRIES)]


def newest_deal(connection: Connected) -> int:
    (newest,) = fetch_one(
        connection,
        "SELECT greatest((SELECT max(deal_id) FROM pipetest.gists), (SELECT max(deal_id) FROM pipetest.found_deals))",
    )
    return newest or 0


def newest_deals(connection: Connected, user: str, most: int) -> Sequence[int]:
    found = connection.execute(
        "SELECT deal_id FROM pipetest.gists WHERE lower(username) = %s AND deal_id IS NOT NULL "
        "ORDER BY deal_id DESC LIMIT %s",
        [key(user), most],
    )
    return [deal_id for (deal_id,) in found]


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
