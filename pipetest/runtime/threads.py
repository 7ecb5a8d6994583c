"""Threads that end with the process."""

from collections.abc import Sequence
from functools import partial
from threading import Thread

from attrs import frozen
from twisted.python.threadpool import ThreadPool


class Threads(ThreadPool):
    """They end with the process, whatever they hang in: a stop that waits for them would hang as well."""

    threadFactory = staticmethod(partial(Thread, daemon=True))  # type: ignore[assignment]


@frozen
class Pools:
    """Threads that start together."""

    pools: Sequence[Threads]

    def start(self) -> None:
        for pool in self.pools:
            pool.start()
