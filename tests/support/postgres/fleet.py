"""Several instances of the daemon on one database, as processes, with a sandbox of their own."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPException
from pathlib import Path
from re import MULTILINE, search
from threading import Event, Thread

from pipetest.domain.model import Secret
from tests.support.daemon_process import daemon, settings_for, url_of
from tests.support.postgres.server import Server
from tests.support.processes import Process, ask, until
from tests.support.sandbox_process import SandboxProcess, sandbox
from tests.support.sandbox_state import assert_once

SETTLE_S = 2.0

ADMIN_TOKEN = "whoever_may_say_so"


class Fleet:
    """``instances`` are numbered from 0; one that was killed is replaced by another on the same port."""

    def __init__(self, sandbox: SandboxProcess, server: Server, url: Secret, folder: Path, stack: ExitStack) -> None:
        self.sandbox = sandbox
        self.instances: list[Process] = []
        self.urls: list[str] = []
        self._server = server
        self._url = url
        self._folder = folder
        self._stack = stack

    def add(self) -> None:
        process = self._start("tcp:0:interface=127.0.0.1")
        self.instances.append(process)
        self.urls.append(url_of(process))

    def kill(self, number: int) -> None:
        self.instances[number].kill()

    def replace(self, number: int) -> None:
        port = self.urls[number].rpartition(":")[2]
        self.instances[number] = process = self._start(f"tcp:{port}:interface=127.0.0.1")
        url_of(process)

    def _start(self, listen: str) -> Process:
        settings = {
            **settings_for(self.sandbox),
            "DATABASE_URL": self._url.reveal(),
            "SETTLE_TIME": str(SETTLE_S),
            "ADMIN_TOKEN": ADMIN_TOKEN,
            "LISTEN": listen,
        }
        return self._stack.enter_context(daemon(self._folder, **settings))

    def leader(self, number: int) -> tuple[bool, str | None, float]:
        """Who leads, as this instance has it: whether it does itself, the leader's name, and its own metric."""
        leader = ask(f"{self.urls[number]}/status").json()["leader"]
        metric = search(r"^pipetest_leader ([0-9.]+)", ask(f"{self.urls[number]}/metrics").body.decode(), MULTILINE)
        assert metric
        return leader["here"], leader["name"], float(metric[1])

    def command(self, number: int, path: str) -> None:
        """Send this instance a command for the leader."""
        answer = ask(f"{self.urls[number]}{path}", "POST", authorization=f"Bearer {ADMIN_TOKEN}")
        assert answer.status in (200, 202), answer

    def deals(self) -> list[dict[str, object]]:
        """Those that the sandbox holds."""
        deals: list[dict[str, object]] = self.sandbox.state()["deals"]
        return deals

    def open_entries(self) -> int:
        with self._server.connect(self._url) as onlooker:
            (gists,) = onlooker.execute("SELECT count(*) FROM pipetest.gists WHERE state <> 'done'")
        return int(str(gists[0]))

    def all_is_done(self) -> bool:
        """Whether each gist is a deal, and stored as done: no create can be on its way any more."""
        return self.open_entries() == 0 and self.sandbox.settled()

    def assert_once(self) -> None:
        """Wait until all is done, and see that nothing was done twice."""
        until(self.all_is_done)
        assert_once(self.sandbox.state())


@contextmanager
def fleet(server: Server, folder: Path, instances: int) -> Iterator[Fleet]:
    with ExitStack() as stack:
        world = stack.enter_context(sandbox(folder, "--gist-every", "0"))
        world.post("/settings", github={"without_token": 10**6, "points": 10**6}, pipedrive={"daily_tokens": None})
        running = Fleet(world, server, server.database(), folder, stack)
        for _ in range(instances):
            running.add()
        yield running


class Visitor:
    """Asks one instance after the other, without a pause. ``failures`` are the answers other than 200 of instances
    that should have answered; ``visits``: how often it has asked."""

    def __init__(self, urls: list[str]) -> None:
        self.failures: list[str] = []
        self.visits = 0
        self._urls = urls
        self._down: int | None = None
        self._end = Event()

    @contextmanager
    def visiting(self) -> Iterator[None]:
        thread = Thread(target=self._visit_all)
        thread.start()
        try:
            yield
        finally:
            self._end.set()
            thread.join()

    @contextmanager
    def avoiding(self, number: int) -> Iterator[None]:
        """Meanwhile this instance need not answer."""
        self._down = number
        yield
        self._down = None

    def _visit_all(self) -> None:
        number = 0
        while not self._end.wait(0.02):
            number = (number + 1) % len(self._urls)
            if number != self._down:
                self._visit(number)

    def _visit(self, number: int) -> None:
        try:
            answer = f"{ask(f'{self._urls[number]}/getGists?limit=5').status}"
        except (OSError, HTTPException) as e:
            answer = repr(e)
        self.visits += 1
        if answer != "200" and number != self._down:
            self.failures.append(f"instance {number}: {answer}")
