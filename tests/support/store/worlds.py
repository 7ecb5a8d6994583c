"""What the contract needs of an implementation: somewhere to open a store, and to open it again."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from attrs import define, field
from twisted.internet.base import ReactorBase
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from pipetest.domain.interfaces import Store
from pipetest.store.tinydb.disk import FolderDisk
from pipetest.store.tinydb.store import TinyStore

T = TypeVar("T")

ROOTS = {"GitHub": "https://api.github.com", "Pipedrive": "https://company.pipedrive.com"}


class World(Protocol):
    """One database, and the processes that open it one after the other."""

    def start(self) -> Store:
        """An open store."""

    async def end(self) -> None:
        """Close the store that was started last, if it isn't."""


@define
class OneThread:
    """Runs work in a thread of its own."""

    reactor: ReactorBase
    pool: ThreadPool = field(factory=lambda: ThreadPool(0, 1))

    def __call__(self, work: Callable[[], T]) -> "Deferred[T]":
        return deferToThreadPool(self.reactor, self.pool, work)


@define
class TinyWorld:
    """TinyDB on real files, its work done in a real thread."""

    path: Path
    reactor: ReactorBase
    thread: OneThread
    store: TinyStore | None = None

    def start(self) -> Store:
        self.store = TinyStore(FolderDisk(str(self.path)), self.thread, self.reactor, roots=ROOTS)
        self.store.open()
        return self.store

    async def end(self) -> None:
        if self.store is not None:
            store, self.store = self.store, None
            await store.close()


async def restarted(world: World) -> Store:
    """The same database, opened by the next process."""
    await world.end()
    return world.start()
