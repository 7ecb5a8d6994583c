"""What grows with the number of users and gists, in one process with TinyDB."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event, Thread

from benchmarks.support.database import write
from benchmarks.support.report import Figure
from benchmarks.support.sandbox import LONGEST_S, SCAN_ONCE, BenchmarkSandbox, helper, run_sandbox
from benchmarks.support.usage import peak_mib
from tests.support.processes import ask, until

TOKEN = "benchmark-of-growth"  # noqa: S105
GISTS_EACH = 10
USERS = (100, 1_000, 10_000)
NEW_GISTS = 300
"""Written when everything else is done: each is recorded, sent and done, in commits that it shares with others."""

VISIT_EVERY_S = 0.2
LONGEST_STALL_MS = 50


def measure() -> Iterator[Figure]:
    for users in USERS:
        with TemporaryDirectory() as folder, run_sandbox(users, GISTS_EACH) as sandbox:
            write(Path(folder) / "db.json", sandbox.roots, sandbox.pass_results())
            yield from figures(sandbox, Path(folder))


def figures(sandbox: BenchmarkSandbox, folder: Path) -> Iterator[Figure]:
    """A scan that finds nothing; then one that finds new gists, while visitors ask for the whole feed."""
    users = len(sandbox.users)
    name = f"{users:,} users, {users * GISTS_EACH:,} gists:"
    settings = sandbox.settings(folder, QUERYING_INTERVAL=SCAN_ONCE, ADMIN_TOKEN=TOKEN)
    with helper("probed_twistd", "--nodaemon", "--pidfile=", "pipetest", **settings) as process:
        port = process.line(r"starting on ([0-9]+)", LONGEST_S)[1]
        scanned = process.line(r"scan of .* ended after ([0-9.]+) s", LONGEST_S)
        for number in range(NEW_GISTS):
            sandbox.post("/gists", user=sandbox.users[number * users // NEW_GISTS])
        with visitors(f"http://127.0.0.1:{port}/getGists"):
            ask(f"http://127.0.0.1:{port}/scan", "POST", b"", Authorization=f"Bearer {TOKEN}")
            until(lambda: sandbox.created()["deals"] >= NEW_GISTS, LONGEST_S)
        memory = peak_mib(process)
        process.signal(signal.SIGTERM)
        probed = json.loads(process.line(r"^\{.*", LONGEST_S)[0])
        process.ended()
    yield Figure(f"{name} idle scan, s", float(scanned[1]), at_most=True)
    yield Figure(f"{name} commit, median, ms", 1000 * median(probed["commits"]), at_most=True)
    yield Figure(f"{name} longest stall of the reactor, ms", 1000 * probed["stall"], LONGEST_STALL_MS, at_most=True)
    yield Figure(
        f"{name} longest turn of the reactor, ms of CPU", 1000 * probed["turn"], LONGEST_STALL_MS, at_most=True
    )
    yield Figure(f"{name} peak memory, MiB", memory, at_most=True)


@contextmanager
def visitors(url: str) -> Iterator[None]:
    """New ones, one after the other, who ask for the whole feed."""
    end = Event()

    def visit() -> None:
        while not end.wait(VISIT_EVERY_S):
            ask(url)

    visiting = Thread(target=visit)
    visiting.start()
    try:
        yield
    finally:
        end.set()
        visiting.join()
