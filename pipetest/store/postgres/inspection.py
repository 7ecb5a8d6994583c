"""A PostgreSQL database, looked at while instances may be working on it: nothing is made, locked or changed."""

from collections.abc import Mapping

from psycopg import Error

from pipetest.domain.errors import DatabaseRefused
from pipetest.domain.model import Secret
from pipetest.domain.text import number_of
from pipetest.store.postgres.connection import READING, Connected, Database, fetch_one
from pipetest.store.postgres.migrations import MIGRATIONS, SCANNER_LOCK, schema_denied, version_of
from pipetest.store.postgres.pooler import refuse_shared_sessions
from pipetest.store.refusals import newer_format, other_roots

_HELD = """
    SELECT EXISTS (
        SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
        WHERE locktype = 'advisory' AND datname = current_database()
            AND classid = %s::bigint::oid AND objid = %s::bigint::oid AND objsubid = 1
    )
"""
"""Whether somebody has an advisory lock, told by the halves of its number (PostgreSQL docs: pg_locks)."""


def inspect(url: Secret, roots: Mapping[str, str]) -> str:
    """What is there, in words.

    :raises DatabaseRefused: a start would be refused.
    """
    database = Database(url)
    try:
        refuse_shared_sessions(database)
        with database.connect(READING) as connection:
            return f"{database.name}: {_content(connection, database.name, roots)}"
    except Error as e:
        raise DatabaseRefused(database.explain(e)) from None


def recorded_rows(url: Secret) -> tuple[set[str], set[str], set[str], set[str]]:
    """Ids of gists that have a deal, and of those that are skipped; the users, by key, that have an organization, and
    all whose lists were read.

    :raises DatabaseRefused: an instance scans, or the database cannot be used.
    """
    database = Database(url)
    try:
        with database.connect(READING) as connection:
            if version_of(connection) < len(MIGRATIONS):  # of an earlier version, or new
                return set(), set(), set(), set()
            if fetch_one(connection, _HELD, SCANNER_LOCK >> 32, SCANNER_LOCK & 0xFFFFFFFF)[0]:
                raise DatabaseRefused(f"an instance scans with {database.name}: ask it with pipetest status")
            gists = connection.execute("SELECT gist, skipped FROM pipetest.gists WHERE state = 'done'").fetchall()
            users = connection.execute("SELECT key, state FROM pipetest.users").fetchall()
    except Error as e:
        raise DatabaseRefused(database.explain(e)) from None
    return (
        {gist for gist, skipped in gists if not skipped},
        {gist for gist, skipped in gists if skipped},
        {user for user, state in users if state == "done"},
        {user for user, _ in users},
    )


def _content(connection: Connected, name: str, roots: Mapping[str, str]) -> str:
    version = version_of(connection)
    if version == 0:
        _refuse_without_rights(connection, name)
        return "its tables are made at the first start"
    if version > len(MIGRATIONS):
        raise newer_format(name, version, len(MIGRATIONS))
    stored: dict[str, str] = dict(connection.execute("SELECT service, root FROM pipetest.roots").fetchall())
    users, gists = fetch_one(
        connection, "SELECT (SELECT count(*) FROM pipetest.users), (SELECT feed_length FROM pipetest.about)"
    )
    if users and (refusal := other_roots(name, stored, roots)) is not None:
        raise refusal
    older = (
        "" if version == len(MIGRATIONS) else f", of format {version}: brought to {len(MIGRATIONS)} at the next start"
    )
    return f"{number_of(gists, 'gist')} of {number_of(users, 'user')}{older}"


def _refuse_without_rights(connection: Connected, name: str) -> None:
    """
    :raises DatabaseRefused: the first start could not make its tables.
    """
    query = """
        SELECT has_database_privilege(current_database(), 'CREATE')
            OR EXISTS (SELECT FROM pg_namespace WHERE nspname = 'pipetest' AND has_schema_privilege(oid, 'CREATE'))
    """
    if not fetch_one(connection, query)[0]:
        raise schema_denied(connection, name)
