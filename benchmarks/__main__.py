"""``python -m benchmarks [--keep] [name …]``: run all benchmarks, or those named."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar

from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError

from benchmarks import (
    amnesia,
    backfill,
    first_deal,
    followed,
    growth,
    idle_scan,
    latency,
    outage,
    postgres,
    sessions,
    start,
    sweep,
    visitors,
)
from benchmarks.support import report
from benchmarks.support.report import Figure
from benchmarks.support.tools import MissingTool
from tests.support.options import parse

BENCHMARKS: Mapping[str, Callable[[], Iterator[Figure]]] = {
    "sessions": sessions.measure,
    "outage": outage.measure,
    "latency": latency.measure,
    "first_deal": first_deal.measure,
    "start": start.measure,
    "visitors": visitors.measure,
    "backfill": backfill.measure,
    "amnesia": amnesia.measure,
    "idle_scan": idle_scan.measure,
    "followed": followed.measure,
    "growth": growth.measure,
    "postgres": postgres.measure,
    "sweep": sweep.measure,
}
"""``sessions`` comes first: it measures the memory of this process, which the others fragment. What writes most to the
disk comes last, so that its writes disturb no shorter measurement."""


AS_SHIPPED: Mapping[str, str] = {"MALLOC_MMAP_THRESHOLD_": "1048576"}
"""What the image and the unit say of memory holds for what is measured, too."""


class Options(UsageOptions):
    optFlags: ClassVar = [["keep", "k", "Write the figures into docs/performance.md."]]
    longdesc = f"The names are {', '.join(BENCHMARKS)}."

    def parseArgs(self, *names: str) -> None:
        for name in names:
            if name not in BENCHMARKS:
                raise UsageError(f"no such benchmark: {name}")
        self["names"] = names

    def getSynopsis(self) -> str:
        return "Usage: python -m benchmarks [--keep] [name …]"


def main(*arguments: str) -> int:
    options = Options()
    parse(options, arguments)
    os.environ.update(AS_SHIPPED)
    before = report.kept()
    figures = []
    print(f"Measured on {report.machine()}")
    for name in options["names"] or BENCHMARKS:
        print(f"{name} …", flush=True)
        try:
            for figure in BENCHMARKS[name]():
                print(report.verdict(figure, before), flush=True)
                figures.append(figure)
        except MissingTool as missing:
            print(f"  left out: {missing}")
    if options["keep"]:
        report.keep(figures, all_run=not options["names"])
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
