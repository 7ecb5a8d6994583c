"""The door for a long time; `make door-test`."""

from pathlib import Path

import pytest

from tests.support.web.door_run import strangers_at_the_door


@pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
def test_twenty_thousand_requests_of_strangers_break_nothing(tmp_path: Path, down: bool) -> None:
    strangers_at_the_door(tmp_path, seed=2, requests=20_000, down=down)
