"""What it takes to learn anew which deals Pipedrive holds, where the database is lost and people have changed what they
can: titles, organizations, the archive."""

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.support.report import Figure
from benchmarks.support.sandbox import LONGEST_S, run_sandbox
from benchmarks.support.usage import peak_mib
from pipetest.store.copy.tiny import TinySource
from pipetest.store.tinydb.format import FOUND_DEALS
from tests.support.daemon_process import url_of
from tests.support.processes import ask, until

USERS = 10_000
DEALS_EACH = 10
LATENCY_S = 0.05


def measure() -> Iterator[Figure]:
    deals = USERS * DEALS_EACH
    with TemporaryDirectory() as folder, run_sandbox(USERS, deals=DEALS_EACH, latency=LATENCY_S) as sandbox:
        with sandbox.run_daemon(Path(folder), QUERIED_USERS=sandbox.users[0]) as process:
            url = url_of(process)
            until(lambda: reconciles(url), LONGEST_S)
            began = time.monotonic()
            until(lambda: not reconciles(url), LONGEST_S)
            took_s, tokens, memory = time.monotonic() - began, sandbox.state()["tokens"], peak_mib(process)
            process.stop()
        found = adopted(Path(folder) / "db.json")
    name = f"{deals:,} deals of {USERS:,} users without the database:"
    yield Figure(f"{name} adopted", found, deals)
    yield Figure(f"{name} tokens", tokens, 2_600, at_most=True)
    yield Figure(f"{name} at answers of {LATENCY_S:g} s, s", took_s, 60, at_most=True)
    yield Figure(f"{name} peak memory, MiB", memory, 150, at_most=True)


def reconciles(url: str) -> bool:
    return ask(f"{url}/status").json()["creation"]["reconciling"] is not None


def adopted(path: Path) -> int:
    """How many deals are kept for when their gists are recorded."""
    database = TinySource(path)
    try:
        return database.counts()[FOUND_DEALS]
    finally:
        database.close()
