"""The package as its users get it: built from the sources, and installed with the pinned versions alone."""

import sys
from pathlib import Path

import pytest

from tests.support.distributions import ROOT, Distributions, build, run_command


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="session")
def python(built: Distributions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new virtual environment that holds the wheel and what it runs on."""
    home = tmp_path_factory.mktemp("venv")
    run_command(sys.executable, "-m", "venv", "--without-pip", home)
    python = home / "bin" / "python"
    install = (sys.executable, "-m", "pip", "--python", python, "install", "-qq", "--no-compile")
    run_command(*install, "--require-hashes", "-r", ROOT / "requirements" / "run.txt")
    run_command(*install, "--no-deps", "--no-index", built.wheel)
    return python
