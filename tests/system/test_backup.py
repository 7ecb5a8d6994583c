"""A backup that was made while the daemon worked, put in the database's place after the daemon was killed."""

import json
import shutil
from pathlib import Path

from tests.support.command import run_alone
from tests.support.daemon_process import daemon, settings_for
from tests.support.processes import until
from tests.support.sandbox_process import SandboxProcess, sandbox
from tests.support.sandbox_state import assert_once, titles


def deals(world: SandboxProcess) -> int:
    return len(titles(world.state()))


def write_and_wait(world: SandboxProcess, gists: int) -> None:
    world.write_gists(gists)
    until(world.settled)


def backed_up_in_the_middle(world: SandboxProcess, folder: Path, settings: dict[str, str]) -> Path:
    """A backup that lacks what the daemon makes while, and after, it is written."""
    backup = folder / "backup.json"
    with daemon(folder, **settings) as process:
        process.line("answering on")
        until(world.settled)
        before = deals(world)
        world.write_gists(30)
        until(lambda: deals(world) > before + 5)
        made = run_alone("backup", str(backup), "--json", cwd=folder, **settings)
        assert (made.status, made.err) == (0, "")
        until(world.settled)
        write_and_wait(world, 20)
        assert json.loads(made.out)["gists"] < deals(world)
        world.write_gists(10)
        process.kill()
    return backup


def test_a_daemon_that_is_killed_and_started_on_a_backup_makes_no_second_deal(tmp_path: Path) -> None:
    with sandbox(tmp_path, "--gist-every", "0", "--latency", "0.01") as world:
        settings = settings_for(world)
        shutil.copy(backed_up_in_the_middle(world, tmp_path, settings), tmp_path / "db" / "db.json")
        world.write_gists(10)
        with daemon(tmp_path, **settings) as process:
            process.line("answering on")
            write_and_wait(world, 10)
            process.stop()
        assert_once(world.state())
