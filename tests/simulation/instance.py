"""One instance of the daemon, from its start to its crash or its ordered stop: the real objects, wired as the product
does."""

from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

from twisted.internet.defer import Deferred, DeferredLock

from pipetest.config.settings import Settings
from pipetest.daemon import Background, Daemon
from pipetest.domain.interfaces import Store
from pipetest.domain.model import Reply, Request
from pipetest.domain.template import CurrentTemplate, Template
from pipetest.leader_election import LeaderElection
from pipetest.monitoring.collector import instance_of
from pipetest.monitoring.health import HealthMonitor
from pipetest.monitoring.problems import DaemonHealth
from pipetest.outbox.auditor import Auditor
from pipetest.outbox.outbox import Outbox
from pipetest.pipeline import Exchanges, Pipeline, build_pipeline
from pipetest.sandbox.calls import HeldReplies
from pipetest.sandbox.service import Service
from pipetest.scanner.scanner import Scanner
from pipetest.store.tinydb.lease import FileLease
from pipetest.store.tinydb.store import TinyStore
from pipetest.web.sessions import SessionExpiry
from tests.simulation.crash_plan import BEFORE, DISK, STOP, TIME, CrashPlan
from tests.simulation.database_server import LOCK_TIMEOUT_S, DatabaseServer, LockSession
from tests.simulation.environment import Environment
from tests.simulation.exchange import CONNECT_S, MayCreate, SimulatedExchange
from tests.simulation.process import Process
from tests.simulation.requests import creates
from tests.simulation.shared_store import SharedStore
from tests.simulation.store_thread import StoreThread
from tests.support.simulated_disk import Crash, run

T = TypeVar("T")

CRASHED, REFUSED, STOPPED = "crashed", "refused", "stopped"


class InstanceObserver(Protocol):
    """Watches instances from outside."""

    def request_leaves(self, instance: "Instance", request: Request) -> None: ...

    def exchange_ended(self, instance: "Instance", service: str, request: Request, reply: Reply | None) -> None:
        """``reply`` None: without a usable answer."""

    def template_changed(self, template: Template) -> None:
        """Another one is in force, in a living process."""

    def store_worked(self, instance: "Instance") -> None:
        """The store's thread has done something, and the daemon knows."""


class NoWeb:
    """Nobody calls."""

    def listen(self) -> None: ...

    def announce(self) -> None: ...

    def read_certificates(self) -> Callable[[], None]:
        return lambda: None

    async def close(self) -> None: ...


