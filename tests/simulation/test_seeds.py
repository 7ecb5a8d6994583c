"""A fixed set of simulated runs; ``make simulate`` runs as many as you like."""

import gc
from collections.abc import Iterator

import pytest
from twisted.logger import LogEvent

from tests.simulation.__main__ import replay
from tests.simulation.simulation import DAYS, run

SEEDS = range(60)


@pytest.fixture(autouse=True)
def _killed_instances_are_collected(no_failure_is_logged_unseen: list[LogEvent]) -> Iterator[None]:
    """What killed instances were waiting for ends when it is collected, and logs a failure; that of living ones counted
    in their run. The end of one may free another, so this goes on until nothing is left."""
    yield
    while gc.collect() or no_failure_is_logged_unseen:
        no_failure_is_logged_unseen.clear()


@pytest.mark.parametrize("seed", SEEDS)
def test_days_of_faults_break_no_promise(seed: int) -> None:
    result = run(seed)
    assert not result.violations, replay(result, DAYS)


def test_the_same_seed_has_the_same_result_each_time() -> None:
    assert run(4) == run(4)
