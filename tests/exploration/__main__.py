"""``python -m tests.exploration``: run all schedules of small worlds on all cores, or one and print its story."""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from typing import ClassVar

from msgspec import Struct
from twisted.python.usage import Options as UsageOptions

from tests.exploration.choices import Schedule, States, as_text, from_text
from tests.exploration.exploration import Result, run
from tests.exploration.explorer import extend
from tests.exploration.small_world import WORLDS
from tests.simulation.__main__ import prepare, process_pool
from tests.support.options import parse

ROW = "{:<16}{:>10}{:>12,}{:>12,}{:>10}{:>10,.0f}"
HEADINGS = "world           deviations   schedules  same state  violated   seconds"
"""Of the schedules with so many deviations, so many led to the same state as others, and were not run."""


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


class Extended(Struct):
    """What those came to that extend a schedule, but for those that led where others had ``met_again``. ``new_states``:
    how many states they came to where their process had not been before."""

    results: Sequence[Result]
    met_again: int = 0
    new_states: int = 0


def extended(world: str, schedule: Schedule) -> Extended:
    """In a process of its own."""
    states = _states.setdefault(world, States())
    met_again, known = states.met_again, len(states)
    results = [*extend(world, schedule, states)]
    return Extended(results, states.met_again - met_again, len(states) - known)


class WorldExplorer:
    """Explores one world on all cores, by one deviation more at a time."""

    def __init__(self, world: str, pool: ProcessPoolExecutor) -> None:
        self._world = world
        self._pool = pool
        self._deviations = 0
        self._schedules: list[Schedule] = []
        self.schedules = self.states = self.violated = 0

    def explore(self, ends_at: float) -> None:
        """All schedules with one deviation more than before: at first, the one with none. Begins nothing more after
        ``ends_at`` (monotonic)."""
        began, done, met_again, violated = time.monotonic(), 0, 0, self.violated
        extends, self._schedules = self._schedules, []
        for part in self._extended(extends, ends_at) if self._deviations else [Extended([run(self._world, ())])]:
            done += 1
            met_again += part.met_again
            self.states += part.new_states
            self._take(part.results)
            rate = len(self._schedules) / (time.monotonic() - began)
            progress = f"{self._world}: {done:,} of {len(extends):,} extended, {rate:.0f} schedules/s"
            print(f"\r\033[K{progress}", end="", file=sys.stderr, flush=True)
        schedules, took_s, left = len(self._schedules) + met_again, time.monotonic() - began, len(extends) - done
        self.schedules += schedules
        row = ROW.format(self._world, self._deviations, schedules, met_again, self.violated - violated, took_s)
        print(f"\r\033[K{row}{f'  {left:,} of {len(extends):,} not extended' if left > 0 else ''}", flush=True)
        self._deviations += 1

    def _take(self, results: Sequence[Result]) -> None:
        for result in results:
            self._schedules.append(result.schedule)
            if result.violations:
                self.violated += 1
                print_violated(self._world, result)

    def _extended(self, schedules: Sequence[Schedule], ends_at: float) -> Iterator[Extended]:
        left = iter(schedules)
        running = set[Future[Extended]]()
        while True:
            room = 2 * (os.cpu_count() or 1) - len(running) if time.monotonic() < ends_at else 0
            running |= {self._pool.submit(extended, self._world, schedule) for schedule in islice(left, room)}
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
    with process_pool() as pool:
        explorers = [WorldExplorer(world, pool) for world in worlds]
        for _ in range(deviations + 1):
            for left, explorer in zip(range(len(worlds), 0, -1), explorers, strict=True):
                now = time.monotonic()
                explorer.explore(now + (began + seconds - now) / left)
    schedules, states = sum(each.schedules for each in explorers), sum(each.states for each in explorers)
    violated, took_s = sum(each.violated for each in explorers), time.monotonic() - began
    cpu_s = sum(os.times()[:4])  # the processes have ended, so they are counted
    print(f"{schedules:,} schedules, {states:,} states, {violated} violated, {took_s:,.0f} s, {cpu_s:,.0f} s of CPU")
    return violated


def main() -> int:
    options = Options()
    parse(options, sys.argv[1:])
    prepare()
    if options["schedule"] is not None:
        return run_one(options)
    worlds = [*WORLDS] if options["world"] is None else [options["world"]]
    return int(explore(worlds, options["deviations"], 60.0 * options["minutes"]) > 0)


if __name__ == "__main__":
    sys.exit(main())
