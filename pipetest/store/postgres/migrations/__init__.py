"""The tables, by the numbered SQL files beside this: each runs once, in order, and none is ever changed or undone.

A migration leaves in place what the version before it uses, for that may still run beside it. ``gists.position`` is the
place in the feed; ``about.feed_length`` is the counter it comes from, and moves in the same commit.

Tables and columns keep the names that they were made with, and the code has other words for some: ``about.unmarked`` is
``unreconciled``, ``users.listed_at`` is ``reconciled_at``, ``notes`` are values, and ``orders`` are commands.
"""

from collections.abc import Mapping, Sequence
from importlib.resources import files

from psycopg.errors import InsufficientPrivilege

from pipetest.domain.errors import DatabaseRefused
from pipetest.domain.interfaces import IDENTITY, new_identity
from pipetest.store.postgres.connection import Connected, fetch_one
from pipetest.store.refusals import newer_format, other_roots

MIGRATION_LOCK = 0x70697065_73636865
"""An advisory lock's number: "pipesche" in ASCII. Nothing else in this database should use it."""

SCANNER_LOCK = 0x70697065_7363616E
"""The lease's number: "pipescan" in ASCII."""

_FILES = sorted((file for file in files(__name__).iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)

MIGRATIONS: Sequence[str] = tuple(file.read_text(encoding="utf-8") for file in _FILES)


def version_of(connection: Connected) -> int:
    """How many of the migrations the database has seen; 0 for a new one."""
    # not to_regclass: what it looks up in its cache may be from before we waited for a lock
    (exists,) = fetch_one(
        connection, "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'pipetest' AND tablename = 'about')"
    )
    return int(fetch_one(connection, "SELECT version FROM pipetest.about")[0]) if exists else 0


def migrate(connection: Connected, name: str) -> None:
    """Bring the database to this version of ours.

    :raises DatabaseRefused: a later version of ours has been here.
    """
    if version_of(connection) == len(MIGRATIONS):
        return
    with connection.transaction():
        connection.execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [MIGRATION_LOCK])
        connection.execute("SET LOCAL lock_timeout = '5s'")  # who waits for a table holds up all who read it
        version = version_of(connection)  # another instance may have been quicker
        if version > len(MIGRATIONS):
            raise newer_format(name, version, len(MIGRATIONS))
        if not _has_schema(connection):  # who owns it need not be allowed to make another
            _create_schema(connection, name)
        for migration in MIGRATIONS[version:]:
            connection.execute(migration.encode())
        connection.execute("UPDATE pipetest.about SET version = %s", [len(MIGRATIONS)])


def _create_schema(connection: Connected, name: str) -> None:
    try:
        connection.execute("CREATE SCHEMA pipetest")
    except InsufficientPrivilege:
        raise schema_denied(connection, name) from None


def schema_denied(connection: Connected, name: str) -> DatabaseRefused:
    """The role may not make our schema."""
    role = connection.info.user
    return DatabaseRefused(
        f"{name}: permission denied for database: as its owner, CREATE SCHEMA pipetest AUTHORIZATION {role}"
    )


def _has_schema(connection: Connected) -> bool:
    (exists,) = fetch_one(connection, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'pipetest')")
    return bool(exists)


def claim(connection: Connected, name: str, roots: Mapping[str, str]) -> None:
    """Store in a new database which services it belongs to, and which one it is. One that has recorded nothing yet, and
    that no instance works with, may become that of others.

    :raises DatabaseRefused: it belongs to others.
    """
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany("INSERT INTO pipetest.roots VALUES (%s, %s) ON CONFLICT DO NOTHING", list(roots.items()))
        cursor.execute(
            "INSERT INTO pipetest.notes VALUES (%s, to_json(%s::text)) ON CONFLICT DO NOTHING",
            [IDENTITY, new_identity()],
        )
        stored: dict[str, str] = dict(cursor.execute("SELECT service, root FROM pipetest.roots").fetchall())
        refusal = other_roots(name, stored, roots)
        if refusal is not None and _is_unused(connection):
            cursor.executemany(
                "UPDATE pipetest.roots SET root = %s WHERE service = %s",
                [(root, service) for service, root in roots.items()],
            )
            cursor.execute("UPDATE pipetest.about SET unmarked = true")
            return
    if refusal is not None:
        raise refusal


def _is_unused(connection: Connected) -> bool:
    """Nobody leads until this transaction has ended."""
    query = "SELECT pg_try_advisory_xact_lock(%s) AND NOT EXISTS (SELECT FROM pipetest.users)"
    (unused,) = fetch_one(connection, query, SCANNER_LOCK)
    return bool(unused)
