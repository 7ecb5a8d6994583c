"""What the commands are told on their command line."""

import sys
from collections.abc import Sequence

from twisted.python.usage import Options, UsageError


def parse(options: Options, arguments: Sequence[str]) -> None:
    """
    :raises SystemExit: they are wrong; how the command is used, and what is wrong, is printed.
    """
    try:
        options.parseOptions(arguments)
    except UsageError as e:
        sys.stderr.write(f"{options}\n{e}\n")
        raise SystemExit(2) from None
