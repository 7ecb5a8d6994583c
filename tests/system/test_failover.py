"""Another instance takes over, however the leader ends; ``try_failover.py`` tries it many more times."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.postgres.failover import (
    AT_ONCE_S,
    TAKEOVER_S,
    command_a_follower,
    freeze_the_leader,
    kill_at_random,
    takeover_s,
)
from tests.support.postgres.server import Server
from tests.support.processes import Process

pytestmark = pytest.mark.xdist_group("failover")


@pytest.mark.parametrize(("end", "within_s"), [(Process.kill, TAKEOVER_S), (Process.stop, AT_ONCE_S)])
def test_another_takes_over_in_time(
    server_of_all: Server, tmp_path: Path, end: Callable[[Process], object], within_s: float
) -> None:
    assert takeover_s(server_of_all, tmp_path, end) < within_s


def test_instances_killed_at_random_make_no_gist_twice_and_miss_none(server_of_all: Server, tmp_path: Path) -> None:
    kill_at_random(server_of_all, tmp_path, instances=2, kills=3)


def test_a_frozen_instance_is_deposed_and_creates_nothing_once_thawed(server_of_all: Server, tmp_path: Path) -> None:
    freeze_the_leader(server_of_all, tmp_path, times=1)


def test_what_is_asked_of_an_instance_that_does_not_scan_is_done(server_of_all: Server, tmp_path: Path) -> None:
    command_a_follower(server_of_all, tmp_path)
