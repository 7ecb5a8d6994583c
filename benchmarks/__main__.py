"""``python -m benchmarks [--keep] [name …]``: run all benchmarks, or those named; keep what they measured."""

import sys
from collections.abc import Callable, Iterator, Mapping

from benchmarks import backfill, idle, postgres, scale, start, visitors
from benchmarks.support import report, sessions
from benchmarks.support.report import Figure
from benchmarks.support.stage import MissingTool

BENCHMARKS: Mapping[str, Callable[[], Iterator[Figure]]] = {
    "sessions": sessions.measure,
    "start": start.measure,
    "visitors": visitors.measure,
    "backfill": backfill.measure,
    "idle": idle.measure,
    "scale": scale.measure,
    "postgres": postgres.measure,
}
"""``sessions`` comes first since it measures the memory of this very process, which the others leave full of holes;
what moves most on disk comes last, so that no shorter measurement meets its writes."""


def main(*arguments: str) -> int:
    named = [name for name in arguments if name != "--keep"]
    before = report.kept()
    figures = []
    print(f"Measured on {report.machine()}")
    for name in named or BENCHMARKS:
        print(f"{name} …", flush=True)
        try:
            for figure in BENCHMARKS[name]():
                print(report.verdict(figure, before), flush=True)
                figures.append(figure)
        except MissingTool as missing:
            print(f"  left out: {missing}")
    if "--keep" in arguments:
        report.keep(figures, whole=not named)
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
