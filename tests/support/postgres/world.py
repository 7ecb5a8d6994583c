"""Instances that share a database, each with threads of its own as in production."""

import time

from twisted.internet.base import ReactorBase
from twisted.internet.interfaces import IReactorTime

from pipetest.domain.interfaces import Store, Time
from pipetest.domain.model import Secret
from pipetest.store.postgres.connection import READING, Database
from pipetest.store.postgres.store import PostgresStore
from tests.support.store.worlds import ROOTS, RealThreads

TIME = Time(wall=time.time, monotonic=time.monotonic)


class Instance:
    """A store and its threads."""

    def __init__(self, store: PostgresStore, *threads: RealThreads) -> None:
        self.store = store
        self._threads = threads
        self._open = True

    def start(self) -> None:
        self.store.open()
        for threads in self._threads:
            threads.start()

    async def close(self) -> None:
        if self._open:
            self._open = False
            await self.store.close()
            for threads in self._threads:
                threads.stop()


class PostgresWorld:
    """A database, and the instances that were started on it."""

    def __init__(self, url: Secret, reactor: ReactorBase) -> None:
        self.url = url
        self._reactor = reactor
        self._instances: list[Instance] = []

    def start(self) -> Store:
        return self.instance().store

    def instance(self, time: Time = TIME, clock: IReactorTime | None = None, **roots: str) -> Instance:
        """One more instance beside those that run; ``clock`` is what its waits go by, if not the reactor's."""
        reading, writing = RealThreads(self._reactor, 4), RealThreads(self._reactor)
        store = PostgresStore(
            self.url,
            reading,
            writing,
            time,
            clock or self._reactor,
            roots=ROOTS | roots,
            instance=f"i{len(self._instances) + 1}",
        )
        instance = Instance(store, reading, writing)
        instance.start()
        self._instances.append(instance)
        return instance

    def stored_gists(self) -> str:
        with Database(self.url).connect(READING) as connection:
            return str(connection.execute(b"SELECT * FROM pipetest.gists").fetchall())

    async def end(self) -> None:
        for instance in self._instances:
            await instance.close()
