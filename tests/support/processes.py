"""Real processes for tests, started, watched and stopped as a person would, and requests to them.

Nothing here waits by guess. A test waits for a line of a process's output, for its end, or until a condition is true;
the limits only say when waiting has become hopeless.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from http.client import HTTPConnection
from pathlib import Path
from queue import Empty, SimpleQueue
from re import Match, search
from threading import Thread
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct

HOPELESS_S = 60.0
POLL_S = 0.05

SIGTERMED = -signal.SIGTERM
"""The exit status of a twistd that was stopped: it ends itself with the signal that it got."""

T = TypeVar("T")


def until(condition: Callable[[], T | None], within: float = HOPELESS_S, every: float = POLL_S) -> T:
    """Ask ``condition`` again until its answer is true, and return that answer."""
    deadline = time.monotonic() + within
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"still {answer!r} after {within:g} s"
        time.sleep(every)
    return answer


def clean_environment(**settings: str) -> dict[str, str]:
    """This process's environment with these settings of pipetest and no others."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PIPETEST_")}
    return own | {f"PIPETEST_{name}": value for name, value in settings.items()}


class Process(AbstractContextManager["Process"]):
    """A child process whose output (stdout and stderr together) is read as it comes.

    At the end of a ``with`` it is killed. An error that ends the ``with`` gets the process's output as a note.
    """

    def __init__(self, *argv: str | Path, env: Mapping[str, str], cwd: Path) -> None:
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._seen: list[str] = []
        self._popen = subprocess.Popen(
            argv,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def output(self) -> str:
        """All that was read so far."""
        return "".join(self._seen)

    def line(self, pattern: str, within: float = HOPELESS_S) -> Match[str]:
        """Wait for a line in which ``pattern`` is found, among those that no earlier call has read."""
        deadline = time.monotonic() + within
        while (line := self._next(deadline)) is not None:
            if found := search(pattern, line):
                return found
        raise AssertionError(f"no line with {pattern!r} came")

    def signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def ended(self, within: float = HOPELESS_S) -> int:
        """Wait for its end; the exit status, which is negative where a signal has ended it."""
        status = self._popen.wait(within)
        self._reader.join()
        return status

    def stop(self) -> int:
        """SIGTERM, and wait for the end."""
        self.signal(signal.SIGTERM)
        return self.ended()

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self._popen.kill()
        self.ended()

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()
        assert self._popen.stdout is not None
        self._popen.stdout.close()
        if e is not None:
            e.add_note(f"the output of process {self.pid} was:\n{self.output}")

    def _read(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            self._seen.append(line)
            self._lines.put(line)
        self._lines.put(None)

    def _next(self, deadline: float) -> str | None:
        try:
            return self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except Empty:
            return None


class Response(Struct, frozen=True):
    """A whole HTTP response. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def ask(url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Response:
    """One HTTP request on a connection of its own. In the names of ``headers``, ``_`` stands for ``-``."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=HOPELESS_S)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(
            method, target, body, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
        response = connection.getresponse()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Response(response.status, names, response.read())
    finally:
        connection.close()


def powerless() -> Sequence[str]:
    """A command that runs another without root's powers: root may write anywhere, whatever a file's permissions."""
    return ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()
