"""The thread of an instance's store."""

from collections.abc import Callable
from random import Random
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from tests.simulation.process import Process, ProcessObserver
from tests.support.simulated_disk import Crash

T = TypeVar("T")


class StoreThread:
    """Its work takes a while. A crash in it is the end of the process."""

    def __init__(self, process: Process, random: Random, observer: ProcessObserver) -> None:
        self._process = process
        self._random = random
        self._observer = observer

    def start(self) -> None: ...

    def run(self, work: Callable[[], T]) -> "Deferred[T]":
        done: Deferred[T] = Deferred()
        self._process.callLater(self._delay(), self._work, work, done)
        return done

    def _work(self, work: Callable[[], T], done: "Deferred[T]") -> None:
        result: T | Failure
        try:
            result = work()
        except Crash:
            self._observer.crashed()
            return
        except Exception:
            result = Failure()
        self._process.callLater(self._delay(), self._end, done, result)

    def _end(self, done: "Deferred[T]", result: T | Failure) -> None:
        done.callback(result)
        self._observer.store_worked()

    def _delay(self) -> float:
        """Mostly milliseconds; rarely so long that the store pauses its commits, or reports that it is stuck."""
        return self._random.choices((0.0, 0.004, 0.2, 40.0), (300, 9000, 600, 5))[0] * self._random.random()
