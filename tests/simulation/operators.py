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
from tests.simulation.crash_plan import DISK, STOP, Fate
from tests.simulation.environment import TOKEN, Stage
from tests.simulation.failover import Rivals
from tests.simulation.faults import HOUR_S
from tests.simulation.invariants import Witness
from tests.simulation.life import CRASHED, REFUSED, Life
from tests.simulation.machine import Machine
from tests.simulation.plan import DAY_S
from tests.simulation.visitors import Visitor

FINAL_INTERVAL_S = 2 * HOUR_S


class Operators:
    """``lives`` are the latest of each instance, alive or not; ``ends`` counts how they ended."""

    def __init__(self, stage: Stage, witness: Witness) -> None:
        self._stage = stage
        self._witness = witness
        self._visitor = Visitor(stage, lambda: self.life, witness.objects)
        self._resting = False
        self.lives: list[Life] = []
        self._graves: list[Life] = []  # let go of, what they waited for would end, and say so, in somebody's life
        self.ends: Counter[str] = Counter()
        strikes = (lambda: self.life.strikes(DISK)) if stage.server is None else (lambda: False)
        self.machine = Machine(stage, strikes, self._forget)
        self.users: Sequence[str] = stage.plan.users
        self.interval = stage.plan.interval
        for place in range(stage.plan.instances):
            self._start(place)
        self._rivals = None if stage.server is None else Rivals(stage, stage.server, lambda: self.life)
        stage.habits.every(600.0, lambda: self.life.holds.release() if self.life.process.alive else None)
        if stage.has("pauses"):
            stage.habits.every(6 * HOUR_S, self._pause)
            stage.habits.every(3 * HOUR_S, self._retry)
        if stage.has("clock"):
            stage.habits.every(HOUR_S, lambda: self._set_clock(stage.random.uniform(-30.0, 30.0)))

    @property
    def life(self) -> Life:
        """The one that works, if any does."""
        return next((life for life in self.lives if life.leads), self.lives[0])

    def rest(self) -> None:
        """Nothing more is done to it; but a last life may have to come, with the settings that are to stay."""
        self._resting = True
        self._stage.wall.wrong_by = 0.0
        self._stage.clock.callLater(HOUR_S, self._resume)
        self.machine.mend()
        if self._rivals is not None:
            self._rivals.rest()
        for life in self.lives:
            life.spare()
            if life.process.alive and (life.settings.dry_run or len(self.lives) > 1 or self._stage.chance(0.5)):
                life.stop()

    # --- one life after the other -------------------------------------------------------------------------------------

    def _start(self, place: int) -> None:
        if not self._resting:
            self._change_settings()
        if self._stage.has("clock") and self._stage.chance(0.3):
            self._start_late()
        life = Life(self._stage, self._settings(), self._fate(), self._witness, partial(self._ended, place))
        self.lives[place : place + 1] = [life]
        self._graves.append(life)
        self._witness.begins(life)
        life.start()
        self._check_database()
        if self._resting:
            self._stage.clock.callLater(HOUR_S, self._resume)

    def _check_database(self) -> None:
        """Whatever the daemon dies of, its own commits leave a database that can be read."""
        if not self.machine.spoiled and any(DAMAGED in suffix for suffix in self._stage.disk.files):
            self._witness.objects("a database is damaged although nobody has touched it")

    def _fate(self) -> Fate:
        if self._resting:
            return Fate()
        if self._stage.has("crashes"):
            return crash_plan.drawn(self._stage.random)
        return Fate(STOP, seconds=self._stage.random.expovariate(1.0 / (8 * HOUR_S)))

    def _change_settings(self) -> None:
        stage = self._stage
        if stage.has("settings") and stage.chance(0.5):
            self.users = stage.random.sample(stage.plan.users, stage.random.randint(1, len(stage.plan.users)))
            self.interval = stage.random.choice((600.0, 3600.0, 14_400.0))

    def _settings(self) -> Settings:
        stage = self._stage
        dry = stage.has("dry runs") and not self._resting and stage.chance(0.2)
        interval = FINAL_INTERVAL_S if self._resting else self.interval
        environ = {
            "PIPETEST_PIEPEDRIVE_API_KEY": KEY,
            "PIPETEST_QUERIED_USERS": ",".join(self.users),
            "PIPETEST_QUERYING_INTERVAL": f"{interval / 60.0}",
            "PIPETEST_SETTLE_TIME": f"{stage.plan.settle}",
            "PIPETEST_DRY_RUN": str(dry).lower(),
            "PIPETEST_GITHUB_TOKEN": TOKEN if stage.plan.token else "",
        }
        return load(environ)

    def _ended(self, place: int, life: Life, how: str) -> None:
        self.ends[how] += 1
        server = self._stage.server
        if how == REFUSED and self.machine.well and (server is None or not server.down):
            self._witness.objects("a database was refused although it is well")
        self._stage.clock.callLater(0.0, self._clear_up, place, life, how)

    def _clear_up(self, place: int, life: Life, how: str) -> None:
        self._witness.ended(life, how)
        if self._stage.server is None:
            self._clear_disk(life, how)
        mean_s = 1.0 if self._resting else self._stage.random.choice((1.0, 30.0, 3600.0))
        down_s = self._stage.random.expovariate(1.0 / mean_s)
        self._stage.clock.callLater(down_s, self._start, place)

    def _clear_disk(self, life: Life, how: str) -> None:
        if how == CRASHED and life.fate.power:
            self._stage.disk.cut_power()
        else:
            self._stage.disk.kill()
        if how == REFUSED and self.machine.ruined:
            self.machine.rescue()
        elif self._stage.has("database") and not self._resting and self._stage.chance(0.2):
            self.machine.harm()

    def _forget(self) -> None:
        self._witness.forget()
        self._visitor.forget()

    def _set_clock(self, wrong_by: float) -> None:
        self._stage.wall.wrong_by = wrong_by

    def _start_late(self) -> None:
        """A machine without a battery for its clock is far behind until it hears what time it is."""
        random = self._stage.random
        self._set_clock(-random.uniform(0.0, 30 * DAY_S))
        self._stage.clock.callLater(random.expovariate(1.0 / 60.0), self._set_clock, 0.0)

    # --- control ------------------------------------------------------------------------------------------------------

    def _pause(self) -> None:
        """Or resume."""
        creator = self.life.creator
        if self._rivals is not None:
            self._rivals.order("resume" if creator.paused else "pause")
        elif self.life.process.alive:
            Deferred.fromCoroutine(creator.pause(not creator.paused)).addErrback(lambda failure: failure.trap(Unstored))

    def _resume(self) -> None:
        if self.life.process.alive and self.life.creator.paused:
            self._pause()

    def _retry(self) -> None:
        if self.life.process.alive:
            retry = self.life.creator.retry if self._rivals is None else partial(self._rivals.order, "retry")
            for gist in [case.entry.gist.id for case in self.life.creator.backlog.quarantined.values()]:
                retry(gist)
