"""Containers of the image, on whatever Docker engine runs; one of them is the sandbox."""

import json
import os
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from tests.support.processes import until
from tests.support.sandbox_state import all_are_deals

ROOT = Path(__file__).parents[3]
IMAGE = "pipetest"
URL = "http://127.0.0.1:8080"
LOCKED_UP = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges")

GET = "import sys, urllib.request as r; sys.stdout.buffer.write(r.urlopen(sys.argv[1]).read())"


def docker(*argv: str | Path, check: bool = True) -> str:
    """Run ``docker``, or what ``$DOCKER`` names, to its end; its output, stderr included."""
    command = shlex.split(os.environ.get("DOCKER", "docker"))
    environ = os.environ | {"DOCKER_BUILDKIT": "1"}
    done = subprocess.run(
        [*command, *argv],
        cwd=ROOT,
        env=environ,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert not check or done.returncode == 0, done.stdout
    return done.stdout.strip()


@cache
def network() -> Sequence[str]:
    """The options that ``build`` and ``run`` need on an engine without a bridge network."""
    names = docker("network", "ls", "--format={{.Name}}").split()
    return [] if "bridge" in names else ["--network=host"]


def build() -> float:
    """Build the image; how many seconds that took."""
    try:
        docker("version")
    except (AssertionError, FileNotFoundError) as e:
        pytest.exit(f"No Docker engine answers; start one, or say where it is with DOCKER and DOCKER_HOST.\n{e}", 1)
    began = time.monotonic()
    docker("build", *network(), "-t", IMAGE, ".")
    return time.monotonic() - began


class Container(Struct, frozen=True):
    name: str

    def inspect(self, template: str) -> str:
        return docker("inspect", f"--format={template}", self.name)

    @property
    def log(self) -> str:
        return docker("logs", self.name)

    def healthy(self) -> bool:
        assert self.inspect("{{.State.Running}}") == "true", self.log
        return self.inspect("{{.State.Health.Status}}") == "healthy"

    def stop(self) -> tuple[float, int]:
        """``docker stop``: how many seconds it took, and the exit status (137 if it had to be killed)."""
        began = time.monotonic()
        docker("stop", self.name)
        return time.monotonic() - began, int(self.inspect("{{.State.ExitCode}}"))

    def get(self, url: str) -> Any:
        """The JSON at a URL as the container sees it."""
        return json.loads(docker("exec", self.name, "python", "-c", GET, url))


@contextmanager
def running(name: str, *argv: str | Path) -> Iterator[Container]:
    """``docker run --detach`` with these options, image and arguments. At the end of the ``with`` it is removed."""
    docker("rm", "--force", name, check=False)
    docker("run", "--detach", "--name", name, *argv)
    try:
        yield Container(name)
    except BaseException as e:
        e.add_note(f"the log of {name}:\n{docker('logs', name, check=False)}")
        raise
    finally:
        docker("rm", "--force", "--volumes", name)


class SandboxContainer(Struct, frozen=True):
    """The sandbox in a container, and the JSON that it printed. Other containers share its network, so that they reach
    its services on loopback."""

    container: Container
    printed: Mapping[str, Any]

    @property
    def network(self) -> Sequence[str]:
        return network() or [f"--network=container:{self.container.name}"]

    @property
    def settings(self) -> Sequence[str]:
        """The options of ``docker run`` for a daemon that uses it."""
        values = {
            "PIPETEST_GITHUB_URL": self.printed["github"],
            "PIPETEST_PIPEDRIVE_URL": self.printed["pipedrive"],
            "PIPETEST_QUERIED_USERS": ",".join(self.printed["users"]),
            "PIPETEST_QUERYING_INTERVAL": "0.02",
            "PIPETEST_SETTLE_TIME": "1",
        }
        return [f"--env={name}={value}" for name, value in values.items()]

    def state(self) -> dict[str, Any]:
        state = self.container.get(f"{self.printed['control']}/state")
        assert isinstance(state, dict)
        return state

    def post(self, path: str, /, **body: object) -> None:
        """Send this to its control port, see :mod:`pipetest.sandbox.control`."""
        post = "import sys, urllib.request as r; r.urlopen(r.Request(sys.argv[1], sys.argv[2].encode(), method='POST'))"
        docker("exec", self.container.name, "python", "-c", post, f"{self.printed['control']}{path}", json.dumps(body))

    def settled(self) -> bool:
        return all_are_deals(self.state())


@contextmanager
def sandbox() -> Iterator[SandboxContainer]:
    publish = network() or ["--publish=127.0.0.1:8080:8080"]
    serve = ("--entrypoint=python", IMAGE, "-m", "pipetest.sandbox", "--gist-every", "0", "--latency", "0")
    with running("pipetest-sandbox", *publish, *LOCKED_UP, *serve) as container:
        line = until(lambda: next((line for line in container.log.splitlines() if line.startswith("{")), ""))
        yield SandboxContainer(container, json.loads(line))
