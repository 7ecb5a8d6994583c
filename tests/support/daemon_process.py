"""The daemon as a process of its own, as people start it."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.processes import Process, clean_environment
from tests.support.sandbox_process import SandboxProcess


def daemon(
    cwd: Path, *options: str, python: str | Path = sys.executable, before: Sequence[str] = (), **settings: str
) -> Process:
    """``twistd pipetest`` of the environment that ``python`` belongs to, in the foreground, with these settings.

    ``before`` is a command that runs it, see :func:`~tests.support.processes.powerless`.
    """
    twistd = Path(python).with_name("twistd")
    argv = (*before, str(twistd), "--nodaemon", "--pidfile=", "pipetest", *options)
    return Process(*argv, env=clean_environment(**settings), cwd=cwd)


def settings_for(sandbox: SandboxProcess) -> dict[str, str]:
    """The settings of a daemon that scans this sandbox every second, with its database in its working directory."""
    return {
        "GITHUB_URL": sandbox.github,
        "PIPEDRIVE_URL": sandbox.pipedrive,
        "PIEPEDRIVE_API_KEY": sandbox.key,
        "QUERIED_USERS": ",".join(sandbox.users),
        "QUERYING_INTERVAL": "0.02",
        "SETTLE_TIME": "1",
        "DATABASE_URL": "tinydb:db/db.json",
        "LISTEN": "tcp:0:interface=127.0.0.1",
    }


def url_of(process: Process) -> str:
    """Where a daemon on one port of 127.0.0.1 answers, once it does."""
    return f"http://127.0.0.1:{process.line(r'starting on ([0-9]+)')[1]}"


def patched_daemon(patch: str, world: SandboxProcess, cwd: Path) -> Process:
    """The daemon in a process in which something happens that no setting can make happen: ``patch`` runs first."""
    code = f"{patch}\nfrom twisted.scripts.twistd import run\nrun()"
    argv = (sys.executable, "-c", code, "--nodaemon", "--pidfile=", "pipetest")
    return Process(*argv, env=clean_environment(**settings_for(world)), cwd=cwd)
