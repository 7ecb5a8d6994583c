"""A million gists of ten thousand users on a PostgreSQL server: one instance, and several behind a balancer."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from benchmarks import postgres_instances
from benchmarks.support.report import Figure
from benchmarks.support.sandbox import LONGEST_S, SCAN_ONCE, BenchmarkSandbox, run_sandbox
from benchmarks.support.serving import cookie_of_one_who_has_seen_all, endpoint, free_port, wait_until_healthy
from benchmarks.support.tools import need
from benchmarks.support.usage import peak_mib
from benchmarks.support.wrk import load
from pipetest.domain.model import PassResult, Secret
from pipetest.store.postgres import migrations
from pipetest.store.postgres.connection import READING, Connected, Database, fetch_one
from tests.support.postgres.server import server
from tests.support.processes import Process, ask

USERS, GISTS = 10_000, 1_000_000
LOAD_S = 5
TELLS_AFTER_S = 11
"""A connection that is idle tells the server's statistics of its last transactions after ten seconds."""

NAME = f"PostgreSQL, {GISTS:,} gists of {USERS:,} users:"
SCANS = "this instance scans"


class Instances(Struct, frozen=True):
    """Starts instances that share one database, which knows everything that the services show."""

    sandbox: BenchmarkSandbox
    database: Secret
    folder: Path

    def start(self, port: int) -> Process:
        url = self.database.reveal()
        return self.sandbox.run_daemon(
            self.folder, DATABASE_URL=url, QUERYING_INTERVAL=SCAN_ONCE, LISTEN=endpoint(port)
        )


def measure() -> Iterator[Figure]:
    need("wrk", "haproxy")
    with TemporaryDirectory() as folder, run_sandbox(USERS, 1) as sandbox, server() as running:
        instances = Instances(sandbox, running.database(), Path(folder))
        fill(instances.database, sandbox.roots, sandbox.pass_results())
        yield from two_instances(instances)
        yield from postgres_instances.behind_a_balancer(instances.start)


def two_instances(instances: Instances) -> Iterator[Figure]:
    """The first to start scans; then the second one only answers."""
    port, other = free_port(), free_port()
    began = time.monotonic()
    with instances.start(port) as scanning:
        wait_until_healthy(port)
        yield Figure(f"{NAME} start to the first answer on /health, s", time.monotonic() - began, 2, at_most=True)
        scanned = scanning.line(r"scan of .* ended after ([0-9.]+) s", LONGEST_S)
        yield Figure(f"{NAME} idle scan, s", float(scanned[1]), at_most=True)
        with instances.start(other) as answering:
            wait_until_healthy(other)
            yield from visits(f"http://127.0.0.1:{other}/getGists", instances.database)
            yield Figure(f"{NAME} peak memory of who answers, MiB", peak_mib(answering), at_most=True)
        yield Figure(f"{NAME} peak memory of who scans, MiB", peak_mib(scanning), at_most=True)


def visits(url: str, database: Secret) -> Iterator[Figure]:
    cookie, before = cookie_of_one_who_has_seen_all(url), transactions(database)
    returning = load(url, cookie, seconds=LOAD_S)
    time.sleep(TELLS_AFTER_S)
    each = (transactions(database) - before) / returning.requests
    yield Figure(f"{NAME} /getGists with nothing new, statements for one", each, 1.5, at_most=True)
    yield Figure(f"{NAME} /getGists with nothing new, requests per second", returning.per_second, 1_000)
    yield Figure(f"{NAME} /getGists with nothing new, p99, ms", returning.p99_ms, at_most=True)
    began = time.monotonic()
    shown = len(ask(url).json())
    assert shown == GISTS, shown
    yield Figure(f"{NAME} /getGists of all of them, s", time.monotonic() - began, at_most=True)


def transactions(database: Secret) -> int:
    """How many it has told of so far. Each statement of a visit is one, and who scans adds a few a second."""
    query = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
    with Database(database).connect(READING) as connection:
        return int(fetch_one(connection, query)[0])


# --- a database in which everything is done ---------------------------------------------------------------------------


def fill(url: Secret, roots: Mapping[str, str], results: Sequence[PassResult], gists: int = GISTS) -> None:
    """One of the gists of each user is the one that GitHub shows; the others are older."""
    database = Database(url)
    with database.connect("SET synchronous_commit = off") as connection:
        migrations.migrate(connection, database.name)
        migrations.claim(connection, database.name, roots)
        _fill(connection, results, gists)
        connection.execute("VACUUM ANALYZE")


def _fill(connection: Connected, results: Sequence[PassResult], gists: int) -> None:
    users = [result.user for result in results]
    shown = [result.gists[0].id for result in results]
    connection.execute(
        "INSERT INTO pipetest.users (key, name, owner_id, etag, gists, read_to_end_at, state, organization_id, "
        "listed_at) "
        "SELECT name, name, owner, etag, %s, now(), 'done', n, now() "
        "FROM unnest(%s::text[], %s::bigint[], %s::text[]) WITH ORDINALITY AS f (name, owner, etag, n)",
        [gists // len(users), users, [result.owner_id for result in results], [result.etag for result in results]],
    )
    connection.execute(
        "INSERT INTO pipetest.gists (position, gist, username, created_at, state, deal_id) "
        "SELECT n, md5(n::text), (%s::text[])[n %% %s + 1], now(), 'done', n FROM generate_series(1, %s) AS n",
        [users, len(users), gists - len(users)],
    )
    connection.execute(
        "INSERT INTO pipetest.gists (position, gist, username, created_at, state, deal_id) "
        "SELECT %s + n, gist, name, now(), 'done', n "
        "FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS f (gist, name, n)",
        [gists - len(users), shown, users],
    )
    connection.execute("UPDATE pipetest.about SET feed_length = %s, unmarked = false", [gists])
