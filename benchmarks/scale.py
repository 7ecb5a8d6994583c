"""What grows with the number of users and gists, in one process with TinyDB."""

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event, Thread

from benchmarks.idle import NEVER, readings
from benchmarks.support.database import make
from benchmarks.support.report import Figure
from benchmarks.support.stage import LONGEST_S, ROOT, Services, peak_mib, services
from tests.support.processes import Process, ask, clean_environment, until

TOKEN = "benchmark"  # noqa: S105
GISTS_EACH = 10
USERS = (100, 1_000, 10_000)
NEW = 300
"""Gists that are written when all else is done: each is recorded, sent and done, in a commit with others."""

VISITS_EVERY_S = 0.2
LONGEST_STALL_MS = 50


def measure() -> Iterator[Figure]:
    for users in USERS:
        with TemporaryDirectory() as folder, services(users, GISTS_EACH) as world:
            roots = {"GitHub": world.github, "Pipedrive": world.pipedrive}
            make(Path(folder) / "db.json", roots, list(readings(world)))
            yield from loaded(world, Path(folder))


def loaded(world: Services, folder: Path) -> Iterator[Figure]:
    """A scan that finds nothing; then one that finds new gists, while visitors ask for the whole feed."""
    users = len(world.users)
    name = f"{users:,} users, {users * GISTS_EACH:,} gists:"
    settings = world.settings(folder, QUERYING_INTERVAL=NEVER, ADMIN_TOKEN=TOKEN)
    argv = (sys.executable, "-m", "benchmarks.support.probed", "--nodaemon", "--pidfile=", "pipetest")
    with Process(*argv, env=clean_environment(**settings), cwd=ROOT) as process:
        port = process.line(r"starting on ([0-9]+)", LONGEST_S)[1]
        scanned = process.line(r"scan of .* ended after ([0-9.]+) s", LONGEST_S)
        for number in range(NEW):
            world.order("/gists", user=world.users[number * users // NEW])
        with visitors(f"http://127.0.0.1:{port}/getGists"):
            ask(f"http://127.0.0.1:{port}/scan", "POST", b"", Authorization=f"Bearer {TOKEN}")
            until(lambda: world.work()["deals"] >= NEW, LONGEST_S)
        memory = peak_mib(process)
        process.signal(signal.SIGTERM)
        told = json.loads(process.line(r"^\{.*", LONGEST_S)[0])
        process.ended()
    yield Figure(f"{name} idle scan, s", float(scanned[1]), at_most=True)
    yield Figure(f"{name} commit, median, ms", 1000 * median(told["commits"]), at_most=True)
    yield Figure(f"{name} longest stall of the reactor, ms", 1000 * told["stall"], LONGEST_STALL_MS, at_most=True)
    yield Figure(f"{name} peak memory, MiB", memory, at_most=True)


@contextmanager
def visitors(url: str) -> Iterator[None]:
    """Somebody new asks for the whole feed, again and again."""
    end = Event()

    def visit() -> None:
        while not end.wait(VISITS_EVERY_S):
            ask(url)

    visiting = Thread(target=visit)
    visiting.start()
    try:
        yield
    finally:
        end.set()
        visiting.join()
