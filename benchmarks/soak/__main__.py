"""``python -m benchmarks.soak [--minutes N]``: run a soak, and leave its samples in build/soak."""

import sys
from pathlib import Path
from typing import ClassVar

from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError

from benchmarks.soak.run import run

FOLDER = Path(__file__).parents[2] / "build" / "soak"


class Options(UsageOptions):
    optParameters: ClassVar = [["minutes", "m", 120.0, "How long faults come.", float]]


def main(*arguments: str) -> int:
    options = Options()
    try:
        options.parseOptions(arguments)
    except UsageError as e:
        print(options, e, sep="\n", file=sys.stderr)
        return 2
    run(FOLDER, options["minutes"])
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
