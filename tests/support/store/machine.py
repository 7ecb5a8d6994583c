"""A machine with a simulated disk: its processes open the same database one after the other, each on a clock of its
own."""

from collections.abc import Awaitable
from random import Random
from typing import TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from pipetest.domain.errors import Unstored
from pipetest.store.tinydb.store import TinyStore
from tests.support.simulated_disk import SimDisk, run
from tests.support.store.worlds import ROOTS

T = TypeVar("T")


@define
class Machine:
    disk: SimDisk = field(factory=lambda: SimDisk(Random(0)))
    clock: Clock = field(factory=Clock)

    def start(self, **roots: str) -> TinyStore:
        self.clock = Clock()
        store = TinyStore(self.disk.folder(), run, self.clock, roots=ROOTS | roots)
        store.open()
        return store


def begun(awaitable: Awaitable[T]) -> "Deferred[list[T]]":
    """Begin it; the result follows in a list, which stays empty when it ends as ``Unstored``."""
    results: list[T] = []
    return Deferred.fromCoroutine(_awaited(awaitable, results))


async def _awaited(awaitable: Awaitable[T], results: list[T]) -> list[T]:
    try:
        results.append(await awaitable)
    except Unstored:
        return []
    return results


def now(awaitable: Awaitable[T]) -> T:
    """The result of something that needs neither time nor another thread."""
    results: list[T] = []
    ended = Deferred.fromCoroutine(_awaited(awaitable, results))
    ended.addErrback(lambda failure: failure.raiseException())
    assert results, "it still waits, or was not stored"
    return results[0]
