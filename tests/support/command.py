"""The command ``pipetest`` as a process of its own, while the test's reactor runs."""

import subprocess
import sys
from pathlib import Path

from msgspec import Struct
from twisted.internet.utils import getProcessOutputAndValue

from tests.support.processes import HOPELESS_S, clean_environment

COMMAND = Path(sys.executable).with_name("pipetest")


class Ran(Struct, frozen=True):
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str


def run_alone(*arguments: str, cwd: Path, **settings: str) -> Ran:
    """The same where no reactor runs, or needs to meanwhile."""
    done = subprocess.run(
        [str(COMMAND), *arguments],
        env=clean_environment(**settings),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=HOPELESS_S,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


async def run(*arguments: str, cwd: Path | None = None, **settings: str) -> Ran:
    """Run ``pipetest`` with these arguments and settings to its end; its output is piped."""
    given = (str(COMMAND), arguments, clean_environment(**settings), str(cwd) if cwd else None)
    out, err, status = await getProcessOutputAndValue(*given)
    return Ran(status, out.decode(), err.decode())
