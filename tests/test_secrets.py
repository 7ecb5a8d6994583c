"""No secret out: not in the log at any level, nor in an answer, nor in the process list, whatever goes wrong."""

import sys
from pathlib import Path

from pipetest.sandbox.faults import FAULTS
from tests.packaging.test_first_run import configured, root_of, settled
from tests.processes import Process, Sandbox, ask, clean_environment, sandbox, until

GITHUB_TOKEN = "ghp_nobody_may_see_this"
ADMIN_TOKEN = "admin_nobody_may_see_this"
HEARTBEAT = "ping_nobody_may_see_this"
PAGES = ("/", "/status", "/metrics", "/ready", "/openapi.json", "/getGists", "/nowhere")

AT_ONCE = [fault.name for fault in FAULTS.values() if not fault.delay and not fault.held]
GITHUB_FAULTS = [name for name in AT_ONCE if not name.endswith(("silent", "stalled"))]
PIPEDRIVE_FAULTS = ["400", "500", "applied-cut", "403-html"]  # the last one pauses creation


def chatty(folder: Path, world: Sandbox, **settings: str) -> Process:
    """The daemon, with all that only debugging needs in its log."""
    env = clean_environment(**configured(world), ADMIN_TOKEN=ADMIN_TOKEN, **settings)
    twistd = Path(sys.executable).with_name("twistd")
    return Process(twistd, "--nodaemon", "--pidfile=", "--logger=pipetest.logs.debug", "pipetest", env=env, cwd=folder)


def act_out(world: Sandbox, service: str, faults: list[str]) -> None:
    for fault in faults:
        world.order("/faults", fault=fault, service=service)
    until(lambda: set(faults) <= set(world.state()["faults"][service]))


def shown_by(process: Process) -> str:
    """All that it lets be seen by whoever asks."""
    root = root_of(process)
    answers = [ask(root + page) for page in PAGES]
    answers += [ask(f"{root}/scan", "POST", authorization=f"Bearer {token}") for token in (ADMIN_TOKEN, "wrong")]
    assert [answer.status for answer in answers[-2:]] == [202, 401]
    return Path(f"/proc/{process.pid}/cmdline").read_text() + "".join(str(answer) for answer in answers)


def test_a_run_full_of_faults_shows_no_secret(tmp_path: Path) -> None:
    with sandbox(tmp_path, "--gist-every", "0", "--latency", "0") as world:
        with chatty(tmp_path, world, HEARTBEAT_URL=f"{world.github}/{HEARTBEAT}") as process:
            shown = shown_by(process)
            until(lambda: settled(world))
            process.line("the heartbeat is not taken")
            act_out(world, "GitHub", GITHUB_FAULTS)
            for user in world.users:
                world.order("/gists", user=user)
            act_out(world, "Pipedrive", PIPEDRIVE_FAULTS)
            process.line("creation pauses")
            process.stop()
            shown += process.output
        with chatty(tmp_path, world, GITHUB_TOKEN=GITHUB_TOKEN) as process:
            shown += shown_by(process)
            process.line("GitHub cannot be read")
            process.stop()
            shown += process.output
    for secret in (world.key, GITHUB_TOKEN, ADMIN_TOKEN, HEARTBEAT):
        assert secret not in shown
