"""The package as its users get it: built from the sources, and installed with the pinned versions alone."""

import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import Struct

ROOT = Path(__file__).parents[2]


class Built(Struct, frozen=True):
    """The two files that a release consists of."""

    wheel: Path
    sdist: Path


def run(*argv: str | Path) -> str:
    """Run a command to its end; its standard output."""
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The source distribution, and the wheel built from it."""
    out = tmp_path_factory.mktemp("dist")
    uv = Path(sys.executable).with_name("uv")
    run(uv, "build", "--offline", "--no-build-isolation", "--python", sys.executable, "--out-dir", out)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return Built(wheel, sdist)


@pytest.fixture(scope="session")
def python(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new virtual environment that holds the wheel and what it runs on."""
    home = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", "--without-pip", home)
    python = home / "bin" / "python"
    install = (sys.executable, "-m", "pip", "--python", python, "install", "-qq", "--no-compile")
    run(*install, "--require-hashes", "-r", ROOT / "requirements" / "run.txt")
    run(*install, "--no-deps", "--no-index", built.wheel)
    return python
