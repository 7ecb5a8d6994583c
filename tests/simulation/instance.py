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
from pipetest.sandbox.calls import HeldReplies
from pipetest.sandbox.service import Service
from pipetest.scanner.scanner import Scanner
from pipetest.store.tinydb.store import TinyStore
from tests.simulation.crash_plan import BEFORE, DISK, STOP, TIME, CrashPlan
from tests.simulation.database_server import IDLE_S, DatabaseServer, LockSession
from tests.simulation.environment import Environment
from tests.simulation.process import CONNECTS_S, MayCreate, Process, SimulatedExchange, StoreThread
from tests.simulation.shared_store import SharedStore
from tests.support.simulated_disk import Crash

CRASHED, REFUSED, STOPPED = "crashed", "refused", "stopped"


class InstanceObserver(Protocol):
    """Who follows lives from outside."""

    def asked(self, life: "Instance", request: Request) -> None:
        """A request is about to leave."""

    def replied(self, life: "Instance", service: str, request: Request, reply: Reply | None) -> None:
        """An exchange has ended; None: without a usable answer."""

    def committed(self, life: "Instance") -> None:
        """The store's thread has done something, and the daemon knows."""


class NoWeb:
    """Nobody calls."""

    def listen(self) -> None: ...

    async def close(self) -> None: ...


class Instance:
    """``ended`` is told once, when it is over, and how. ``tables`` is what its store holds; ``stopping_since``: when
    its ordered stop began, if it did; ``held_replies``: answers that are held back from it."""

    tables: TinyStore

    def __init__(
        self,
        environment: Environment,
        settings: Settings,
        crash_plan: CrashPlan,
        follower: InstanceObserver,
        ended: Callable[["Instance", str], None],
    ) -> None:
        self.environment = environment
        self.settings = settings
        self.crash_plan = crash_plan
        self.stopping_since: float | None = None
        self._follower = follower
        self._ended = ended
        self.process = Process(environment.clock, environment.wall, environment.random)
        self._thread = StoreThread(self.process, environment.random, self)
        self.held_replies = HeldReplies()
        parts: Parts[Any] = self._alone() if environment.server is None else self._one_of_several(environment.server)
        self._work: Work | LeaderElection[Pipeline] = parts.work
        self._daemon = Daemon(parts, self.process, lambda: None, lambda: None)

    def _alone(self) -> Parts[Work]:
        roots = {"GitHub": self.settings.github_url, "Pipedrive": self.settings.pipedrive_url}
        self.tables = TinyStore(self.environment.disk.folder(), self._thread.run, self.process, roots=roots)
        return assemble(self.settings, self._ground(self.tables), lambda _: NoWeb())

    def _one_of_several(self, server: DatabaseServer) -> Parts[Any]:
        self.tables = server.tables
        self._session = LockSession(server, lambda: self.strikes(DISK))
        write = partial(DeferredLock().run, self._thread.run)
        store = SharedStore(server, self._session, self._thread.run, write, self.process.time, self.process)
        ground = partial(self._ground, store, store.writer.lease_is_fresh)
        return assemble_instance(self.settings, store.writer, ground, lambda _: NoWeb())

    def _ground(self, store: Store, may_create: MayCreate | None = None) -> Resources:
        world, process = self.environment.world, self.process
        lines = (self._line(world.github), self._line(world.pipedrive, may_create), self._line(world.github))
        return Resources(process.time, process, self.environment.random, self._thread, store, *lines)

    def _line(self, service: Service, may_create: MayCreate | None = None) -> SimulatedExchange:
        return SimulatedExchange(self.process, service, self.held_replies, self, may_create)

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
        self.process.callLater(self.crash_plan.seconds, self._time_is_up)
        try:
            self._daemon.startService()
        except Crash:
            self.died()
        except SystemExit:  # the database is refused
            self._end(REFUSED)

    def _time_is_up(self) -> None:
        if self.crash_plan.moment == TIME:
            self.died()
        elif self.crash_plan.moment == STOP:
            self.stop()

    def spare(self) -> None:
        """It is not doomed any more."""
        self.crash_plan = CrashPlan()

    def stop(self) -> None:
        """SIGTERM."""
        if self.stopping_since is None:
            self.stopping_since = self.process.seconds()
            self._daemon.stopService().addCallback(lambda _: self._end(STOPPED))

    def _end(self, how: str) -> None:
        if self.process.alive:
            self.process.die()
            if self.environment.server is not None and not self.crash_plan.power:
                self.environment.server.drop(self._session)  # a machine that stops does not say so
            self._ended(self, how)

    # --- what it stands on tells --------------------------------------------------------------------------------------

    def strikes(self, moment: str, request: Request | None = None, /) -> bool:
        if moment == BEFORE and request is not None:
            self._follower.asked(self, request)
            self._freeze_before(request)
        if self.process.alive and self.crash_plan.strikes(moment, request):
            self.died()
            return True
        return False

    def _freeze_before(self, request: Request) -> None:
        """One of several may stand still just when the body of a create is to leave."""
        environment = self.environment
        if (
            environment.server is not None
            and request.method == "POST"
            and not environment.events.resting
            and environment.chance(0.05)
        ):
            environment.clock.callLater(
                CONNECTS_S / 2, self.process.freeze, environment.random.uniform(0.0, 4 * IDLE_S)
            )

    def died(self) -> None:
        self._end(CRASHED)

    def worked(self) -> None:
        if self.process.alive:
            self._follower.committed(self)

    def replied(self, service: str, request: Request, reply: Reply | None, /) -> None:
        if self.process.alive:
            self._follower.replied(self, service, request, reply)
