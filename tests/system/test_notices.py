"""A real daemon tells a real receiver of an error that lasts, and of its end, and shows nobody whom it tells."""

import signal
import sys
from pathlib import Path

from tests.support.daemon_process import settings_for
from tests.support.processes import Process, clean_environment, until
from tests.support.receiver import Receiver, serving
from tests.support.sandbox_process import sandbox

SECRET = "nobody-may-see-this"
SOONER = """
from pipetest.monitoring import notices
from twisted.scripts.twistd import run

notices.LASTS_S = 2.0
run()
"""
"""A daemon that tells of an error sooner than after two minutes."""


def test_an_error_that_lasts_and_its_end_are_told(tmp_path: Path) -> None:
    receiver = Receiver()
    key = tmp_path / "key"
    key.write_text("wrong")
    with sandbox(tmp_path, "--gist-every", "0") as world, serving(receiver) as at:
        settings = {name: value for name, value in settings_for(world).items() if name != "PIEPEDRIVE_API_KEY"}
        env = clean_environment(
            **settings, PIEPEDRIVE_API_KEY_FILE=str(key), NOTIFY=f"json://user:{SECRET}@{at}/", ADMIN_TOKEN="t" * 20
        )
        options = ("--nodaemon", "--pidfile=", "--logger=pipetest.runtime.logging.debug", "pipetest")
        with Process(sys.executable, "-c", SOONER, *options, env=env, cwd=tmp_path) as process:
            until(lambda: receiver.posts)
            key.write_text(world.key)
            process.signal(signal.SIGHUP)
            until(lambda: len(receiver.posts) > 1)
            process.stop()
    began, over = receiver.posts[:2]
    assert (began["type"], over["type"]) == ("failure", "success")
    assert "refuse" in began["message"]
    assert over["message"].startswith("Over after ")
    assert SECRET not in process.output
