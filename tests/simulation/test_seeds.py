"""A fixed set of simulated worlds; ``make simulate`` runs as many as one likes."""

import gc
from collections.abc import Iterator

import pytest
from twisted.logger import LogEvent

from tests.simulation.__main__ import replay
from tests.simulation.simulation import DAYS, run

SEEDS = range(60)


@pytest.fixture(autouse=True)
def _buried(no_failure_is_logged_unseen: list[LogEvent]) -> Iterator[None]:
    """What killed daemons were waiting for ends with the garbage, and says so; the living were heard in their world.
    The end of one lets go of another."""
    yield
    while gc.collect() or no_failure_is_logged_unseen:
        no_failure_is_logged_unseen.clear()


@pytest.mark.parametrize("seed", SEEDS)
def test_days_of_trouble_break_no_promise(seed: int) -> None:
    result = run(seed)
    assert not result.violations, replay(result, DAYS)


def test_a_seed_comes_to_the_same_end_each_time() -> None:
    assert run(4) == run(4)
