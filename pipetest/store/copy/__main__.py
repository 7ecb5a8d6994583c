"""``python -m pipetest.store.copy FROM TO``: everything of one database into an empty one of the other kind.

Either is ``tinydb:PATH``, ``postgresql://…`` or ``@FILE``, a file that holds such a URL: what a command line says,
everybody on the machine can read. It is all or nothing: after an interruption, run it again.
"""

import sys

from pipetest.domain.errors import DatabaseRefused
from pipetest.store.copy.copying import copy_named, summary

USAGE = "python -m pipetest.store.copy FROM TO, each tinydb:PATH, postgresql://… or @FILE, a file that holds such a URL"


def main(*arguments: str) -> str | None:
    """What went wrong, in one line."""
    if len(arguments) != len(("FROM", "TO")):
        return f"usage: {USAGE}"
    try:
        counts = copy_named(*arguments)
    except DatabaseRefused as e:
        return f"pipetest: {e}"
    except KeyboardInterrupt:
        return "pipetest: interrupted: nothing was copied; run it again"
    sys.stdout.write(f"{summary(counts)}\n")
    return None


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
