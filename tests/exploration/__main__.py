"""``python -m tests.exploration``: run all schedules of small worlds on all cores, or one and print its story."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from typing import ClassVar

from twisted.python.usage import Options as UsageOptions

from tests.exploration.choices import Extension, States, as_text, from_text
from tests.exploration.exploration import Result, run
from tests.exploration.explorer import run_all
from tests.exploration.small_world import WORLDS
from tests.simulation.__main__ import prepare, prepare_worker

ROW = "{:<16}{:>10}{:>12,}{:>12,}{:>10}{:>10,.0f}"
HEADINGS = "world           deviations   schedules  same state  violated   seconds"
"""Of the schedules with so many deviations, so many led to the same state as others."""

BATCH = 50
"""Schedules that are given to a process at a time."""


class Options(UsageOptions):
    optParameters: ClassVar = [
        ["deviations", None, 2, "The most that a schedule has.", int],
        ["minutes", None, 60.0, "Begin nothing more after so long.", float],
        ["world", None, None, "Explore this world only."],
        ["schedule", None, None, "Run this schedule of the world only."],
    ]
    optFlags: ClassVar = [["verbose", "v", "Print the whole story of the schedule."]]


_states: dict[str, States] = {}
"""Those that this process has come to, by world."""


def run_batch(world: str, extensions: Sequence[Extension], extends: bool) -> list[Result]:
    """In a process of its own."""
    return list(run_all(world, extensions, _states.setdefault(world, States()) if extends else None))


class WorldExplorer:
    """Explores one world on all cores, by one deviation more at a time."""

    def __init__(self, world: str, pool: ProcessPoolExecutor) -> None:
        self._world = world
        self._pool = pool
        self._states = States()
        self._deviations = 0
        self._extensions = [Extension((), None)]
        self._cut_off = 0
        self.schedules = self.violated = 0

    @property
    def states(self) -> int:
        return len(self._states)

    def explore(self, ends_at: float, *, extends: bool) -> None:
        """All schedules with one deviation more than before: at first, the one with none. Begins nothing more after
        ``ends_at`` (monotonic). Unless it ``extends`` them, these are the last."""
        began, done, violated = time.monotonic(), 0, self.violated
        extensions, cut_off, self._extensions, self._cut_off = self._extensions, self._cut_off, [], 0
        for results in self._results(extensions, ends_at, extends):
            done += len(results)
            self._take(results)
            rate = done / (time.monotonic() - began)
            progress = f"{done:,} of {len(extensions):,}, {rate:.0f}/s"
            print(f"\r\033[K{progress}", end="", file=sys.stderr, flush=True)
        self.schedules += done + cut_off
        took_s, left = time.monotonic() - began, len(extensions) - done
        row = ROW.format(self._world, self._deviations, done + cut_off, cut_off, self.violated - violated, took_s)
        print(f"\r\033[K{row}{f'  {left:,} not run' if left else ''}", flush=True)
        self._deviations += 1

    def _take(self, results: Sequence[Result]) -> None:
        """Another process may have come to the same states."""
        for result in results:
            new = [extension for extension in result.extensions if not self._states.are_known(extension)]
            self._extensions += new
            self._cut_off += result.cut_off + len(result.extensions) - len(new)
            if result.violations:
                self.violated += 1
                print_violated(self._world, result)

    def _results(self, extensions: Sequence[Extension], ends_at: float, extends: bool) -> Iterator[list[Result]]:
        batches = (extensions[first : first + BATCH] for first in range(0, len(extensions), BATCH))
        running = set[Future[list[Result]]]()
        while True:
            room = 2 * (os.cpu_count() or 1) - len(running) if time.monotonic() < ends_at else 0
            running |= {self._pool.submit(run_batch, self._world, batch, extends) for batch in islice(batches, room)}
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()


def print_violated(world: str, result: Result) -> None:
    print(f"\r\033[K{result.violations[0]}", *result.deviations, replay(world, result), sep="\n    ", flush=True)


def replay(world: str, result: Result) -> str:
    """The command that runs this schedule again and prints its story."""
    return f'python -m tests.exploration --world "{world}" --schedule {as_text(result.schedule)} -v'


def run_one(options: Options) -> int:
    schedule = from_text(options["schedule"])
    result = run(options["world"], schedule, write_line=print if options["verbose"] else None)
    print(*result.deviations, *result.violations, sep="\n")
    return int(bool(result.violations))


def explore(worlds: Sequence[str], deviations: int, seconds: float) -> int:
    """All worlds side by side, so that each has had its share when the time is up; how many schedules are violated."""
    began = time.monotonic()
    print(HEADINGS)
    with ProcessPoolExecutor(os.cpu_count(), initializer=prepare_worker) as pool:
        explorers = [WorldExplorer(world, pool) for world in worlds]
        for number in range(deviations + 1):
            for left, explorer in zip(range(len(worlds), 0, -1), explorers, strict=True):
                now = time.monotonic()
                explorer.explore(now + (began + seconds - now) / left, extends=number < deviations)
    schedules, states = sum(each.schedules for each in explorers), sum(each.states for each in explorers)
    violated, took_s = sum(each.violated for each in explorers), time.monotonic() - began
    cpu_s = sum(os.times()[:4])  # the processes have ended, so they are counted
    print(f"{schedules:,} schedules, {states:,} states, {violated} violated, {took_s:,.0f} s, {cpu_s:,.0f} s of CPU")
    return violated


def main() -> int:
    options = Options()
    options.parseOptions()
    prepare()
    if options["schedule"] is not None:
        return run_one(options)
    worlds = [*WORLDS] if options["world"] is None else [options["world"]]
    return int(explore(worlds, options["deviations"], 60.0 * options["minutes"]) > 0)


if __name__ == "__main__":
    sys.exit(main())