class Instance:
    """``on_end`` is called once, when it has ended, with how it did.

    ``content``: what its database holds. ``held_replies``: those that are held back from it. ``stopping_since``: when
    its ordered stop began.
    """

    content: TinyStore

    def __init__(
        self,
        environment: Environment,
        settings: Settings,
        crash_plan: CrashPlan,
        observer: InstanceObserver,
        on_end: Callable[["Instance", str], None],
    ) -> None:
        self._environment = environment
        self.settings = settings
        self.crash_plan = crash_plan
        self.stopping_since: float | None = None
        self._observer = observer
        self._new_template: CurrentTemplate | None = None
        self._on_end = on_end
        self.process = Process(environment.clock, environment.wall, environment.random)
        self._thread = StoreThread(self.process, environment.random, self)
        self.held_replies = HeldReplies()
        server = environment.server
        self._election = self._single() if server is None else self._one_of_several(server)
        election, wall = self._election, self.process.time.wall
        background: dict[str, Background] = {
            "health monitor": HealthMonitor(election.health, election.status, wall, self.process),
            "session expiry": SessionExpiry(self._store, self.process.time, self.process, settings.session_lifetime),
        }
        self._daemon = Daemon(
            [self._thread],
            self._store,
            self._election,
            background,
            NoWeb(),
            self.process,
            at_stop=lambda: None,
            die=lambda: None,
        )

    def _single(self) -> LeaderElection:
        roots = {"GitHub": self.settings.github_url, "Pipedrive": self.settings.pipedrive_url}
        self.content = TinyStore(self._environment.disk.folder(), self._work, self.process, roots=roots)
        self._store: Store = self.content
        return LeaderElection(FileLease(), self._pipeline, self.process)

    def _one_of_several(self, server: DatabaseServer) -> LeaderElection:
        self.content = server.content
        self._session = LockSession(server, lambda: self.crashes_at(DISK))
        write = partial(DeferredLock().run, self._thread.run)
        store = SharedStore(server, self._session, self._thread.run, write, self.process.time, self.process)
        self._store = store
        return LeaderElection(store.writer, partial(self._pipeline, store.writer.is_fresh), self.process)

    def _pipeline(self, may_create: MayCreate | None = None) -> Pipeline:
        world, process = self._environment.world, self.process
        exchanges = Exchanges(
            github=self._exchange(world.github),
            pipedrive=self._exchange(world.pipedrive, may_create),
            heartbeat=self._exchange(world.github),
        )
        instance = instance_of(self.settings, process.time.wall())
        random = self._environment.random
        self._current = build_pipeline(
            self.settings, instance, self._store, exchanges, process.time, process, random, run
        )
        return self._current

    def _exchange(self, service: Service, may_create: MayCreate | None = None) -> SimulatedExchange:
        return SimulatedExchange(self.process, service, self.held_replies, self, may_create, self._has_defect)

    def _has_defect(self) -> bool:
        environment = self._environment
        return environment.has("defects") and not environment.events.stopped and environment.chance(0.05)

    @property
    def leads(self) -> bool:
        """Whether it works, and does not only stand by."""
        return self.process.alive and self._election.leads

    @property
    def health(self) -> DaemonHealth:
        return self._election.health()

    @property
    def outbox(self) -> Outbox:
        return self._current.outbox

    @property
    def auditor(self) -> Auditor:
        return self._current.auditor

    @property
    def scanner(self) -> Scanner:
        return self._current.scanner

    # --- start and end ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self.process.callLater(self.crash_plan.seconds, self._time_is_up)
        try:
            self._daemon.startService()
        except Crash:
            self.crashed()
        except SystemExit:  # the database is refused
            self._end(REFUSED)

    def reload_soon(self, template: CurrentTemplate) -> None:
        """SIGHUP: within some minutes, or just when something is stored or names are looked up."""
        self._new_template = template
        self.process.callLater(self._environment.random.uniform(0.0, 600.0), self._reload)

    def _work(self, work: Callable[[], T]) -> "Deferred[T]":
        if self._new_template is not None and self._environment.chance(0.3):
            self.process.callLater(0.0, self._reload)
        return self._thread.run(work)

    def _reload(self) -> None:
        if self._new_template is not None and self.stopping_since is None:
            self.settings.deals.renew(self._new_template)
            self._new_template = None
            self._daemon.settings_renewed()
            self._observer.template_changed(self.settings.deals.value)

    def _time_is_up(self) -> None:
        if self.crash_plan.moment == TIME:
            self.crashed()
        elif self.crash_plan.moment == STOP:
            self.stop()

    def cancel_crash(self) -> None:
        """It does not end by itself any more."""
        self.crash_plan = CrashPlan()

    def stop(self) -> None:
        """SIGTERM."""
        if self.stopping_since is None:
            self.stopping_since = self.process.seconds()
            self._daemon.stopService().addCallback(lambda _: self._end(STOPPED))

    def _end(self, how: str) -> None:
        if self.process.alive:
            self.process.die()
            if self._environment.server is not None and not self.crash_plan.power_cut:
                self._environment.server.close(self._session)  # a machine without power does not say so
            self._on_end(self, how)

    # --- what its process reports -------------------------------------------------------------------------------------

    def crashes_at(self, moment: str, request: Request | None = None, /) -> bool:
        if moment == BEFORE and request is not None:
            self._observer.request_leaves(self, request)
            self._freeze_before(request)
            if self._new_template is not None and request.method == "GET" and self._environment.chance(0.3):
                self.process.callLater(self._environment.random.uniform(0.0, 0.1), self._reload)
        if self.process.alive and self.crash_plan.crashes_at(moment, request):
            self.crashed()
            return True
        return False

    def _freeze_before(self, request: Request) -> None:
        """One of several is sometimes frozen just when the body of a create is to leave."""
        environment = self._environment
        if (
            environment.server is not None
            and creates(request)
            and not environment.events.stopped
            and environment.chance(0.05)
        ):
            frozen_s = environment.random.uniform(0.0, 4 * LOCK_TIMEOUT_S)
            environment.clock.callLater(CONNECT_S / 2, self.process.freeze, frozen_s)

    def crashed(self) -> None:
        self._end(CRASHED)

    def store_worked(self) -> None:
        if self.process.alive:
            self._observer.store_worked(self)

    def exchange_ended(self, service: str, request: Request, reply: Reply | None, /) -> None:
        if self.process.alive:
            self._observer.exchange_ended(self, service, request, reply)
