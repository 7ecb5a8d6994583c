"""What a release consists of, and the commands that make it."""

import subprocess
import sys
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")


class Distributions(Struct, frozen=True):
    """The two files that a release consists of."""

    wheel: Path
    sdist: Path


def build(out: Path) -> Distributions:
    """The source distribution, and the wheel built from it, in this folder."""
    run_command(UV, "build", "--offline", "--no-build-isolation", "--python", sys.executable, "--out-dir", out)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return Distributions(wheel, sdist)


def run_command(*argv: str | Path) -> str:
    """Run a command to its end; its standard output."""
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
