"""How the real process ends when it is told to, also where something keeps it from ending."""

import sys
from pathlib import Path

from tests.packaging.test_first_run import SIGTERMED, configured
from tests.processes import Process, clean_environment, sandbox

TWISTD_ON_A_DISK_THAT_HANGS = """
import os, threading
from twisted.scripts.twistd import run

def hang(descriptor):
    if threading.current_thread() is not threading.main_thread():
        print("a write hangs", flush=True)
        threading.Event().wait()

os.fsync = hang
run()
"""


def test_a_write_that_hangs_keeps_no_process_from_ending(tmp_path: Path) -> None:
    with sandbox(tmp_path) as world:
        argv = (sys.executable, "-c", TWISTD_ON_A_DISK_THAT_HANGS, "--nodaemon", "--pidfile=", "pipetest")
        with Process(*argv, env=clean_environment(**configured(world)), cwd=tmp_path) as process:
            process.line("a write hangs")
            assert process.stop() == SIGTERMED
