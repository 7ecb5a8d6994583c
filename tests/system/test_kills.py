"""The real process, killed again and again while gists keep coming: each becomes one deal all the same."""

from pathlib import Path
from random import Random

from tests.support.daemon_process import daemon, settings_for
from tests.support.processes import Process, until
from tests.support.sandbox_process import CREATES_OF_DEALS, SandboxProcess, sandbox
from tests.support.sandbox_state import assert_once

KILLS = 25


def calls(world: SandboxProcess) -> int:
    return sum(world.state()["calls"]["Pipedrive"].values())


def kill_during_a_create(world: SandboxProcess, process: Process) -> None:
    """Pipedrive has the deal, and its reply will never arrive."""
    before = world.injected("held")
    world.post("/faults", fault="held", **CREATES_OF_DEALS)
    world.write_gists(3)
    until(lambda: world.injected("held") > before)
    process.kill()


def kill_after(world: SandboxProcess, process: Process, requests: int) -> None:
    before = calls(world)
    world.write_gists(10)
    until(lambda: calls(world) >= before + requests)
    process.kill()


def test_twenty_five_kills_and_a_torn_database_make_no_second_deal_and_lose_none(tmp_path: Path) -> None:
    random = Random(25)
    with sandbox(tmp_path, "--gist-every", "0", "--latency", "0.01") as world:
        settings = settings_for(world)
        for number in range(KILLS):
            with daemon(tmp_path, **settings) as process:
                process.line("answering on")
                if number % 2:
                    kill_during_a_create(world, process)
                else:
                    kill_after(world, process, random.randint(1, 10))
        database = tmp_path / "db" / "db.json"
        previous = database.with_name("db.json.previous")
        torn = (database if database.exists() else previous).read_bytes()  # the last kill may come between two renames
        database.write_bytes(torn[: random.randrange(len(torn))])
        with daemon(tmp_path, **settings) as process:
            process.line("the previous generation is used")
            until(world.settled)
            assert_once(world.state())
            process.stop()
