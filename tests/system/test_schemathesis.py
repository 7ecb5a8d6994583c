"""Schemathesis against the live process: what it makes of the description, and of what that does not allow."""

import subprocess
import sys
from pathlib import Path

from tests.support.processes import daemon, sandbox, until
from tests.system.test_first_run import configured, root_of, settled

TOKEN = "open"
LONGEST_S = 120.0
ENDLESS = "/events"


def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    with (
        sandbox(tmp_path, "--gist-every", "0", "--latency", "0") as world,
        daemon(tmp_path, **configured(world), ADMIN_TOKEN=TOKEN) as process,
    ):
        description = f"{root_of(process)}/openapi.json"
        until(lambda: settled(world))
        command = (Path(sys.executable).with_name("schemathesis"), "run", description)
        options = ("--checks=all", "--generation-deterministic", "--warnings=off", "--no-color", "--max-examples=10")
        run = subprocess.run(
            [*command, *options, f"--exclude-path={ENDLESS}", f"--header=Authorization: Bearer {TOKEN}"],
            cwd=tmp_path, capture_output=True, text=True, timeout=LONGEST_S, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stdout + run.stderr
        assert "No issues found" in run.stdout
        assert "Traceback" not in process.output
