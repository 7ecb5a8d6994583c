"""One life of the daemon, from its start to its crash or its ordered end: the real parts, wired as the product does."""

from collections.abc import Callable
from typing import Protocol

from pipetest.assembly import assemble
from pipetest.job import Ground
from pipetest.model import Reply, Request
from pipetest.sandbox.holds import Holds
from pipetest.sandbox.service import Service
from pipetest.services import Daemon
from pipetest.settings import Settings
from pipetest.store.tiny import TinyStore
from tests.simdisk import Crash
from tests.simulation.fate import BEFORE, STOP, TIME, Fate
from tests.simulation.process import Line, Process, Thread
from tests.simulation.stage import Stage

CRASHED, REFUSED, STOPPED = "crashed", "refused", "stopped"


class Follower(Protocol):
    """Who follows lives from outside."""

    def asked(self, life: "Life", request: Request) -> None:
        """A request is about to leave."""

    def replied(self, service: str, request: Request, reply: Reply | None) -> None:
        """An exchange has ended; None: without a usable answer."""

    def committed(self, life: "Life") -> None:
        """The store's thread has done something, and the daemon knows."""


class NoWeb:
    """Nobody calls."""

    def listen(self) -> None: ...

    async def close(self) -> None: ...


class Life:
    """``ended`` is told once, when it is over, and how. ``stopping_since``: when its ordered stop began, if it did;
    ``holds``: answers that are held back from it."""

    def __init__(
        self, stage: Stage, settings: Settings, fate: Fate, follower: Follower, ended: Callable[["Life", str], None]
    ) -> None:
        self.stage = stage
        self.settings = settings
        self.fate = fate
        self.stopping_since: float | None = None
        self._follower = follower
        self._ended = ended
        process = self.process = Process(stage.clock, stage.wall, stage.random)
        thread = Thread(process, stage.random, self)
        roots = {"GitHub": settings.github_url, "Pipedrive": settings.pipedrive_url}
        self.store = TinyStore(stage.disk.folder(), thread.run, process, roots=roots)
        self.holds = Holds()
        world = stage.world
        lines = (self._line(service) for service in (world.github, world.pipedrive, world.github))
        ground = Ground(process.time, process, stage.random, thread, self.store, *lines)
        parts = assemble(settings, ground, lambda _: NoWeb())
        self.creator, self.scanner = parts.work.creator, parts.work.scanner
        self._daemon = Daemon(parts, process, lambda: None)

    def _line(self, service: Service) -> Line:
        return Line(self.process, service, self.holds, self)

    # --- its course ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self.process.callLater(self.fate.seconds, self._time_is_up)
        try:
            self._daemon.startService()
        except Crash:
            self.died()
        except SystemExit:  # the database is refused
            self._end(REFUSED)

    def _time_is_up(self) -> None:
        if self.fate.moment == TIME:
            self.died()
        elif self.fate.moment == STOP:
            self.stop()

    def spare(self) -> None:
        """It is not doomed any more."""
        self.fate = Fate()

    def stop(self) -> None:
        """SIGTERM."""
        if self.stopping_since is None:
            self.stopping_since = self.process.seconds()
            self._daemon.stopService().addCallback(lambda _: self._end(STOPPED))

    def _end(self, how: str) -> None:
        if self.process.alive:
            self.process.die()
            self._ended(self, how)

    # --- what it stands on tells --------------------------------------------------------------------------------------

    def strikes(self, moment: str, request: Request | None = None, /) -> bool:
        if moment == BEFORE and request is not None:
            self._follower.asked(self, request)
        if self.process.alive and self.fate.strikes(moment, request):
            self.died()
            return True
        return False

    def died(self) -> None:
        self._end(CRASHED)

    def worked(self) -> None:
        if self.process.alive:
            self._follower.committed(self)

    def replied(self, service: str, request: Request, reply: Reply | None, /) -> None:
        if self.process.alive:
            self._follower.replied(service, request, reply)
