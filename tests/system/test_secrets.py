"""No secret is shown, whatever goes wrong: not in the log at any level, not in a response, not in the process list."""

import sys
from pathlib import Path

from pipetest.sandbox.faults import FAULTS
from tests.support.daemon_process import settings_for, url_of
from tests.support.processes import Process, ask, clean_environment, until
from tests.support.sandbox_process import SandboxProcess, sandbox

GITHUB_TOKEN = "ghp_nobody_may_see_this"
ADMIN_TOKEN = "admin_nobody_may_see_this"
HEARTBEAT = "ping_nobody_may_see_this"
PAGES = ("/", "/status", "/metrics", "/ready", "/openapi.json", "/getGists", "/nowhere")

TWISTD = str(Path(sys.executable).with_name("twistd"))
SOON_S = 0.1
IMPATIENT = """
from pipetest.http import exchange
from pipetest.domain import backoff
from pipetest.monitoring import health
from pipetest.outbox import pause
from twisted.scripts.twistd import run

exchange.TIMEOUT_S = 1.0
health.CHECK_EVERY_S = 0.1
pause.PROBE_FIRST_S = pause.PROBE_LONGEST_S = pause.LASTING_LONGEST_S = 0.1
backoff.backoff.__kwdefaults__ |= {"first": 0.1, "longest": 0.1}
run()
"""
"""A daemon that waits for replies, and between attempts, no longer than a test can."""


def logging_everything(folder: Path, world: SandboxProcess, *program: str, **settings: str) -> Process:
    """The daemon; its log holds what only debugging needs, too."""
    env = clean_environment(**settings_for(world), ADMIN_TOKEN=ADMIN_TOKEN, **settings)
    options = ("--nodaemon", "--pidfile=", "--logger=pipetest.runtime.logging.debug", "pipetest")
    return Process(*program, *options, env=env, cwd=folder)


def inject_all_faults(world: SandboxProcess, service: str) -> None:
    """Each fault meets one request; there are gists enough to read and to create for that."""
    for fault in FAULTS.values():
        times = {"delay": min(fault.delay, SOON_S), "applied": fault.applied_after and min(fault.applied_after, SOON_S)}
        shortened = {name: value for name, value in times.items() if value}
        world.post("/faults", fault=fault.name, service=service, **shortened)
    for _ in FAULTS:
        world.post("/gists", user=world.users[0])
    until(lambda: set(FAULTS) <= set(world.state()["faults"][service]))


def shown_by(process: Process) -> str:
    """All that it shows to whoever asks."""
    url = url_of(process)
    responses = [ask(url + page) for page in PAGES]
    responses += [ask(f"{url}/scan", "POST", authorization=f"Bearer {token}") for token in (ADMIN_TOKEN, "wrong")]
    assert [response.status for response in responses[-2:]] == [202, 401]
    return Path(f"/proc/{process.pid}/cmdline").read_text() + "".join(map(str, responses))


def test_a_run_full_of_faults_shows_no_secret(tmp_path: Path) -> None:
    with sandbox(tmp_path, "--gist-every", "0", "--latency", "0") as world:
        impatient = (sys.executable, "-c", IMPATIENT)
        with logging_everything(tmp_path, world, *impatient, HEARTBEAT_URL=f"{world.github}/{HEARTBEAT}") as process:
            shown = shown_by(process)
            until(world.settled)
            process.line("the heartbeat request failed")
            inject_all_faults(world, "GitHub")
            inject_all_faults(world, "Pipedrive")
            world.post("/faults", fault="403-html", service="Pipedrive", times=40)
            world.post("/gists", user=world.users[0])
            process.line("Pipedrive refuses to create deals")
            process.stop()
            shown += process.output
        with logging_everything(tmp_path, world, TWISTD, GITHUB_TOKEN=GITHUB_TOKEN) as process:
            shown += shown_by(process)
            process.line("refuses the token")
            process.stop()
            shown += process.output
    for secret in (world.key, GITHUB_TOKEN, ADMIN_TOKEN, HEARTBEAT):
        assert secret not in shown
