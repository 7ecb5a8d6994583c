"""The world of one trial: a sandbox process of its own, and users who write gists in it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.support.judge import Verdict, judge
from tests.support.processes import ask
from tests.support.sandbox_process import SandboxProcess, sandbox


class World:
    """Everything goes through the sandbox's control port, see :mod:`pipetest.sandbox.control`."""

    def __init__(self, process: SandboxProcess, users: Sequence[str]) -> None:
        self.github = process.github
        self.pipedrive = process.pipedrive
        self.key = process.key
        self.users = users
        self._process = process
        self._written = 0

    def write_gists(self, count: int) -> None:
        """The users write so many, in turn."""
        connection = HTTPConnection(urlsplit(self._process.control).netloc)
        for number in range(self._written, self._written + count):
            body = json.dumps({"user": self.users[number % len(self.users)]})
            connection.request("POST", "/gists", body)
            connection.getresponse().read()
        connection.close()
        self._written += count

    def fault(self, name: str, **which: object) -> None:
        self._process.post("/faults", fault=name, **which)

    def end_faults(self) -> None:
        ask(f"{self._process.control}/faults", "DELETE")

    def limit_burst(self, requests: int) -> None:
        """Pipedrive's limit of requests in two seconds."""
        self._process.post("/settings", pipedrive={"burst": requests})

    def state(self) -> Mapping[str, Any]:
        return self._process.state()

    def verdict(self) -> Verdict:
        return judge(self.state(), self.users)


@contextmanager
def world(folder: Path, users: int, latency: float, seed: int) -> Iterator[World]:
    """``latency``: the seconds that every answer takes."""
    options = ("--gist-every=0", f"--latency={latency}", f"--seed={seed}")
    with sandbox(folder, *options) as process:
        yield World(process, [f"user{number}" for number in range(users)])
