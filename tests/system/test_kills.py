"""The real process, killed again and again while gists keep coming: one deal for each all the same."""

from pathlib import Path
from random import Random

from tests.support.processes import Process, Sandbox, daemon, sandbox, until
from tests.system.test_first_run import assert_once, configured, settled

KILLS = 25
DEALS = {"service": "Pipedrive", "method": "POST", "path": "/api/v2/deals"}


def write(world: Sandbox, gists: int) -> None:
    for number in range(gists):
        world.order("/gists", user=world.users[number % len(world.users)])


def calls(world: Sandbox) -> int:
    return sum(world.state()["calls"]["Pipedrive"].values())


def acted_out(world: Sandbox, fault: str) -> int:
    return int(world.state()["faults"]["Pipedrive"].get(fault, 0))


def kill_during_a_create(world: Sandbox, process: Process) -> None:
    """Pipedrive has the deal, and will never get its answer through."""
    before = acted_out(world, "held")
    world.order("/faults", fault="held", **DEALS)
    write(world, 3)
    until(lambda: acted_out(world, "held") > before)
    process.kill()


def kill_after(world: Sandbox, process: Process, requests: int) -> None:
    before = calls(world)
    write(world, 10)
    until(lambda: calls(world) >= before + requests)
    process.kill()


def test_twenty_five_kills_and_a_torn_database_make_no_second_deal_and_lose_none(tmp_path: Path) -> None:
    random = Random(25)
    with sandbox(tmp_path, "--gist-every", "0", "--latency", "0.01") as world:
        settings = configured(world)
        for number in range(KILLS):
            with daemon(tmp_path, **settings) as process:
                process.line("answering on")
                if number % 2:
                    kill_during_a_create(world, process)
                else:
                    kill_after(world, process, random.randint(1, 10))
        database = tmp_path / "db" / "db.json"
        previous = database.with_name("db.json.previous")
        torn = (database if database.exists() else previous).read_bytes()  # the last kill may fall between two renames
        database.write_bytes(torn[: random.randrange(len(torn))])
        with daemon(tmp_path, **settings) as process:
            process.line("the previous generation is used")
            assert_once(until(lambda: settled(world)))
            process.stop()
