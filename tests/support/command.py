"""The command ``pipetest`` as a process of its own, while the test's reactor runs."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from coverage import Coverage
from msgspec import Struct
from twisted.internet.utils import getProcessOutputAndValue

from tests.support.processes import HOPELESS_S, clean_environment

COMMAND = Path(sys.executable).with_name("pipetest")


class Ran(Struct, frozen=True):
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str


def _command(arguments: Sequence[str]) -> list[str]:
    """Its coverage is measured where that of the tests is."""
    if (measured := Coverage.current()) is None:
        return [str(COMMAND), *arguments]
    rules, data = (Path(str(path)).absolute() for path in (measured.config.config_file, measured.config.data_file))
    files = [f"--rcfile={rules}", f"--data-file={data}"]
    return [sys.executable, "-m", "coverage", "run", "--parallel-mode", *files, str(COMMAND), *arguments]


async def run(*arguments: str, cwd: Path | None = None, **settings: str) -> Ran:
    """Run ``pipetest`` with these arguments and settings to its end; its output is piped."""
    program, *rest = _command(arguments)
    out, err, status = await getProcessOutputAndValue(
        program, rest, clean_environment(**settings), str(cwd) if cwd else None
    )
    return Ran(status, out.decode(), err.decode())


def run_alone(*arguments: str, cwd: Path, **settings: str) -> Ran:
    """The same where no reactor runs, or needs to meanwhile."""
    done = subprocess.run(
        _command(arguments),
        env=clean_environment(**settings),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=HOPELESS_S,
    )
    return Ran(done.returncode, done.stdout, done.stderr)
