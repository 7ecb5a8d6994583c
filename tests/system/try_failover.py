"""Several instances, killed and frozen again and again: ``make failover-test``."""

import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest

from tests.support.postgres.failover import AT_ONCE_S, TAKEOVER_S, freeze_the_leader, kill_at_random, takeover_s
from tests.support.postgres.server import Server
from tests.support.processes import Process

KILLS = 25
FREEZES = 5
ENDS = 5


@pytest.mark.parametrize("instances", [2, 3])
def test_instances_killed_at_random_make_no_gist_twice_and_miss_none(
    server_of_all: Server, tmp_path: Path, instances: int
) -> None:
    kill_at_random(server_of_all, tmp_path, instances, KILLS)


def test_a_frozen_instance_is_deposed_and_creates_nothing_once_thawed(server_of_all: Server, tmp_path: Path) -> None:
    freeze_the_leader(server_of_all, tmp_path, FREEZES)


@pytest.mark.parametrize(("end", "within_s"), [(Process.kill, TAKEOVER_S), (Process.stop, AT_ONCE_S)])
def test_another_takes_over_in_time(
    server_of_all: Server,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    end: Callable[[Process], object],
    within_s: float,
) -> None:
    took = [takeover_s(server_of_all, tmp_path, end) for _ in range(ENDS)]
    with capsys.disabled():
        sys.stdout.write(f" after a {end.__name__}: {median(took):.2f} s (median of {ENDS}), at most {max(took):.2f} ")
    assert max(took) < within_s
