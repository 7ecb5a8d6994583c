"""A machine with a simulated disk: its processes open the same database one after the other, each on a clock of its
own."""

from collections.abc import Awaitable
from random import Random
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from pipetest.domain.errors import Unstored
from pipetest.store.tinydb.store import TinyStore
from tests.support.simulated_disk import SimDisk, run
from tests.support.store.worlds import ROOTS

T = TypeVar("T")


class Machine:
    """``clock`` is that of the process started last."""

    def __init__(self, disk: SimDisk | None = None) -> None:
        self.disk = disk or SimDisk(Random(0))
        self.clock = Clock()

    def start(self, **roots: str) -> TinyStore:
        self.clock = Clock()
        store = TinyStore(self.disk.folder(), run, self.clock, roots=ROOTS | roots)
        store.open()
        return store


def begun(change: Awaitable[T]) -> "Deferred[T | None]":
    """Ask for a change; its result is None where the store was closed before it could be stored."""
    return Deferred.fromCoroutine(_stored_or_none(change))


async def _stored_or_none(change: Awaitable[T]) -> T | None:
    try:
        return await change
    except Unstored:
        return None
