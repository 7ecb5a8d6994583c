"""What the contract needs of an implementation: somewhere to open a store, and to open it again."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

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

    def stored_gists(self) -> str:
        """What is stored of gists now, whatever it looks like."""


class RealThreads:
    """Runs work in real threads, one unless there are to be more."""

    def __init__(self, reactor: ReactorBase, threads: int = 1) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(0, threads)

    def __call__(self, work: Callable[[], T]) -> "Deferred[T]":
        return deferToThreadPool(self._reactor, self._pool, work)

    def start(self) -> None:
        self._pool.start()

    def stop(self) -> None:
        self._pool.stop()


class TinyWorld:
    """TinyDB on real files, its work done in a real thread."""

    def __init__(self, path: Path, reactor: ReactorBase, thread: RealThreads) -> None:
        self._path = path
        self._reactor = reactor
        self._thread = thread
        self._store: TinyStore | None = None

    def start(self) -> Store:
        self._store = TinyStore(FolderDisk(str(self._path)), self._thread, self._reactor, roots=ROOTS)
        self._store.open()
        return self._store

    async def end(self) -> None:
        if self._store is not None:
            store, self._store = self._store, None
            await store.close()

    def stored_gists(self) -> str:
        return self._path.read_text(encoding="utf-8")


async def restarted(world: World) -> Store:
    """The same database, opened by the next process."""
    await world.end()
    return world.start()
