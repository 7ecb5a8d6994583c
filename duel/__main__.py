"""``python -m duel [--quick] [--keep] [--seed=N] [tool …]``: all tools, or those whose names hold such a word."""

import signal
import sys
import time
from datetime import UTC, datetime
from typing import ClassVar

from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError

from benchmarks.support.report import machine
from duel.contestants import CONTESTANTS, open_contestants
from duel.scenarios import FULL, QUICK, SCENARIOS
from duel.support import report
from duel.support.results import NOTHING_WRONG, Result, Run
from duel.support.trials import run
from tests.support.options import parse


class Options(UsageOptions):
    optFlags: ClassVar = [
        ["quick", "q", "Fewer gists and kills: some minutes."],
        ["keep", "k", "Write the figures into docs/duel.md, docs/duel.svg and README.md."],
    ]
    optParameters: ClassVar = [["seed", "s", 1, "The same seed brings the same faults and moments.", int]]

    def parseArgs(self, *names: str) -> None:
        self["chosen"] = [kind for kind in CONTESTANTS if not names or any(name in kind.name for name in names)]
        if not self["chosen"]:
            raise UsageError(f"the tools are {', '.join(kind.name for kind in CONTESTANTS)}")

    def postOptions(self) -> None:
        if self["keep"] and len(self["chosen"]) < len(CONTESTANTS):
            raise UsageError("--keep needs all tools")


def main(*arguments: str) -> int:
    options = Options()
    parse(options, arguments)
    sizes = QUICK if options["quick"] else FULL
    began_at = time.monotonic()
    with open_contestants(options["chosen"]) as contestants:
        results = [*run(contestants, sizes, options["seed"], tell)]
    minutes = (time.monotonic() - began_at) / 60
    length = f"{'quick' if options['quick'] else 'full'} run of {minutes:.0f} minutes"
    heading = f"A {length} on {datetime.now(UTC):%Y-%m-%d}, seed {options['seed']}, {machine()}"
    results += [Result(kind.name, unmeasured=kind.missing) for kind in options["chosen"] if kind.missing]
    titles = {NOTHING_WRONG: f"{NOTHING_WRONG}, {sizes.speed:,} gists"}
    titles |= {scenario: sizes.title(scenario) for scenario in SCENARIOS}
    finished = Run(titles, results, heading)
    for line in report.figures(finished):
        print(line)
    if options["keep"]:
        report.keep(finished)
    return 0


def tell(line: str) -> None:
    print(f"  {line}", flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # else the tools would go on alone
    sys.exit(main(*sys.argv[1:]))
