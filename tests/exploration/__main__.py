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
    """Explores one world, by one deviation more at a time; begins nothing more after ``ends_at`` (monotonic)."""

    def __init__(self, world: str, pool: ProcessPoolExecutor, ends_at: float) -> None:
        first = run(world, (), states=States())
        self._world = world
        self._pool = pool
        self._ends_at = ends_at
        self._states = States()
        self._deviations = 0
        self._extensions = [extension for extension in first.extensions if not self._states.are_known(extension)]
        self._cut_off = first.cut_off
        self.schedules = self.violated = 0

    def explore(self, *, extends: bool) -> None:
        """All schedules with one deviation more than before. Unless it ``extends`` them, these were the last."""
        began = time.monotonic()
        extensions, cut_off, self._extensions, self._cut_off = self._extensions, self._cut_off, [], 0
        done = violated = 0
        for results in self._results(extensions, extends):
            done += len(results)
            violated += print_violated(self._world, results)
            for result in results:
                self._take(result)
            took_s = time.monotonic() - began
            print(
                f"\r\033[K{done:,} of {len(extensions):,}, {done / took_s:.0f}/s", end="", file=sys.stderr, flush=True
            )
        self._deviations += 1
        self.schedules += done + cut_off
        self.violated += violated
        left = f", {len(extensions) - done:,} not run" if done < len(extensions) else ""
        print(
            f"\r\033[K{self._world}, {self._deviations} deviations: {done + cut_off:,} schedules, of which {cut_off:,} "
            f"led to a known state; {violated} violated, {time.monotonic() - began:,.0f} s{left}",
            flush=True,
        )

    @property
    def states(self) -> int:
        return len(self._states)

    def _take(self, result: Result) -> None:
        """Another process may have come to the same state."""
        new = [extension for extension in result.extensions if not self._states.are_known(extension)]
        self._extensions += new
        self._cut_off += result.cut_off + len(result.extensions) - len(new)

    def _results(self, extensions: Sequence[Extension], extends: bool) -> Iterator[list[Result]]:
        batches = (extensions[first : first + BATCH] for first in range(0, len(extensions), BATCH))
        running = set[Future[list[Result]]]()
        while True:
            room = 2 * (os.cpu_count() or 1) - len(running) if time.monotonic() < self._ends_at else 0
            running |= {self._pool.submit(run_batch, self._world, batch, extends) for batch in islice(batches, room)}
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()


def print_violated(world: str, results: Sequence[Result]) -> int:
    """How many there are."""
    violated = [result for result in results if result.violations]
    for result in violated:
        print(f"\r\033[K{result.violations[0]}", *result.deviations, replay(world, result), sep="\n    ", flush=True)
    return len(violated)


def replay(world: str, result: Result) -> str:
    """The command that runs this schedule again and prints its story."""
    return f'python -m tests.exploration --world "{world}" --schedule {as_text(result.schedule)} -v'


def run_one(options: Options) -> int:
    schedule = from_text(options["schedule"])
    result = run(options["world"], schedule, write_line=print if options["verbose"] else None)
    print(*result.deviations, *result.violations, sep="\n")
    return int(bool(result.violations))


def main() -> int:
    options = Options()
    options.parseOptions()
    prepare()
    if options["schedule"] is not None:
        return run_one(options)
    began, deviations = time.monotonic(), options["deviations"]
    worlds = [options["world"]] if options["world"] else [*WORLDS]
    with ProcessPoolExecutor(os.cpu_count(), initializer=prepare_worker) as pool:
        explorers = [WorldExplorer(world, pool, began + 60.0 * options["minutes"]) for world in worlds]
        for number in range(1, deviations + 1):
            for explorer in explorers:
                explorer.explore(extends=number < deviations)
    schedules, states = sum(explorer.schedules for explorer in explorers), sum(one.states for one in explorers)
    violated = sum(explorer.violated for explorer in explorers)
    print(
        f"{schedules:,} schedules, {states:,} states, {violated} violated, "
        f"{time.monotonic() - began:,.0f} s on {os.cpu_count()} cores"
    )
    return int(violated > 0)


if __name__ == "__main__":
    sys.exit(main())
