"""What is done to a fleet while gists keep coming: the leader is killed, frozen or stopped."""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.support.postgres.fleet import SETTLE_S, Visitor, fleet
from tests.support.postgres.server import Server
from tests.support.processes import Process, until

TAKEOVER_S = 10.0
"""A crashed leader is replaced within this time."""

AT_ONCE_S = 3.0
"""After a clean stop another acquires the lease at its next try, a second later at most; the rest is for a slow
machine."""

LEADS = "this instance scans"


def kill_at_random(server: Server, folder: Path, instances: int, kills: int) -> None:
    """Kill so many of so many instances, one after the other, while gists and visitors keep coming."""
    random = Random(instances)
    with fleet(server, folder, instances) as running:
        visitor = Visitor(running.urls)
        with visitor.visiting():
            for _ in range(kills):
                running.sandbox.write_gists(random.randint(1, 20))
                time.sleep(random.uniform(0.2, 3.0))  # what happens between two kills differs each time
                victim = random.randrange(instances)
                with visitor.avoiding(victim):
                    running.kill(victim)
                    time.sleep(random.uniform(0.0, 1.0))
                    running.replace(victim)
        running.assert_once()
        assert visitor.failures == []
        assert visitor.visits > kills


def freeze_the_leader(server: Server, folder: Path, times: int) -> None:
    """Freeze the leader in the midst of its work, until long after another has taken over."""
    with fleet(server, folder, 2) as running:
        leader = running.instances[0]
        leader.line(LEADS)
        for _ in range(times):
            before = len(running.deals())
            running.sandbox.write_gists(20)
            until(lambda before=before: len(running.deals()) > before, every=0.0)  # type: ignore[misc]
            leader.signal(signal.SIGSTOP)
            (successor,) = {*running.instances} - {leader}
            successor.line(LEADS, within=TAKEOVER_S)
            until(running.all_is_done)
            done = running.deals()
            leader.signal(signal.SIGCONT)
            leader.line("the lease is lost")
            time.sleep(SETTLE_S)  # in which it would create, if it still did
            assert running.deals() == done
            leader = successor
        running.assert_once()


def command_a_follower(server: Server, folder: Path) -> None:
    """The leader carries out what another instance is asked for."""
    with fleet(server, folder, 2) as running:
        leader = running.instances[0]
        leader.line(LEADS)
        until(running.all_is_done)
        running.command(1, "/pause")
        leader.line("creation is paused")
        done = running.deals()
        running.sandbox.write_gists(3)
        until(lambda: running.open_entries() == 3)
        running.command(1, "/scan")
        leader.line("asked for: scan")
        assert running.deals() == done
        running.command(1, "/resume")
        running.assert_once()


def takeover_s(server: Server, folder: Path, end: Callable[[Process], object]) -> float:
    """How long nobody leads once the leader was ended like this, in seconds."""
    with fleet(server, folder, 2) as running:
        first, second = running.instances
        first.line(LEADS)
        until(lambda: running.leader(1) == (False, running.leader(0)[1], 0.0))
        assert running.leader(0)[::2] == (True, 1.0)
        end(first)
        ended_at = time.monotonic()
        second.line(LEADS, within=TAKEOVER_S)
        took = time.monotonic() - ended_at
        until(lambda: running.leader(1)[::2] == (True, 1.0))
        return took
