"""How the real process ends when it is told to, also where something keeps it from ending."""

import json
import sys
from pathlib import Path
from signal import SIGTERM

from tests.support.processes import Process, Sandbox, clean_environment, daemon, sandbox, until
from tests.system.test_first_run import SIGTERMED, assert_once, configured, settled
from tests.system.test_kills import DEALS, acted_out

WRITES_HANG = """
import os, threading

def hang(descriptor):
    if threading.current_thread() is not threading.main_thread():
        print("a write hangs", flush=True)
        threading.Event().wait()

os.fsync = hang
"""

NOTHING_BEGINS = """
from pipetest.outbox.dispatcher import Dispatcher

async def fail(creator):
    raise KeyError("ada")

Dispatcher.start = fail
"""

NOTHING_BEGINS_LATER = """
from twisted.internet import reactor
from twisted.internet.task import deferLater
from pipetest.outbox.dispatcher import Dispatcher

async def fail(creator):
    await deferLater(reactor, 0)
    raise KeyError("ada")

Dispatcher.start = fail
"""


def broken(how: str, world: Sandbox, cwd: Path) -> Process:
    """The daemon in a process in which something goes wrong that no setting brings about."""
    code = f"{how}\nfrom twisted.scripts.twistd import run\nrun()"
    argv = (sys.executable, "-c", code, "--nodaemon", "--pidfile=", "pipetest")
    return Process(*argv, env=clean_environment(**configured(world)), cwd=cwd)


def test_a_write_that_hangs_keeps_no_process_from_ending(tmp_path: Path) -> None:
    with sandbox(tmp_path) as world, broken(WRITES_HANG, world, tmp_path) as process:
        process.line("a write hangs")
        assert process.stop() == SIGTERMED


def test_a_process_whose_work_cannot_begin_ends_as_failed(tmp_path: Path) -> None:
    with sandbox(tmp_path) as world, broken(NOTHING_BEGINS, world, tmp_path) as process:
        assert process.ended() == 1
        assert process.output.endswith("pipetest: the work could not begin; the log says why\n")


def test_so_does_one_whose_work_proves_unable_to_begin_when_it_answers_already(tmp_path: Path) -> None:
    with sandbox(tmp_path) as world, broken(NOTHING_BEGINS_LATER, world, tmp_path) as process:
        assert process.ended() == 1
        assert "the daemon could not begin its work" in process.output


def stop_twice(world: Sandbox, process: Process) -> None:
    """While Pipedrive has a deal whose answer it holds back, which the first signal waits for."""
    world.order("/faults", fault="held", **DEALS)
    world.order("/gists", user=world.users[0], id="a")
    until(lambda: acted_out(world, "held"))
    process.signal(SIGTERM)
    process.line("a second signal ends it at once")
    process.signal(SIGTERM)


def test_a_second_signal_ends_it_at_once_and_there_is_one_deal_all_the_same(tmp_path: Path) -> None:
    with sandbox(tmp_path, "--gist-every", "0") as world:
        settings = configured(world)
        with daemon(tmp_path, **settings) as process:
            until(lambda: settled(world))
            stop_twice(world, process)
            assert process.ended() == SIGTERMED
            assert "Main loop terminated" not in process.output
        gists = json.loads((tmp_path / "db" / "db.json").read_bytes())["gists"].values()
        assert {row["deal"]["type"] for row in gists if row["gist"] == "a"} == {"sent"}
        with daemon(tmp_path, **settings) as process:
            process.line("gist a is in Pipedrive already")
            assert_once(world.state())
