"""What becomes of the real process when the machine's clock is set."""

from pathlib import Path

from tests.support.daemon_process import patched_daemon
from tests.support.processes import SIGTERMED, until
from tests.support.sandbox_process import sandbox
from tests.support.sandbox_state import assert_once

SET_BACK = """
import os, time

wall = time.time
time.time = lambda: wall() - (3600.0 if os.path.exists("set back") else 0.0)
"""


def test_a_clock_that_is_set_back_an_hour_holds_up_no_timer(tmp_path: Path) -> None:
    with sandbox(tmp_path, "--gist-every", "0") as world, patched_daemon(SET_BACK, world, tmp_path) as process:
        world.write_gists(1)
        until(world.settled)
        (tmp_path / "set back").touch()
        world.write_gists(3)
        until(world.settled)
        assert process.stop() == SIGTERMED
        assert_once(world.state())
