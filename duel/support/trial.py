"""One contestant in one world, with a folder for all that it keeps."""

import shutil
import time
from pathlib import Path
from random import Random
from threading import Event

from msgspec.structs import replace

from benchmarks.support.judge import Verdict
from duel.contestants import Contestant, Setup
from duel.support.supervised import POLL_S, Supervised, Usage
from duel.support.world import World
from tests.support.processes import HOPELESS_S

WATCH_S = 0.1
WATCH_LIFE_S = 0.02

STALLED_S = 180.0
STALLED_RUNS = 2
"""What has not changed for so long will not change any more; nor what such a number of whole runs, if it is run again
and again, has not changed. On a busy machine some tools take a minute to start."""

STOPPED = Event()
"""Set when all trials are to end at once."""

LINGER_S = 4.0
"""For so long a contestant that is done goes on, in case that it makes something twice even then."""


class Trial:
    def __init__(self, contestant: Contestant, world: World, folder: Path, random: Random) -> None:
        self.world = world
        self.random = random
        self._state = folder / "state"
        self._backup = folder / "backup"
        self._state.mkdir()
        self._setup = Setup(
            world.github, world.pipedrive, world.key, world.users, self._state, contestant.open_database()
        )
        self._contestant = contestant
        self._supervised = self._installed()

    def _installed(self) -> Supervised:
        return Supervised(*self._contestant.install(self._setup), self._state)

    @property
    def usage(self) -> Usage:
        return self._supervised.usage

    def start(self) -> None:
        self._supervised.start()

    def stop(self) -> None:
        self._supervised.stop()

    def limit_burst(self, requests: int) -> None:
        """A limit that its people know of, and may set it to."""
        self.world.limit_burst(requests)
        self._setup = replace(self._setup, burst=requests)
        self._supervised = self._installed()

    def run_for(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if STOPPED.is_set():
                raise KeyboardInterrupt
            self._supervised.tend()
            time.sleep(POLL_S)

    def run_until_done(self, within: float) -> Verdict:
        """Until every gist is a deal, or nothing changes any more, or the time is up."""
        deadline = time.monotonic() + within
        before, stalled_at, stalled_starts = Verdict(), 0.0, 0
        while (now := time.monotonic()) < deadline:
            verdict, starts = self.world.verdict(), self._supervised.starts
            if verdict != before:
                before, stalled_at, stalled_starts = verdict, now + STALLED_S, starts + 1 + STALLED_RUNS
            is_stalled = now > stalled_at and (self._contestant.is_daemon or starts >= stalled_starts)
            if verdict.missing == 0 or is_stalled:
                return verdict
            self.run_for(WATCH_S)
        return self.world.verdict()

    def live(self, seconds: float, *, after_a_deal: bool = False) -> None:
        """A life that ends with SIGKILL so long after its start, or after the first deal that it makes. What ends by
        itself meanwhile is started again at once."""
        before, deadline = self.world.verdict().missing, time.monotonic() + HOPELESS_S
        self._supervised.pause = 0.0
        self._supervised.start()
        while after_a_deal and self.world.verdict().missing == before and time.monotonic() < deadline:
            self.run_for(WATCH_LIFE_S)
        self.run_for(seconds)
        self._supervised.kill()
        self._supervised.pause = 1.0

    @property
    def is_backed_up(self) -> bool:
        return self._backup.exists()

    def back_up(self) -> None:
        """All that it keeps, while it is stopped."""
        shutil.copytree(self._state, self._backup)
        self._contestant.back_up(self._setup)

    def restore(self) -> None:
        shutil.rmtree(self._state)
        shutil.copytree(self._backup, self._state)
        self._contestant.restore(self._setup)

    def ended(self, within: float = STALLED_S) -> Verdict:
        """What is there in the end, when it has had its time."""
        self.run_until_done(within)
        self.run_for(LINGER_S)
        self.stop()
        return self.world.verdict()
