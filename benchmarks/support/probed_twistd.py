"""``python -m benchmarks.support.probed_twistd …``: twistd with these arguments, and a probe in its reactor.

In the end it prints one line of JSON: ``stall`` is by how many seconds the probe was called late at most, ``turn`` how
many seconds of processor time the reactor took between two calls at most, ``commits`` how many seconds each commit kept
its thread.
"""

import sys
import time
from collections.abc import Callable

import msgspec
from twisted.internet import reactor  # noqa: TID253  # it is twistd's own
from twisted.internet.task import LoopingCall
from twisted.scripts.twistd import run

from pipetest.store.tinydb.tables import TinyTables

PROBE_EVERY_S = 0.005


class Probe:
    def __init__(self) -> None:
        self._stall = self._turn = 0.0
        self._commits: list[float] = []
        self._due = self._used = 0.0

    def start(self) -> None:
        self._due, self._used = time.monotonic() + PROBE_EVERY_S, time.thread_time()
        LoopingCall(self._tick).start(PROBE_EVERY_S, now=False)

    def _tick(self) -> None:
        now, used = time.monotonic(), time.thread_time()
        self._stall, self._turn = max(self._stall, now - self._due), max(self._turn, used - self._used)
        self._due, self._used = now + PROBE_EVERY_S, used

    def timed(self, flush: Callable[[TinyTables], None]) -> Callable[[TinyTables], None]:
        def flushed(tables: TinyTables) -> None:
            began = time.monotonic()
            flush(tables)
            self._commits.append(time.monotonic() - began)

        return flushed

    def print(self) -> None:
        line = msgspec.json.encode({"stall": self._stall, "turn": self._turn, "commits": self._commits})
        print(line.decode(), file=sys.__stdout__, flush=True)


if __name__ == "__main__":
    probe = Probe()
    TinyTables.flush = probe.timed(TinyTables.flush)  # type: ignore[method-assign, assignment]
    reactor.callWhenRunning(reactor.callLater, 0, probe.start)
    reactor.addSystemEventTrigger("before", "shutdown", probe.print)
    run()
