"""Real processes for tests: the daemon and the sandbox, started, watched and stopped as a person would.

Nothing here waits by guess. A test waits for a line of a process's output, for its end, or until a condition holds;
the limits only say when waiting has become hopeless.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from queue import Empty, SimpleQueue
from re import Match, search
from threading import Thread
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlsplit

from attrs import frozen

HOPELESS_S = 60.0
LOOK_EVERY_S = 0.05

T = TypeVar("T")


def until(condition: Callable[[], T | None], within: float = HOPELESS_S, every: float = LOOK_EVERY_S) -> T:
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

    Leaving it kills it, and tells its output with the error that was the reason.
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
        """What was read so far."""
        return "".join(self._seen)

    def line(self, pattern: str, within: float = HOPELESS_S) -> Match[str]:
        """Wait for the next line in which ``pattern`` is found; each line is looked at once."""
        deadline = time.monotonic() + within
        while (line := self._next(deadline)) is not None:
            if found := search(pattern, line):
                return found
        raise AssertionError(f"no line with {pattern!r} came")

    def signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def ended(self, within: float = HOPELESS_S) -> int:
        """Wait for its end; the exit status, negative for a signal that killed it."""
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


@frozen
class Answer:
    """A whole HTTP answer; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def ask(url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
    """One HTTP request on a connection of its own; ``headers`` are written with ``_`` for ``-``."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=HOPELESS_S)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(
            method, target, body, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
        response = connection.getresponse()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, names, response.read())
    finally:
        connection.close()


@frozen
class Sandbox:
    """The sandbox as a process of its own; what it said when it began to serve: roots, Pipedrive's key, its users."""

    process: Process
    github: str
    pipedrive: str
    control: str
    key: str
    users: Sequence[str]

    def state(self) -> Any:
        """Everything that its GitHub and its Pipedrive hold."""
        return ask(f"{self.control}/state").json()

    def order(self, path: str, /, **order: object) -> Any:
        """Ask its control port for something, see :mod:`pipetest.sandbox.control`."""
        answer = ask(f"{self.control}{path}", "POST", json.dumps(order).encode())
        assert answer.status == HTTPStatus.OK, answer
        return answer.json()


@contextmanager
def sandbox(cwd: Path, *options: str, python: str | Path = sys.executable) -> Iterator[Sandbox]:
    """Run ``python -m pipetest.sandbox``, and wait until it serves."""
    with Process(python, "-m", "pipetest.sandbox", *options, env=clean_environment(), cwd=cwd) as process:
        yield Sandbox(process, **json.loads(process.line(r"^\{").string))


def daemon(
    cwd: Path, *options: str, python: str | Path = sys.executable, before: Sequence[str] = (), **settings: str
) -> Process:
    """``twistd pipetest`` of the environment that ``python`` belongs to, in the foreground, with these settings.

    ``before`` is a command that runs it, see :func:`powerless`.
    """
    twistd = Path(python).with_name("twistd")
    argv = (*before, str(twistd), "--nodaemon", "--pidfile=", "pipetest", *options)
    return Process(*argv, env=clean_environment(**settings), cwd=cwd)


def powerless() -> Sequence[str]:
    """Root may write anywhere; what this command runs keeps to the permissions of files, as everybody else does."""
    return ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()
