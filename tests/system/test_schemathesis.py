"""Schemathesis against the real process: requests that its description allows, and requests that it does not."""

import subprocess
import sys
from pathlib import Path

from tests.support.daemon_process import daemon, settings_for, url_of
from tests.support.processes import until
from tests.support.sandbox_process import sandbox

TOKEN = "open-to-the-fuzzer"
LONGEST_S = 120.0
ENDLESS = "/events"


def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    with (
        sandbox(tmp_path, "--gist-every", "0", "--latency", "0") as world,
        daemon(tmp_path, **settings_for(world), ADMIN_TOKEN=TOKEN) as process,
    ):
        description = f"{url_of(process)}/openapi.json"
        until(world.settled)
        command = (Path(sys.executable).with_name("schemathesis"), "run", description)
        options = ("--checks=all", "--generation-deterministic", "--warnings=off", "--no-color", "--max-examples=10")
        run = subprocess.run(
            [*command, *options, f"--exclude-path={ENDLESS}", f"--header=Authorization: Bearer {TOKEN}"],
            cwd=tmp_path, capture_output=True, text=True, timeout=LONGEST_S, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stdout + run.stderr
        assert "No issues found" in run.stdout
        assert "Traceback" not in process.output
