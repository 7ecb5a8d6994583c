"""The sandbox as a process of its own."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from msgspec import Struct

from tests.support.processes import Process, ask, clean_environment
from tests.support.sandbox_state import all_are_deals

CREATES_OF_DEALS = {"service": "Pipedrive", "method": "POST", "path": "/api/v2/deals"}
"""For ``post("/faults", …)``: the requests that meet the fault."""


class SandboxProcess(Struct, frozen=True):
    """Its process, and what it printed when it began to serve: URLs, Pipedrive's key, and the users of its GitHub."""

    process: Process
    github: str
    pipedrive: str
    control: str
    key: str
    users: Sequence[str]

    def state(self) -> dict[str, Any]:
        """All that its GitHub and its Pipedrive hold."""
        state = ask(f"{self.control}/state").json()
        assert isinstance(state, dict)
        return state

    def post(self, path: str, /, **body: object) -> Any:
        """Send this to its control port, see :mod:`pipetest.sandbox.control`."""
        response = ask(f"{self.control}{path}", "POST", json.dumps(body).encode())
        assert response.status == HTTPStatus.OK, response
        return response.json()

    def write_gists(self, count: int) -> None:
        """Its users write so many gists, in turn."""
        for number in range(count):
            self.post("/gists", user=self.users[number % len(self.users)])

    def settled(self) -> bool:
        return all_are_deals(self.state())

    def injected(self, fault: str, service: str = "Pipedrive") -> int:
        """How many requests have met this fault."""
        return int(self.state()["faults"][service].get(fault, 0))


@contextmanager
def sandbox(cwd: Path, *options: str, python: str | Path = sys.executable) -> Iterator[SandboxProcess]:
    """Run ``python -m pipetest.sandbox``, and wait until it serves."""
    with Process(python, "-m", "pipetest.sandbox", *options, env=clean_environment(), cwd=cwd) as process:
        yield SandboxProcess(process, **json.loads(process.line(r"^\{").string))
