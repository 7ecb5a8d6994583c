"""What somebody new to pipetest waits for: the installation, and the first deal."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.support.report import Figure
from benchmarks.support.sandbox import LONGEST_S, run_sandbox
from tests.support.daemon_process import daemon
from tests.support.distributions import ROOT, build, run_command
from tests.support.processes import until

LATENCY_S = 0.05
SETTLE_S = 60.0
"""The default. A new database waits for so long, as Pipedrive may show only then what an earlier one has created."""

NAME = "somebody new:"


def measure() -> Iterator[Figure]:
    with TemporaryDirectory() as folder:
        wheel = build(Path(folder)).wheel
        began = time.monotonic()
        python = install(wheel, Path(folder) / "venv")
        took_s = time.monotonic() - began
        name = f"{NAME} pip install of what is pinned, with the registry and without its cache, s"
        yield Figure(name, took_s, at_most=True)
        deal_s = first_deal_s(python, Path(folder))
    name = f"{NAME} from the start of twistd to the first deal, s"
    yield Figure(name, deal_s, at_most=True)
    yield Figure(f"{name}, without the settle time", deal_s - SETTLE_S, 5, at_most=True)


def install(wheel: Path, home: Path) -> Path:
    """The interpreter of a new virtual environment, made as README says."""
    run_command(sys.executable, "-m", "venv", home)
    pip = (home / "bin" / "pip", "install", "-qq", "--no-cache-dir", "--disable-pip-version-check")
    run_command(*pip, "--require-hashes", "-r", ROOT / "requirements" / "run.txt")
    run_command(*pip, "--no-deps", wheel)
    return home / "bin" / "python"


def first_deal_s(python: Path, folder: Path) -> float:
    with run_sandbox(1, 1, latency=LATENCY_S) as sandbox:
        settings = sandbox.settings(folder, SETTLE_TIME=f"{SETTLE_S:g}")
        began = time.time()
        with daemon(folder, python=python, **settings):
            until(lambda: sandbox.created()["deals"] == 1, LONGEST_S)
        return float(sandbox.created()["last"] - began)
