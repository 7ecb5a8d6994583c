"""A million visitors who never return, a ``curl`` in a cron job for one: what they leave behind."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from benchmarks.support.database import NOW
from benchmarks.support.report import Figure
from pipetest.store.tinydb.disk import FolderDisk
from pipetest.store.tinydb.store import TinyStore

VISITS = 1_000_000
A_SECOND = 1_000

T = TypeVar("T")


def measure() -> Iterator[Figure]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "db.json"
        memory, began = memory_mb(), perf_counter()
        store = visited(path)
        took = perf_counter() - began
        name = f"{VISITS:,} visits without a cookie"
        yield Figure(f"{name}: memory grown, MB", memory_mb() - memory, 20, at_most=True)
        yield Figure(f"{name}: database, MB", path.stat().st_size / 1e6, 2, at_most=True)
        yield Figure(f"{name}: µs for one, commits included", took / VISITS * 1e6, at_most=True)
        Deferred.fromCoroutine(store.close())


def visited(path: Path) -> TinyStore:
    """A store to which so many have come, a second's worth at a time."""

    def run(work: Callable[[], T]) -> "Deferred[T]":
        return succeed(work())

    clock = Clock()
    store = TinyStore(FolderDisk(str(path)), run, clock, roots={})
    store.open()
    for number in range(VISITS):
        Deferred.fromCoroutine(store.advance_session(f"{number:032x}", 1, NOW + number / A_SECOND))
        if number % A_SECOND == 0:
            clock.advance(1)
    clock.advance(60)
    return store


def memory_mb() -> float:
    """What of this process is in memory."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024
