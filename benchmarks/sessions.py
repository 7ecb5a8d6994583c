"""A million visitors who never return, such as a cron job with ``curl``: what they leave in memory and on disk."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from benchmarks.support.database import NOW
from benchmarks.support.report import Figure
from benchmarks.support.usage import own_mib
from pipetest.store.tinydb.disk import FolderDisk
from pipetest.store.tinydb.store import TinyStore

VISITS = 1_000_000
PER_SECOND = 1_000

T = TypeVar("T")


def measure() -> Iterator[Figure]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "db.json"
        memory, began = own_mib(), perf_counter()
        store = visited_store(path)
        took_s = perf_counter() - began
        name = f"{VISITS:,} visits without a cookie"
        yield Figure(f"{name}: memory grown, MB", own_mib() - memory, 20, at_most=True)
        yield Figure(f"{name}: database, MB", path.stat().st_size / 1e6, 2, at_most=True)
        yield Figure(f"{name}: µs for one, commits included", took_s / VISITS * 1e6, at_most=True)
        Deferred.fromCoroutine(store.close())


def visited_store(path: Path) -> TinyStore:
    """A store after all of them were there."""

    def run_at_once(work: Callable[[], T]) -> "Deferred[T]":
        return succeed(work())

    clock = Clock()
    store = TinyStore(FolderDisk(str(path)), run_at_once, clock, roots={})
    store.open()
    for number in range(VISITS):
        Deferred.fromCoroutine(store.advance_session(f"{number:032x}", 1, NOW + number / PER_SECOND))
        if number % PER_SECOND == 0:
            clock.advance(1)
    clock.advance(60)
    return store
