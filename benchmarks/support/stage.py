"""What the benchmarks stand on: the services as a process of their own, and the real daemon against them."""

import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen

from tests.support.processes import Process, Sandbox, ask, clean_environment, daemon

ROOT = Path(__file__).parents[2]
TICKS = os.sysconf("SC_CLK_TCK")
LONGEST_S = 900.0
"""For one step of one benchmark: longer means that something is broken."""

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"


class MissingTool(Exception):
    """A benchmark needs a program that is not installed."""


def need(*tools: str) -> None:
    for tool in tools:
        if shutil.which(tool, path=PATH) is None:
            raise MissingTool(f"needs {tool} (Debian: apt-get install {tool})")


@frozen
class Services(Sandbox):
    """``progress`` is where :class:`benchmarks.support.services.Progress` answers."""

    progress: str

    def work(self) -> Any:
        return ask(self.progress).json()

    def settings(self, folder: Path, **settings: str) -> dict[str, str]:
        """For a daemon against these services, with its database in ``folder``."""
        return {
            "GITHUB_URL": self.github,
            "PIPEDRIVE_URL": self.pipedrive,
            "PIEPEDRIVE_API_KEY": self.key,
            "QUERIED_USERS": ",".join(self.users),
            "DATABASE_URL": f"tinydb:{folder / 'db.json'}",
            "LISTEN": "tcp:0:interface=127.0.0.1",
            "SETTLE_TIME": "1",
            **settings,
        }

    def run_daemon(self, folder: Path, **settings: str) -> Process:
        return daemon(folder, **self.settings(folder, **settings))


@contextmanager
def services(users: int, gists: int = 0, *, latency: float = 0.0, burst: int | None = None) -> Iterator[Services]:
    """GitHub with so many users of so many gists each, and an empty Pipedrive; ``latency`` is in seconds."""
    options = [f"--users={users}", f"--gists={gists}", f"--latency={latency}"]
    options += [] if burst is None else [f"--burst={burst}"]
    argv = (sys.executable, "-m", "benchmarks.support.services", *options)
    with Process(*argv, env=clean_environment(), cwd=ROOT) as process:
        yield Services(process, **json.loads(process.line(r"^\{", LONGEST_S).string))


def cpu_s(process: Process) -> float:
    """Processor time that it has taken so far, in seconds."""
    fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_mib(process: Process) -> float:
    """The most memory that it ever held."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+([0-9]+) kB", status)
    assert found
    return int(found[1]) / 1024


def one_at_a_time_s(url: str, requests: int = 40) -> float:
    """Seconds per request for a client that makes one request after the other, as the older service did."""
    connection = HTTPConnection(urlsplit(url).netloc)
    begun = time.perf_counter()
    for _ in range(requests):
        connection.request("GET", "/users/user0/gists?per_page=1", headers={"User-Agent": "benchmark"})
        connection.getresponse().read()
    taken = time.perf_counter() - begun
    connection.close()
    return taken / requests
