"""One life of the daemon, from its start to its crash or its ordered end: the real parts, wired as the product does."""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from twisted.internet.defer import DeferredLock

from pipetest.assembly import assemble, assemble_instance
from pipetest.config.settings import Settings
from pipetest.daemon import Daemon, Parts, Work
from pipetest.domain.interfaces import Store
from pipetest.domain.model import Reply, Request
from pipetest.leader_election import LeaderElection
from pipetest.outbox.dispatcher import Dispatcher
from pipetest.pipeline import Pipeline, Resources
from pipetest.sandbox.holds import Holds
from pipetest.sandbox.service import Service
from pipetest.scanner.scanner import Scanner
from pipetest.store.tinydb.store import TinyStore
from tests.simulation.crash_plan import BEFORE, DISK, STOP, TIME, Fate
from tests.simulation.environment import Stage
from tests.simulation.process import CONNECTS_S, Line, MayCreate, Process, Thread
from tests.simulation.server import IDLE_S, Server, Session
from tests.simulation.shared import SharedStore
from tests.support.simulated_disk import Crash

CRASHED, REFUSED, STOPPED = "crashed", "refused", "stopped"


class Follower(Protocol):
    """Who follows lives from outside."""

    def asked(self, life: "Life", request: Request) -> None:
        """A request is about to leave."""

    def replied(self, life: "Life", service: str, request: Request, reply: Reply | None) -> None:
        """An exchange has ended; None: without a usable answer."""

    def committed(self, life: "Life") -> None:
        """The store's thread has done something, and the daemon knows."""


class NoWeb:
    """Nobody calls."""

    def listen(self) -> None: ...

    async def close(self) -> None: ...


class Life:
    """``ended`` is told once, when it is over, and how. ``tables`` is what its store holds; ``stopping_since``: when
    its ordered stop began, if it did; ``holds``: answers that are held back from it."""

    tables: TinyStore

    def __init__(
        self, stage: Stage, settings: Settings, fate: Fate, follower: Follower, ended: Callable[["Life", str], None]
    ) -> None:
        self.stage = stage
        self.settings = settings
        self.fate = fate
        self.stopping_since: float | None = None
        self._follower = follower
        self._ended = ended
        self.process = Process(stage.clock, stage.wall, stage.random)
        self._thread = Thread(self.process, stage.random, self)
        self.holds = Holds()
        parts: Parts[Any] = self._alone() if stage.server is None else self._one_of_several(stage.server)
        self._work: Work | LeaderElection[Pipeline] = parts.work
        self._daemon = Daemon(parts, self.process, lambda: None, lambda: None)

    def _alone(self) -> Parts[Work]:
        roots = {"GitHub": self.settings.github_url, "Pipedrive": self.settings.pipedrive_url}
        self.tables = TinyStore(self.stage.disk.folder(), self._thread.run, self.process, roots=roots)
        return assemble(self.settings, self._ground(self.tables), lambda _: NoWeb())

    def _one_of_several(self, server: Server) -> Parts[Any]:
        self.tables = server.tables
        self._session = Session(server, lambda: self.strikes(DISK))
        write = partial(DeferredLock().run, self._thread.run)
        store = SharedStore(server, self._session, self._thread.run, write, self.process.time, self.process)
        ground = partial(self._ground, store, store.writer.lease_is_fresh)
        return assemble_instance(self.settings, store.writer, ground, lambda _: NoWeb())

    def _ground(self, store: Store, may_create: MayCreate | None = None) -> Resources:
        world, process = self.stage.world, self.process
        lines = (self._line(world.github), self._line(world.pipedrive, may_create), self._line(world.github))
        return Resources(process.time, process, self.stage.random, self._thread, store, *lines)

    def _line(self, service: Service, may_create: MayCreate | None = None) -> Line:
        return Line(self.process, service, self.holds, self, may_create)

    @property
    def leads(self) -> bool:
        """Whether it works, and does not only stand by."""
        return self.process.alive and (isinstance(self._work, Work) or self._work.leads)

    @property
    def creator(self) -> Dispatcher:
        return self._parts_at_work().creator

    @property
    def scanner(self) -> Scanner:
        return self._parts_at_work().scanner

    def _parts_at_work(self) -> Work:
        return self._work if isinstance(self._work, Work) else self._work.job.work

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
            if self.stage.server is not None and not self.fate.power:
                self.stage.server.drop(self._session)  # a machine that stops does not say so
            self._ended(self, how)

    # --- what it stands on tells --------------------------------------------------------------------------------------

    def strikes(self, moment: str, request: Request | None = None, /) -> bool:
        if moment == BEFORE and request is not None:
            self._follower.asked(self, request)
            self._freeze_before(request)
        if self.process.alive and self.fate.strikes(moment, request):
            self.died()
            return True
        return False

    def _freeze_before(self, request: Request) -> None:
        """One of several may stand still just when the body of a create is to leave."""
        stage = self.stage
        if stage.server is not None and request.method == "POST" and not stage.habits.resting and stage.chance(0.05):
            stage.clock.callLater(CONNECTS_S / 2, self.process.freeze, stage.random.uniform(0.0, 4 * IDLE_S))

    def died(self) -> None:
        self._end(CRASHED)

    def worked(self) -> None:
        if self.process.alive:
            self._follower.committed(self)

    def replied(self, service: str, request: Request, reply: Reply | None, /) -> None:
        if self.process.alive:
            self._follower.replied(self, service, request, reply)
