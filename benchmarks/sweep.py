"""A scan of very many users by GraphQL, with PostgreSQL: what it takes of GitHub, of time and of memory."""

import json
from collections.abc import Iterator

from benchmarks.support.report import Figure
from benchmarks.support.sandbox import LONGEST_S, helper
from pipetest.domain.model import POINTS_A_MINUTE, Secret
from pipetest.store.postgres import migrations
from pipetest.store.postgres.connection import Database
from tests.support.postgres.server import server

USERS = 1_000_000
ROOT = "https://api.github.com"
MOST_POINTS = USERS // 100
MOST_MIB = 300


def measure() -> Iterator[Figure]:
    with server() as running:
        database = running.database()
        fill(database, USERS)
        with helper("sweeping", database.reveal(), str(USERS)) as process:
            taken = json.loads(process.line(r"^\{.*", LONGEST_S)[0])
    name = f"scan of {USERS:,} users by GraphQL, with PostgreSQL:"
    yield Figure(f"{name} points", taken["points"], MOST_POINTS, at_most=True)
    yield Figure(f"{name} hours", taken["hours"], at_most=True)
    yield Figure(f"{name} hours that REST would take", USERS / POINTS_A_MINUTE / 60)
    yield Figure(f"{name} users read", taken["reads"], at_most=True)
    yield Figure(f"{name} peak memory, MiB", taken["peak_mib"], MOST_MIB, at_most=True)


def fill(url: Secret, users: int) -> None:
    """So many users with a gist each, all of them done, each list read to its end an hour ago."""
    database = Database(url)
    with database.connect("SET synchronous_commit = off") as connection:
        migrations.migrate(connection, database.name)
        migrations.claim(connection, database.name, {"GitHub": ROOT, "Pipedrive": ROOT})
        connection.execute(
            "INSERT INTO pipetest.users (key, name, owner_id, etag, gists, read_to_end_at, state, organization_id, "
            "listed_at) SELECT 'u' || n, 'u' || n, n, 'W/\"' || md5(n::text) || md5(n::text) || '\"', 1, "
            "to_timestamp(20000 * 86400), 'done', n, now() FROM generate_series(1, %s) AS n",
            [users],
        )
        connection.execute(
            "INSERT INTO pipetest.gists (position, gist, username, created_at, state, deal_id) "
            "SELECT n, md5(n::text), 'u' || n, to_timestamp(0), 'done', n FROM generate_series(1, %s) AS n",
            [users],
        )
        connection.execute("UPDATE pipetest.about SET feed_length = %s, unmarked = false", [users])
        connection.execute("VACUUM ANALYZE")
