"""From the start of the process to its first answer on ``/health``."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.support.database import FEW_USERS, write_invented
from benchmarks.support.report import Figure
from benchmarks.support.sandbox import BenchmarkSandbox, run_sandbox
from benchmarks.support.serving import endpoint, free_port, wait_until_healthy

GISTS = (1_000, 10_000, 100_000)
MOST = GISTS[-1]
USERS = (100, 1_000, 10_000)
STARTS = 3


def measure() -> Iterator[Figure]:
    with run_sandbox(USERS[-1]) as sandbox:
        empty_s = median(starts(sandbox, 0))
        for gists in GISTS:
            yield from figures(f"{gists:,} gists", median(starts(sandbox, gists)), empty_s)
        for users in USERS:
            yield from figures(f"{MOST:,} gists of {users:,} users", median(starts(sandbox, MOST, users)), empty_s)
        amid_s = median(starts(sandbox, MOST, done=False))
        yield from figures(f"{MOST:,} gists in the middle of a backfill", amid_s, empty_s)


def figures(name: str, took_s: float, empty_s: float) -> Iterator[Figure]:
    """``empty_s`` is what a start with an empty database takes."""
    yield Figure(f"start with {name} to the first answer on /health, s", took_s, 2, at_most=True)
    yield Figure(f"start with {name}, times a start with none", took_s / empty_s, 2, at_most=True)


def starts(sandbox: BenchmarkSandbox, gists: int, users: int = FEW_USERS, *, done: bool = True) -> Iterator[float]:
    """How many seconds each start takes."""
    with TemporaryDirectory() as folder:
        write_invented(Path(folder) / "db.json", sandbox.roots, gists, users, done=done)
        for _ in range(STARTS):
            yield start_s(sandbox, Path(folder), sandbox.users[:users])


def start_s(sandbox: BenchmarkSandbox, folder: Path, users: Sequence[str]) -> float:
    port = free_port()
    began = time.monotonic()
    with sandbox.run_daemon(folder, LISTEN=endpoint(port), QUERIED_USERS=",".join(users)) as process:
        wait_until_healthy(port)
        took_s = time.monotonic() - began
        process.stop()
    return took_s
