"""Instances that share a database, each with threads of its own as in production."""

import time

from attrs import define, field
from twisted.internet.base import ReactorBase
from twisted.internet.interfaces import IReactorTime
from twisted.python.threadpool import ThreadPool

from pipetest.domain.interfaces import Store, Time
from pipetest.domain.model import Secret
from pipetest.store.postgres.store import PostgresStore
from tests.support.store.worlds import ROOTS, OneThread

TIME = Time(wall=time.time, monotonic=time.monotonic)


@define(eq=False)
class Instance:
    """A store and its threads."""

    store: PostgresStore
    pools: tuple[ThreadPool, ...]
    open: bool = True

    async def close(self) -> None:
        if self.open:
            self.open = False
            await self.store.close()
            for pool in self.pools:
                pool.stop()


@define(eq=False)
class PostgresWorld:
    """A database, and the instances that were started on it."""

    url: Secret
    reactor: ReactorBase
    instances: list[Instance] = field(factory=list)

    def start(self) -> Store:
        return self.instance().store

    def instance(self, time: Time = TIME, clock: IReactorTime | None = None, **roots: str) -> Instance:
        """One more instance beside those that run; ``clock`` is what its waits go by, if not the reactor's."""
        reading, writing = OneThread(self.reactor, ThreadPool(0, 4)), OneThread(self.reactor)
        store = PostgresStore(
            self.url,
            reading,
            writing,
            time,
            clock or self.reactor,
            roots=ROOTS | roots,
            instance=f"i{len(self.instances) + 1}",
        )
        store.open()
        instance = Instance(store, (reading.pool, writing.pool))
        for pool in instance.pools:
            pool.start()
        self.instances.append(instance)
        return instance

    async def end(self) -> None:
        for instance in self.instances:
            await instance.close()
