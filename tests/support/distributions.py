"""What a release consists of, and the commands that make it."""

import subprocess
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).parents[2]


class Distributions(Struct, frozen=True):
    """The two files that a release consists of."""

    wheel: Path
    sdist: Path


def run_command(*argv: str | Path) -> str:
    """Run a command to its end; its standard output."""
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
