"""A million gists of ten thousand users on a PostgreSQL server: one instance, and several behind a balancer."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import frozen

from benchmarks import several
from benchmarks.idle import NEVER, readings
from benchmarks.start import LOOK_EVERY_S, answer, free_port
from benchmarks.support.report import Figure
from benchmarks.support.stage import LONGEST_S, Services, need, peak_mib, services
from pipetest.domain.model import PassResult, Secret
from pipetest.store.postgres import migrations
from pipetest.store.postgres.connection import Connected, Database
from tests.support.postgres.server import server
from tests.support.processes import Process, ask, until

USERS, GISTS = 10_000, 1_000_000
NAME = f"PostgreSQL, {GISTS:,} gists of {USERS:,} users:"
SCANS = "this instance scans"


@frozen
class Stage:
    """The services, and the database that knows all that they show."""

    world: Services
    url: Secret
    folder: Path

    def instance(self, port: int, **settings: str) -> Process:
        listen = f"tcp:{port}:interface=127.0.0.1"
        database = {"DATABASE_URL": self.url.reveal(), "QUERYING_INTERVAL": NEVER, "LISTEN": listen}
        return self.world.run_daemon(self.folder, **database, **settings)


def measure() -> Iterator[Figure]:
    need("wrk", "haproxy")
    with TemporaryDirectory() as folder, services(USERS, 1) as world, server() as running:
        stage = Stage(world, running.database(), Path(folder))
        fill(stage, list(readings(world)))
        yield from alone(stage)
        yield from several.behind_a_balancer(stage.instance)


def alone(stage: Stage) -> Iterator[Figure]:
    """An instance that scans, as the first to start, and then beside it one that only answers."""
    port, other = free_port(), free_port()
    begun = time.monotonic()
    with stage.instance(port) as scanning:
        until(lambda: answer(f"http://127.0.0.1:{port}/health"), LONGEST_S, LOOK_EVERY_S)
        yield Figure(f"{NAME} start to the first answer on /health, s", time.monotonic() - begun, 2, at_most=True)
        scanned = scanning.line(r"scan of .* ended after ([0-9.]+) s", LONGEST_S)
        yield Figure(f"{NAME} idle scan, s", float(scanned[1]), at_most=True)
        with stage.instance(other) as serving:
            until(lambda: answer(f"http://127.0.0.1:{other}/health"), LONGEST_S, LOOK_EVERY_S)
            yield from answering(f"http://127.0.0.1:{other}/getGists", several.returning(other))
            yield Figure(f"{NAME} peak memory of who answers, MiB", peak_mib(serving), at_most=True)
        yield Figure(f"{NAME} peak memory of who scans, MiB", peak_mib(scanning), at_most=True)


def answering(url: str, cookie: str) -> Iterator[Figure]:
    load = several.load(url, cookie)
    yield Figure(f"{NAME} /getGists with nothing new, requests per second", load.per_second, 1_000)
    yield Figure(f"{NAME} /getGists with nothing new, p99, ms", load.p99_ms, at_most=True)
    begun = time.monotonic()
    shown = len(ask(url).json())
    assert shown == GISTS, shown
    yield Figure(f"{NAME} /getGists of all of them, s", time.monotonic() - begun, at_most=True)


# --- a database in which everything is done ---------------------------------------------------------------------------


def fill(stage: Stage, found: Sequence[PassResult]) -> None:
    """One gist of each user is the one that GitHub shows; the others are of earlier times."""
    database = Database(stage.url)
    roots: Mapping[str, str] = {"GitHub": stage.world.github, "Pipedrive": stage.world.pipedrive}
    with database.connect("SET synchronous_commit = off") as connection:
        migrations.migrate(connection, database.name)
        migrations.claim(connection, database.name, roots)
        _fill(connection, found)
        connection.execute("VACUUM ANALYZE")


def _fill(connection: Connected, found: Sequence[PassResult]) -> None:
    users = [reading.user for reading in found]
    gists = [reading.gists[0].id for reading in found]
    connection.execute(
        "INSERT INTO pipetest.users (key, name, owner_id, etag, gists, read_to_end_at, state, organization_id, "
        "listed_at) "
        "SELECT name, name, owner, etag, %s, now(), 'done', n, now() "
        "FROM unnest(%s::text[], %s::bigint[], %s::text[]) WITH ORDINALITY AS f (name, owner, etag, n)",
        [GISTS // USERS, users, [reading.owner_id for reading in found], [reading.etag for reading in found]],
    )
    connection.execute(
        "INSERT INTO pipetest.gists (position, gist, username, created_at, state, deal_id) "
        "SELECT n, md5(n::text), (%s::text[])[n %% %s + 1], now(), 'done', n FROM generate_series(1, %s) AS n",
        [users, USERS, GISTS - USERS],
    )
    connection.execute(
        "INSERT INTO pipetest.gists (position, gist, username, created_at, state, deal_id) "
        "SELECT %s + n, gist, name, now(), 'done', n "
        "FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS f (gist, name, n)",
        [GISTS - USERS, gists, users],
    )
    connection.execute("UPDATE pipetest.about SET feed_length = %s, unmarked = false", [GISTS])
