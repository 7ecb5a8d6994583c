"""Several instances of the daemon on one database, and what is done to them while gists keep coming."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPException
from pathlib import Path
from random import Random
from re import MULTILINE, search
from threading import Event, Thread

from attrs import define, field

from pipetest.domain.model import Secret
from tests.support.daemon_process import daemon, settings_for, url_of
from tests.support.postgres.server import Server
from tests.support.processes import Process, ask, until
from tests.support.sandbox_process import SandboxProcess, sandbox
from tests.support.sandbox_state import assert_once

SETTLE_S = 2.0
TAKEOVER_S = 10.0
"""Within so long after a crash another instance scans."""

AT_ONCE_S = 3.0
"""After a clean stop another takes the lock at its next try, a second later at most; the rest is a slow machine's."""

ADMIN_TOKEN = "whoever_may_say_so"

SCANS = "this instance scans"


@define
class Fleet:
    """Instances of the daemon, each started again on the same port when it is gone."""

    world: SandboxProcess
    server: Server
    url: Secret
    folder: Path
    stack: ExitStack
    running: list[Process] = field(factory=list)
    roots: list[str] = field(factory=list)

    def start(self, listen: str = "tcp:0:interface=127.0.0.1") -> Process:
        settings = {
            **settings_for(self.world),
            "DATABASE_URL": self.url.reveal(),
            "SETTLE_TIME": str(SETTLE_S),
            "ADMIN_TOKEN": ADMIN_TOKEN,
            "LISTEN": listen,
        }
        return self.stack.enter_context(daemon(self.folder, **settings))

    def add(self) -> None:
        process = self.start()
        self.running.append(process)
        self.roots.append(url_of(process))

    def write(self, gists: int) -> None:
        self.world.write_gists(gists)

    def told(self, number: int) -> tuple[bool, str | None, float]:
        """What an instance says of who scans: whether it does itself, the name, and the metric."""
        leader = ask(f"{self.roots[number]}/status").json()["leader"]
        metric = search(r"^pipetest_leader ([0-9.]+)", ask(f"{self.roots[number]}/metrics").body.decode(), MULTILINE)
        assert metric
        return leader["here"], leader["name"], float(metric[1])

    def demand(self, number: int, what: str) -> None:
        """Ask an instance for something that whichever scans is to do."""
        answer = ask(f"{self.roots[number]}{what}", "POST", authorization=f"Bearer {ADMIN_TOKEN}")
        assert answer.status in (200, 202), answer

    def unfinished(self) -> int:
        with self.server.connect(self.url) as onlooker:
            (gists,) = onlooker.execute("SELECT count(*) FROM pipetest.gists WHERE state <> 'done'")
        return int(str(gists[0]))

    def all_is_done(self) -> bool:
        """Whether each gist is a deal, and the ledger knows it: nothing can be on its way any more."""
        return self.unfinished() == 0 and self.world.settled()

    def assert_once(self) -> None:
        """Wait until all is done, and see that nothing was done twice."""
        until(self.all_is_done)
        assert_once(self.world.state())

    def replace(self, number: int) -> None:
        port = self.roots[number].rpartition(":")[2]
        self.running[number] = process = self.start(f"tcp:{port}:interface=127.0.0.1")
        url_of(process)


@contextmanager
def fleet(server: Server, folder: Path, instances: int) -> Iterator[Fleet]:
    with ExitStack() as stack:
        world = stack.enter_context(sandbox(folder, "--gist-every", "0"))
        world.post("/settings", github={"without_token": 10**6, "points": 10**6}, pipedrive={"daily_tokens": None})
        all_of_it = Fleet(world, server, server.database(), folder, stack)
        for _ in range(instances):
            all_of_it.add()
        yield all_of_it


@define
class Visitor:
    """Asks whoever should answer, without a pause; ``failures`` are those who should have and did not."""

    roots: list[str]
    failures: list[str] = field(factory=list)
    asked: int = 0
    down: int | None = None
    _end: Event = field(factory=Event)

    def visit(self) -> None:
        number = 0
        while not self._end.wait(0.02):
            number = (number + 1) % len(self.roots)
            if number != self.down:
                self._ask(number)

    def _ask(self, number: int) -> None:
        try:
            answer = f"{ask(f'{self.roots[number]}/getGists?limit=5').status}"
        except (OSError, HTTPException) as e:
            answer = repr(e)
        self.asked += 1
        if answer != "200" and number != self.down:
            self.failures.append(f"instance {number}: {answer}")

    @contextmanager
    def visiting(self) -> Iterator[None]:
        thread = Thread(target=self.visit)
        thread.start()
        try:
            yield
        finally:
            self._end.set()
            thread.join()


def kill_at_random(server: Server, folder: Path, instances: int, kills: int) -> None:
    """Kill so many of so many instances, one after the other, while gists and visitors keep coming."""
    chance = Random(instances)
    with fleet(server, folder, instances) as running:
        visitor = Visitor(running.roots)
        with visitor.visiting():
            for _ in range(kills):
                running.write(chance.randint(1, 20))
                time.sleep(chance.uniform(0.2, 3.0))  # so much happens between two accidents
                victim = visitor.down = chance.randrange(instances)
                running.running[victim].kill()
                time.sleep(chance.uniform(0.0, 1.0))
                running.replace(victim)
                visitor.down = None
        running.assert_once()
        assert visitor.failures == []
        assert visitor.asked > kills


def freeze_the_leader(server: Server, folder: Path, times: int) -> None:
    """Freeze whoever scans in the midst of its work, until long after another has taken over."""
    with fleet(server, folder, 2) as running:
        leader = running.running[0]
        leader.line(SCANS)
        for _ in range(times):
            before = len(running.world.state()["deals"])
            running.write(20)
            until(lambda before=before: len(running.world.state()["deals"]) > before, every=0.0)  # type: ignore[misc]
            leader.signal(signal.SIGSTOP)
            (successor,) = {*running.running} - {leader}
            successor.line(SCANS, within=TAKEOVER_S)
            until(running.all_is_done)
            done = running.world.state()["deals"]
            leader.signal(signal.SIGCONT)
            leader.line("the lock is lost")
            time.sleep(SETTLE_S)
            assert running.world.state()["deals"] == done
            leader = successor
        running.assert_once()


def ask_who_does_not_scan(server: Server, folder: Path) -> None:
    """What people ask of the other instance is done by the one that scans."""
    with fleet(server, folder, 2) as running:
        leader = running.running[0]
        leader.line(SCANS)
        until(running.all_is_done)
        running.demand(1, "/pause")
        leader.line("creation is paused")
        done = running.world.state()["deals"]
        running.write(3)
        until(lambda: running.unfinished() == 3)
        running.demand(1, "/scan")
        leader.line("asked for: scan")
        assert running.world.state()["deals"] == done
        running.demand(1, "/resume")
        running.assert_once()


def takeover_s(server: Server, folder: Path, end: Callable[[Process], object]) -> float:
    """How long nobody scans once whoever scans was ended like this, in seconds."""
    with fleet(server, folder, 2) as running:
        first, second = running.running
        first.line(SCANS)
        until(lambda: running.told(1) == (False, running.told(0)[1], 0.0))
        assert running.told(0)[::2] == (True, 1.0)
        end(first)
        ended_at = time.monotonic()
        second.line(SCANS, within=TAKEOVER_S)
        taken = time.monotonic() - ended_at
        until(lambda: running.told(1)[::2] == (True, 1.0))
        return taken
