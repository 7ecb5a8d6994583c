"""No secret out: not in the log at any level, nor in an answer, nor in the process list, whatever goes wrong."""

import sys
from pathlib import Path

from pipetest.sandbox.faults import FAULTS
from tests.support.processes import Process, Sandbox, ask, clean_environment, sandbox, until
from tests.system.test_first_run import configured, root_of, settled

GITHUB_TOKEN = "ghp_nobody_may_see_this"
ADMIN_TOKEN = "admin_nobody_may_see_this"
HEARTBEAT = "ping_nobody_may_see_this"
PAGES = ("/", "/status", "/metrics", "/ready", "/openapi.json", "/getGists", "/nowhere")

TWISTD = str(Path(sys.executable).with_name("twistd"))
SOON_S = 0.1
IMPATIENT = """
from pipetest.http import exchange
from pipetest.domain import backoff
from pipetest.outbox import breaker_state
from twisted.scripts.twistd import run

exchange.TIMEOUT_S = 1.0
breaker_state.PROBE_FIRST_S = breaker_state.PROBE_LONGEST_S = breaker_state.LASTING_LONGEST_S = 0.1
backoff.backoff.__kwdefaults__ |= {"first": 0.1, "longest": 0.1}
run()
"""
"""A daemon that waits as long for an answer, or for another try, as a test likes to."""


def chatty(folder: Path, world: Sandbox, *program: str, **settings: str) -> Process:
    """The daemon, with all that only debugging needs in its log."""
    env = clean_environment(**configured(world), ADMIN_TOKEN=ADMIN_TOKEN, **settings)
    options = ("--nodaemon", "--pidfile=", "--logger=pipetest.runtime.logging.debug", "pipetest")
    return Process(*program, *options, env=env, cwd=folder)


def act_out_all_faults(world: Sandbox, service: str) -> None:
    """Of every kind one, while there are gists enough to be read and created."""
    for fault in FAULTS.values():
        times = {"delay": min(fault.delay, SOON_S), "applied": fault.applied_after and min(fault.applied_after, SOON_S)}
        shortened = {name: value for name, value in times.items() if value}
        world.order("/faults", fault=fault.name, service=service, **shortened)
    for _ in FAULTS:
        world.order("/gists", user=world.users[0])
    until(lambda: set(FAULTS) <= set(world.state()["faults"][service]))


def shown_by(process: Process) -> str:
    """All that it lets be seen by whoever asks."""
    root = root_of(process)
    answers = [ask(root + page) for page in PAGES]
    answers += [ask(f"{root}/scan", "POST", authorization=f"Bearer {token}") for token in (ADMIN_TOKEN, "wrong")]
    assert [answer.status for answer in answers[-2:]] == [202, 401]
    return Path(f"/proc/{process.pid}/cmdline").read_text() + "".join(str(answer) for answer in answers)


def test_a_run_full_of_faults_shows_no_secret(tmp_path: Path) -> None:
    with sandbox(tmp_path, "--gist-every", "0", "--latency", "0") as world:
        impatient = (sys.executable, "-c", IMPATIENT)
        with chatty(tmp_path, world, *impatient, HEARTBEAT_URL=f"{world.github}/{HEARTBEAT}") as process:
            shown = shown_by(process)
            until(lambda: settled(world))
            process.line("the heartbeat is not taken")
            act_out_all_faults(world, "GitHub")
            act_out_all_faults(world, "Pipedrive")
            process.line("creation goes on$")
            world.order("/faults", fault="403-html", service="Pipedrive")
            world.order("/gists", user=world.users[0])
            process.line("creation pauses")
            process.stop()
            shown += process.output
        with chatty(tmp_path, world, TWISTD, GITHUB_TOKEN=GITHUB_TOKEN) as process:
            shown += shown_by(process)
            process.line("GitHub cannot be read")
            process.stop()
            shown += process.output
    for secret in (world.key, GITHUB_TOKEN, ADMIN_TOKEN, HEARTBEAT):
        assert secret not in shown
