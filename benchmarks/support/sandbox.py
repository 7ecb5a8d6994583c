"""GitHub and Pipedrive as a process of their own, and daemons that use them."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipetest.domain.model import Gist, PassResult
from tests.support.daemon_process import daemon
from tests.support.processes import Process, ask, clean_environment
from tests.support.sandbox_process import SandboxProcess

ROOT = Path(__file__).parents[2]
LONGEST_S = 900.0
"""For one step of one benchmark: if it takes longer, something is broken."""

SCAN_ONCE = "43200"
"""Minutes between two scans, the most there may be: there is only the one at the start."""


class BenchmarkSandbox(SandboxProcess, frozen=True):
    """``progress`` is where :class:`benchmarks.support.sandbox_server.Progress` answers."""

    progress: str

    @property
    def roots(self) -> dict[str, str]:
        """What a database remembers of them."""
        return {"GitHub": self.github, "Pipedrive": self.pipedrive}

    def created(self) -> Any:
        """What Pipedrive has created so far, and when."""
        return ask(self.progress).json()

    def asked_of_github(self) -> int:
        """How many requests so far."""
        return sum(self.state()["calls"]["GitHub"].values())

    def settings(self, folder: Path, **settings: str) -> dict[str, str]:
        """Of a daemon that uses these services and has its database in ``folder``."""
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

    def pass_results(self) -> list[PassResult]:
        """What a first pass over each user's list would find now."""
        connection = HTTPConnection(urlsplit(self.github).netloc)
        results = []
        for user in self.users:
            connection.request("GET", f"/users/{user}/gists?per_page=100", headers={"User-Agent": "benchmark"})
            response = connection.getresponse()
            listed = json.loads(response.read())
            gists = [Gist(gist["id"], datetime.fromisoformat(gist["created_at"]).timestamp()) for gist in listed]
            results.append(PassResult(user, listed[0]["owner"]["id"], response.headers["ETag"], gists, time.time()))
        connection.close()
        return results


@contextmanager
def run_sandbox(
    users: int, gists: int = 0, *, deals: int = 0, latency: float = 0.0, burst: int | None = None
) -> Iterator[BenchmarkSandbox]:
    """A GitHub with so many users of so many gists each, and a Pipedrive with so many deals of each; ``latency`` is in
    seconds."""
    options = [f"--users={users}", f"--gists={gists}", f"--deals={deals}", f"--latency={latency}"]
    options += [] if burst is None else [f"--burst={burst}"]
    with helper("sandbox_server", *options) as process:
        yield BenchmarkSandbox(process, **json.loads(process.line(r"^\{", LONGEST_S).string))


def helper(module: str, *arguments: str, **settings: str) -> Process:
    """``python -m benchmarks.support.<module>``, with these settings of pipetest."""
    argv = (sys.executable, "-m", f"benchmarks.support.{module}", *arguments)
    return Process(*argv, env=clean_environment(**settings), cwd=ROOT)
