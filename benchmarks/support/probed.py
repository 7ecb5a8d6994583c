"""``python -m benchmarks.support.probed …``: twistd with these arguments, and a probe in its reactor.

At its end it prints one line of JSON: ``stall`` is the longest time by which the probe was called late after
the daemon had begun to serve, ``commits`` are the seconds that each commit took its thread.
"""

import sys
import time
from collections.abc import Callable

import msgspec
from attrs import Factory, define
from twisted.internet import reactor  # noqa: TID253  # it is twistd's own
from twisted.internet.task import LoopingCall
from twisted.scripts.twistd import run

from pipetest.store.tinydb.tables import TinyTables

EVERY_S = 0.005


@define
class Probe:
    stall: float = 0.0
    commits: list[float] = Factory(list)
    _due: float = 0.0

    def watch(self) -> None:
        self._due = time.monotonic() + EVERY_S
        LoopingCall(self._look).start(EVERY_S, now=False)

    def _look(self) -> None:
        now = time.monotonic()
        self.stall = max(self.stall, now - self._due)
        self._due = now + EVERY_S

    def timed(self, flush: Callable[[TinyTables], None]) -> Callable[[TinyTables], None]:
        def flushed(tables: TinyTables) -> None:
            begun = time.monotonic()
            flush(tables)
            self.commits.append(time.monotonic() - begun)

        return flushed

    def tell(self) -> None:
        line = msgspec.json.encode({"stall": self.stall, "commits": self.commits})
        print(line.decode(), file=sys.__stdout__, flush=True)


if __name__ == "__main__":
    probe = Probe()
    TinyTables.flush = probe.timed(TinyTables.flush)  # type: ignore[method-assign, assignment]
    reactor.callWhenRunning(reactor.callLater, 0, probe.watch)
    reactor.addSystemEventTrigger("before", "shutdown", probe.tell)
    run()
