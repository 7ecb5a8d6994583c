"""How the real process ends when it is told to, even where something keeps it from ending."""

import json
from pathlib import Path
from signal import SIGTERM

from tests.support.daemon_process import daemon, patched_daemon, settings_for
from tests.support.processes import SIGTERMED, Process, until
from tests.support.sandbox_process import CREATES_OF_DEALS, SandboxProcess, sandbox
from tests.support.sandbox_state import assert_once

WRITES_HANG = """
import os, threading

def hang(descriptor):
    if threading.current_thread() is not threading.main_thread():
        print("a write hangs", flush=True)
        threading.Event().wait()

os.fsync = hang
"""

START_FAILS = """
from pipetest.outbox.outbox import Outbox

async def fail(outbox):
    raise KeyError("ada")

Outbox.start = fail
"""

START_FAILS_LATER = """
from twisted.internet import reactor
from twisted.internet.task import deferLater
from pipetest.outbox.outbox import Outbox

async def fail(outbox):
    await deferLater(reactor, 0)
    raise KeyError("ada")

Outbox.start = fail
"""


def test_a_write_that_hangs_keeps_no_process_from_ending(tmp_path: Path) -> None:
    with sandbox(tmp_path) as world, patched_daemon(WRITES_HANG, world, tmp_path) as process:
        process.line("a write hangs")
        assert process.stop() == SIGTERMED


def test_a_process_whose_work_cannot_begin_ends_as_failed(tmp_path: Path) -> None:
    with sandbox(tmp_path) as world, patched_daemon(START_FAILS, world, tmp_path) as process:
        assert process.ended() == 1
        assert process.output.endswith("pipetest: the work could not begin; the log says why\n")


def test_a_process_whose_work_fails_to_begin_once_it_answers_ends_as_failed_too(tmp_path: Path) -> None:
    with sandbox(tmp_path) as world, patched_daemon(START_FAILS_LATER, world, tmp_path) as process:
        assert process.ended() == 1
        assert "the daemon could not start" in process.output


def stop_twice(world: SandboxProcess, process: Process) -> None:
    """While Pipedrive holds back its reply to a create. After the first signal the daemon waits for it."""
    world.post("/faults", fault="held", **CREATES_OF_DEALS)
    world.post("/gists", user=world.users[0], id="a")
    until(lambda: world.injected("held"))
    process.signal(SIGTERM)
    process.line("a second signal ends it at once")
    process.signal(SIGTERM)


def test_a_second_signal_ends_it_at_once_and_there_is_one_deal_all_the_same(tmp_path: Path) -> None:
    with sandbox(tmp_path, "--gist-every", "0") as world:
        settings = settings_for(world)
        with daemon(tmp_path, **settings) as process:
            until(world.settled)
            stop_twice(world, process)
            assert process.ended() == SIGTERMED
            assert "Main loop terminated" not in process.output
        gists = json.loads((tmp_path / "db" / "db.json").read_bytes())["gists"].values()
        assert {row["deal"]["type"] for row in gists if row["gist"] == "a"} == {"sent"}
        with daemon(tmp_path, **settings) as process:
            process.line("gist a is in Pipedrive already")
            assert_once(world.state())
