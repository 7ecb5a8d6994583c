"""``python -m benchmarks.soak [--minutes=N] [--keep] [--samples=PATH]``: run a soak, and tell its figures."""

import sys
from pathlib import Path
from typing import ClassVar

from twisted.python.usage import Options as UsageOptions

from benchmarks.soak import report, samples
from benchmarks.soak.run import SAMPLES, run
from tests.support.options import parse

FOLDER = Path(__file__).parents[2] / "build" / "soak"


class Options(UsageOptions):
    optFlags: ClassVar = [["keep", "k", "Write the figures into docs/reliability.md and docs/soak.svg."]]
    optParameters: ClassVar = [
        ["minutes", "m", 120.0, "How long faults come.", float],
        ["samples", "s", None, "Run none: tell of the run that left this file, build/soak/samples.jsonl as a rule."],
    ]


def main(*arguments: str) -> int:
    options = Options()
    parse(options, arguments)
    if options["samples"] is None:
        run(FOLDER, options["minutes"])
    path = Path(options["samples"] or FOLDER / SAMPLES)
    soak = report.SoakResult.of(list(samples.read(path)))
    if len(soak.warm) < report.FEWEST:
        print("too short: there are too few samples after the warm-up", file=sys.stderr)
        return 1
    for line in report.figures(soak):
        print(line)
    if options["keep"]:
        report.keep(soak)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
