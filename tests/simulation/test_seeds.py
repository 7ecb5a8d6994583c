"""A fixed set of simulated runs; ``make simulate`` runs as many as you like."""

import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest
from twisted.logger import LogEvent

from tests.simulation.__main__ import BATCH
from tests.simulation.simulation import run

SEEDS = 40


@pytest.fixture(autouse=True)
def _killed_instances_are_collected(no_failure_is_logged_unseen: list[LogEvent]) -> Iterator[None]:
    """What killed instances were waiting for ends when it is collected, and logs a failure; that of living ones counted
    in their run. The end of one may free another, so this goes on until nothing is left."""
    yield
    while gc.collect() or no_failure_is_logged_unseen:
        no_failure_is_logged_unseen.clear()


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_days_of_faults_break_no_promise(first: int) -> None:
    """In a process of its own: to measure coverage takes longer than the runs."""
    command = (sys.executable, "-m", "tests.simulation", "--first", str(first), "--seeds", str(BATCH))
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_same_seed_has_the_same_result_each_time() -> None:
    assert run(4) == run(4)
