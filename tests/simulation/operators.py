"""The people who run the daemon: they start and stop it, change its settings, and see to what only people can."""

from collections import Counter
from collections.abc import Sequence
from functools import partial

from twisted.internet.defer import Deferred

from pipetest.config.settings import Settings, load
from pipetest.domain.errors import Unstored
from pipetest.sandbox.world import KEY
from pipetest.store.tinydb.recovery import DAMAGED
from tests.simulation import crash_plan
from tests.simulation.crash_plan import DISK, STOP, CrashPlan
from tests.simulation.environment import TOKEN, Environment
from tests.simulation.failover import Failover
from tests.simulation.instance import CRASHED, REFUSED, Instance
from tests.simulation.invariants import Invariants
from tests.simulation.run_plan import DAY_S
from tests.simulation.service_faults import HOUR_S
from tests.simulation.storage_faults import StorageFaults
from tests.simulation.visitor import Visitor

FINAL_INTERVAL_S = 2 * HOUR_S


class Operators:
    """``lives`` are the latest of each instance, alive or not; ``ends`` counts how they ended."""

    def __init__(self, environment: Environment, invariants: Invariants) -> None:
        self._environment = environment
        self._invariants = invariants
        self._visitor = Visitor(environment, lambda: self.life, invariants.objects)
        self._resting = False
        self.lives: list[Instance] = []
        self._graves: list[Instance] = []  # let go of, what they waited for would end, and say so, in somebody's life
        self.ends: Counter[str] = Counter()
        strikes = (lambda: self.life.strikes(DISK)) if environment.server is None else (lambda: False)
        self.machine = StorageFaults(environment, strikes, self._forget)
        self.users: Sequence[str] = environment.plan.users
        self.interval = environment.plan.interval
        for place in range(environment.plan.instances):
            self._start(place)
        self._failover = (
            None if environment.server is None else Failover(environment, environment.server, lambda: self.life)
        )
        environment.events.every(600.0, lambda: self.life.held_replies.release() if self.life.process.alive else None)
        if environment.has("pauses"):
            environment.events.every(6 * HOUR_S, self._pause)
            environment.events.every(3 * HOUR_S, self._retry)
        if environment.has("clock"):
            environment.events.every(HOUR_S, lambda: self._set_clock(environment.random.uniform(-30.0, 30.0)))

    @property
    def life(self) -> Instance:
        """The one that works, if any does."""
        return next((life for life in self.lives if life.leads), self.lives[0])

    def rest(self) -> None:
        """Nothing more is done to it; but a last life may have to come, with the settings that are to stay."""
        self._resting = True
        self._environment.wall.wrong_by = 0.0
        self._environment.clock.callLater(HOUR_S, self._resume)
        self.machine.mend()
        if self._failover is not None:
            self._failover.rest()
        for life in self.lives:
            life.spare()
            if life.process.alive and (life.settings.dry_run or len(self.lives) > 1 or self._environment.chance(0.5)):
                life.stop()

    # --- one life after the other -------------------------------------------------------------------------------------

    def _start(self, place: int) -> None:
        if not self._resting:
            self._change_settings()
        if self._environment.has("clock") and self._environment.chance(0.3):
            self._start_late()
        life = Instance(
            self._environment, self._settings(), self._crash_plan(), self._invariants, partial(self._ended, place)
        )
        self.lives[place : place + 1] = [life]
        self._graves.append(life)
        self._invariants.begins(life)
        life.start()
        self._check_database()
        if self._resting:
            self._environment.clock.callLater(HOUR_S, self._resume)

    def _check_database(self) -> None:
        """Whatever the daemon dies of, its own commits leave a database that can be read."""
        if not self.machine.spoiled and any(DAMAGED in suffix for suffix in self._environment.disk.files):
            self._invariants.objects("a database is damaged although nobody has touched it")

    def _crash_plan(self) -> CrashPlan:
        if self._resting:
            return CrashPlan()
        if self._environment.has("crashes"):
            return crash_plan.draw(self._environment.random)
        return CrashPlan(STOP, seconds=self._environment.random.expovariate(1.0 / (8 * HOUR_S)))

    def _change_settings(self) -> None:
        environment = self._environment
        if environment.has("settings") and environment.chance(0.5):
            self.users = environment.random.sample(
                environment.plan.users, environment.random.randint(1, len(environment.plan.users))
            )
            self.interval = environment.random.choice((600.0, 3600.0, 14_400.0))

    def _settings(self) -> Settings:
        environment = self._environment
        dry = environment.has("dry runs") and not self._resting and environment.chance(0.2)
        interval = FINAL_INTERVAL_S if self._resting else self.interval
        environ = {
            "PIPETEST_PIEPEDRIVE_API_KEY": KEY,
            "PIPETEST_QUERIED_USERS": ",".join(self.users),
            "PIPETEST_QUERYING_INTERVAL": f"{interval / 60.0}",
            "PIPETEST_SETTLE_TIME": f"{environment.plan.settle}",
            "PIPETEST_DRY_RUN": str(dry).lower(),
            "PIPETEST_GITHUB_TOKEN": TOKEN if environment.plan.token else "",
        }
        return load(environ)

    def _ended(self, place: int, life: Instance, how: str) -> None:
        self.ends[how] += 1
        server = self._environment.server
        if how == REFUSED and self.machine.well and (server is None or not server.down):
            self._invariants.objects("a database was refused although it is well")
        self._environment.clock.callLater(0.0, self._clear_up, place, life, how)

    def _clear_up(self, place: int, life: Instance, how: str) -> None:
        self._invariants.ended(life, how)
        if self._environment.server is None:
            self._clear_disk(life, how)
        mean_s = 1.0 if self._resting else self._environment.random.choice((1.0, 30.0, 3600.0))
        down_s = self._environment.random.expovariate(1.0 / mean_s)
        self._environment.clock.callLater(down_s, self._start, place)

    def _clear_disk(self, life: Instance, how: str) -> None:
        if how == CRASHED and life.crash_plan.power:
            self._environment.disk.cut_power()
        else:
            self._environment.disk.kill()
        if how == REFUSED and self.machine.ruined:
            self.machine.rescue()
        elif self._environment.has("database") and not self._resting and self._environment.chance(0.2):
            self.machine.harm()

    def _forget(self) -> None:
        self._invariants.forget()
        self._visitor.forget()

    def _set_clock(self, wrong_by: float) -> None:
        self._environment.wall.wrong_by = wrong_by

    def _start_late(self) -> None:
        """A machine without a battery for its clock is far behind until it hears what time it is."""
        random = self._environment.random
        self._set_clock(-random.uniform(0.0, 30 * DAY_S))
        self._environment.clock.callLater(random.expovariate(1.0 / 60.0), self._set_clock, 0.0)

    # --- control ------------------------------------------------------------------------------------------------------

    def _pause(self) -> None:
        """Or resume."""
        creator = self.life.creator
        if self._failover is not None:
            self._failover.order("resume" if creator.paused else "pause")
        elif self.life.process.alive:
            Deferred.fromCoroutine(creator.pause(not creator.paused)).addErrback(lambda failure: failure.trap(Unstored))

    def _resume(self) -> None:
        if self.life.process.alive and self.life.creator.paused:
            self._pause()

    def _retry(self) -> None:
        if self.life.process.alive:
            retry = self.life.creator.retry if self._failover is None else partial(self._failover.order, "retry")
            for gist in [case.entry.gist.id for case in self.life.creator.queue.quarantined.values()]:
                retry(gist)
