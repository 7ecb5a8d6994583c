"""Ten thousand users whom a list on GitHub names, with each store: a scan that finds nothing new, and what shows them
all."""

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks import postgres
from benchmarks.support.database import write
from benchmarks.support.report import Figure
from benchmarks.support.sandbox import LONGEST_S, SCAN_ONCE, BenchmarkSandbox, run_sandbox
from benchmarks.support.sandbox_server import CURATOR
from benchmarks.support.serving import endpoint, free_port
from benchmarks.support.usage import peak_mib
from tests.support.postgres.server import server
from tests.support.processes import ask

USERS = 10_000
PAGES = USERS // 100
"""Of the list; its first reading is made twice."""

ASKED = 11
"""So many times each answer is asked for."""

SHOWN = {
    "/getCurrentlyScannedUsers": "/getCurrentlyScannedUsers",
    "the page, sorted": "/?sort=most+gists&page=100",
    "the page, searched": "/?user=user99",
    "/status": "/status",
}


def measure() -> Iterator[Figure]:
    with TemporaryDirectory() as folder, run_sandbox(USERS, 1) as sandbox, server() as running:
        results, database, tiny = sandbox.pass_results(), running.database(), Path(folder) / "db.json"
        write(tiny, sandbox.roots, results)
        postgres.fill(database, sandbox.roots, results, gists=USERS)
        for store, url in {"TinyDB": f"tinydb:{tiny}", "PostgreSQL": database.reveal()}.items():
            yield from figures(f"{USERS:,} users by following:, {store}:", sandbox, Path(folder), url)


def figures(name: str, sandbox: BenchmarkSandbox, folder: Path, url: str) -> Iterator[Figure]:
    port, before = free_port(), sandbox.asked_of_github()
    settings = {"QUERIED_USERS": f"following:{CURATOR}", "BACKFILL": "all", "QUERYING_INTERVAL": SCAN_ONCE}
    with sandbox.run_daemon(folder, DATABASE_URL=url, LISTEN=endpoint(port), **settings) as process:
        scanned = process.line(rf"scan of {USERS} users ended after ([0-9.]+) s", LONGEST_S)
        requests = sandbox.asked_of_github() - before
        yield Figure(f"{name} idle scan, s", float(scanned[1]), at_most=True)
        yield Figure(f"{name} GitHub requests", requests, USERS + 2 * PAGES, at_most=True)
        for what, path in SHOWN.items():
            yield from answers(f"{name} {what}", f"http://127.0.0.1:{port}{path}")
        yield Figure(f"{name} peak memory, MiB", peak_mib(process), 150, at_most=True)


def answers(name: str, url: str) -> Iterator[Figure]:
    took, size = [], 0
    for _ in range(ASKED):
        began = time.monotonic()
        response = ask(url)
        took.append(time.monotonic() - began)
        assert response.status == 200, response.status
        size = len(response.body)
    yield Figure(f"{name}, ms", 1000 * median(took), at_most=True)
    yield Figure(f"{name}, KiB", size / 1024, at_most=True)
