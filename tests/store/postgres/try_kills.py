"""Several instances on one database, killed or frozen at random while gists keep coming: ``make failover-test``."""

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPException
from pathlib import Path
from random import Random
from threading import Event, Thread

import pytest
from attrs import define, field

from pipetest.model import Secret
from tests.packaging.test_first_run import assert_once, configured, root_of, settled
from tests.processes import Process, Sandbox, ask, daemon, sandbox, until
from tests.store.postgres.server import Server

KILLS = 25
SETTLE_S = 2.0
TAKEOVER_S = 10.0


@define
class Fleet:
    """Instances of the daemon, each started again on the same port when it is gone."""

    world: Sandbox
    url: Secret
    folder: Path
    stack: ExitStack
    running: list[Process] = field(factory=list)
    roots: list[str] = field(factory=list)

    def start(self, listen: str = "tcp:0:interface=127.0.0.1") -> Process:
        settings = {
            **configured(self.world),
            "DATABASE_URL": self.url.reveal(),
            "SETTLE_TIME": str(SETTLE_S),
            "LISTEN": listen,
        }
        return self.stack.enter_context(daemon(self.folder, **settings))

    def add(self) -> None:
        process = self.start()
        self.running.append(process)
        self.roots.append(root_of(process))

    def write(self, gists: int) -> None:
        for number in range(gists):
            self.world.order("/gists", user=self.world.users[number % len(self.world.users)])

    def replace(self, number: int) -> None:
        port = self.roots[number].rpartition(":")[2]
        self.running[number] = process = self.start(f"tcp:{port}:interface=127.0.0.1")
        root_of(process)


@contextmanager
def fleet(server: Server, folder: Path, instances: int) -> Iterator[Fleet]:
    with ExitStack() as stack:
        world = stack.enter_context(sandbox(folder, "--gist-every", "0"))
        world.order("/settings", github={"without_token": 10**6, "points": 10**6}, pipedrive={"daily_tokens": None})
        all_of_it = Fleet(world, server.database(), folder, stack)
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


@pytest.mark.parametrize("instances", [2, 3])
def test_instances_killed_at_random_make_no_gist_twice_and_miss_none(
    server_of_all: Server, tmp_path: Path, instances: int
) -> None:
    chance = Random(instances)
    with fleet(server_of_all, tmp_path, instances) as running:
        visitor = Visitor(running.roots)
        with visitor.visiting():
            for _ in range(KILLS):
                running.write(chance.randint(1, 20))
                time.sleep(chance.uniform(0.2, 3.0))  # so much happens between two accidents
                victim = chance.randrange(instances)
                visitor.down = victim
                running.running[victim].kill()
                time.sleep(chance.uniform(0.0, 1.0))
                running.replace(victim)
                visitor.down = None
        assert_once(until(lambda: settled(running.world)))
        assert visitor.failures == []
        assert visitor.asked > KILLS


def test_a_frozen_instance_is_deposed_and_creates_nothing_once_thawed(server_of_all: Server, tmp_path: Path) -> None:
    with fleet(server_of_all, tmp_path, 2) as running:
        leader = running.running[0]
        leader.line("this instance scans")
        for _ in range(3):
            running.write(20)
            leader.signal(signal.SIGSTOP)
            (successor,) = {*running.running} - {leader}
            successor.line("this instance scans", within=TAKEOVER_S)
            time.sleep(SETTLE_S)
            leader.signal(signal.SIGCONT)
            leader.line("the lock is lost")
            leader = successor
        assert_once(until(lambda: settled(running.world)))
