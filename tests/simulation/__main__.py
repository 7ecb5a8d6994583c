"""``python -m tests.simulation``: run many seeds on all cores, or one of them and print its whole story."""

import gc
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from multiprocessing import get_context
from signal import SIG_IGN, SIGINT, signal
from typing import ClassVar

from twisted.logger import globalLogBeginner
from twisted.python.usage import Options as UsageOptions

from tests.simulation.simulation import DAYS, Result, run
from tests.support.options import parse

BATCH = 10
"""Seeds that are given to a process at a time."""

BAR_WIDTH = 40


class Options(UsageOptions):
    optParameters: ClassVar = [
        ["seed", None, None, "Run this seed only.", int],
        ["seeds", None, 100, "How many seeds to run.", int],
        ["first", None, 0, "The first of them.", int],
        ["days", None, DAYS, "Days of faults in each run.", float],
    ]
    optFlags: ClassVar = [["verbose", "v", "Print the whole story of the seed."]]


def prepare() -> None:
    """For each process: nobody keeps the log, and garbage is collected only between two runs."""
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
    gc.disable()
    gc.freeze()


def prepare_worker() -> None:
    signal(SIGINT, SIG_IGN)  # the parent handles it
    prepare()


def process_pool() -> ProcessPoolExecutor:
    """On all cores. Forked, which Python 3.14 has to be told: others would import everything anew, and could not call
    what a ``__main__`` defines."""
    return ProcessPoolExecutor(os.cpu_count(), get_context("fork"), prepare_worker)


def run_batch(seeds: Iterable[int], days: float) -> list[Result]:
    results = []
    for seed in seeds:
        results.append(run(seed, days))
        gc.collect()
    return results


def replay(result: Result, days: float) -> str:
    """The command that runs this seed again and prints its story."""
    longer = "" if days == DAYS else f" --days {days:g}"
    return f"python -m tests.simulation --seed {result.seed}{longer} -v"


def run_on_all_cores(seeds: Sequence[int], days: float) -> list[Result]:
    """Show a progress bar, and violations at once. After Ctrl-C, return the results that there are."""
    results: list[Result] = []
    with process_pool() as pool, suppress(KeyboardInterrupt):
        try:
            batches = (seeds[first : first + BATCH] for first in range(0, len(seeds), BATCH))
            for done in as_completed([pool.submit(run_batch, batch, days) for batch in batches]):
                results += done.result()
                print_violations(done.result(), days)
                print(f"\r\033[K{progress_bar(results, len(seeds))}", end="", file=sys.stderr, flush=True)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    print(file=sys.stderr)
    return results


def print_violations(results: Iterable[Result], days: float) -> None:
    for result in results:
        if result.violations:
            print(f"\r\033[K{result.violations[0]}\n    {replay(result, days)}", flush=True)


def progress_bar(results: Sequence[Result], total: int) -> str:
    filled = BAR_WIDTH * len(results) // total
    violated = sum(bool(result.violations) for result in results)
    return f"{'#' * filled:.<{BAR_WIDTH}} {len(results):,} of {total:,} seeds, {violated} violated"


def summary(results: Sequence[Result], took_s: float) -> str:
    """What happened in all runs together."""
    requests, faults, ends = Counter[str](), Counter[str](), Counter[str]()
    for result in results:
        requests += result.requests
        faults += result.faults
        ends += result.ends
    days = sum(result.days for result in results)
    rows = {
        "seeds": f"{len(results):,} in {took_s:,.0f} s",
        "simulated days": f"{days:,.0f}",
        "requests": with_parts(requests),
        "faults": with_parts(faults),
        "ends of the daemon": with_parts(ends),
        "violated seeds": f"{sum(bool(result.violations) for result in results):,}",
    }
    return "\n".join(f"{name:<20}{text}" for name, text in rows.items())


def with_parts(counts: Counter[str]) -> str:
    parts = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
    return f"{counts.total():,} ({parts})"


def main() -> int:
    options = Options()
    parse(options, sys.argv[1:])
    days, began = options["days"], time.monotonic()
    if options["seed"] is None:
        results = run_on_all_cores(range(options["first"], options["first"] + options["seeds"]), days)
    else:
        prepare()
        results = [run(options["seed"], days, print if options["verbose"] else None)]
        print(*results[0].violations, sep="\n")
    print(summary(results, time.monotonic() - began))
    return int(any(result.violations for result in results))


if __name__ == "__main__":
    sys.exit(main())
