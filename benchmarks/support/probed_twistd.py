"""``python -m benchmarks.support.probed_twistd …``: twistd with these arguments, and a probe in its reactor.

In the end it prints one line of JSON: ``stall`` is by how many seconds the probe was called late at most, ``commits``
how many seconds each commit kept its thread.
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
        self._stall = 0.0
        self._commits: list[float] = []
        self._due = 0.0

    def start(self) -> None:
        self._due = time.monotonic() + PROBE_EVERY_S
        LoopingCall(self._tick).start(PROBE_EVERY_S, now=False)

    def _tick(self) -> None:
        now = time.monotonic()
        self._stall = max(self._stall, now - self._due)
        self._due = now + PROBE_EVERY_S

    def timed(self, flush: Callable[[TinyTables], None]) -> Callable[[TinyTables], None]:
        def flushed(tables: TinyTables) -> None:
            began = time.monotonic()
            flush(tables)
            self._commits.append(time.monotonic() - began)

        return flushed

    def print(self) -> None:
        line = msgspec.json.encode({"stall": self._stall, "commits": self._commits})
        print(line.decode(), file=sys.__stdout__, flush=True)


if __name__ == "__main__":
    probe = Probe()
    TinyTables.flush = probe.timed(TinyTables.flush)  # type: ignore[method-assign, assignment]
    reactor.callWhenRunning(reactor.callLater, 0, probe.start)
    reactor.addSystemEventTrigger("before", "shutdown", probe.print)
    run()
