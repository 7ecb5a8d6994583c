"""The people who run the daemon: they start and stop it, change its settings, and do what only people can do."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from twisted.internet.defer import Deferred

from pipetest.config.settings import Settings, load
from pipetest.domain.errors import Unstored
from pipetest.sandbox.world import KEY
from pipetest.store.tinydb.recovery import DAMAGED
from tests.simulation.clock import DAY_S, HOUR_S
from tests.simulation.crash_plan import DISK, STOP, CrashPlan
from tests.simulation.environment import TOKEN, Environment
from tests.simulation.failover import Failover
from tests.simulation.github_users import CURATOR
from tests.simulation.instance import CRASHED, REFUSED, Instance
from tests.simulation.invariants import Invariants
from tests.simulation.run_log import RunLog
from tests.simulation.run_plan import BACKFILL, LISTS, LOSSES, RELOADS, ROLLBACKS
from tests.simulation.storage_faults import StorageFaults
from tests.simulation.templates import Templates
from tests.simulation.visitor import Visitor

FINAL_INTERVAL_S = 2 * HOUR_S


class Operators:
    """Once an instance has ended, they start another one in its slot. ``ends`` counts how instances ended."""

    def __init__(self, environment: Environment, invariants: Invariants, templates: Templates, run_log: RunLog) -> None:
        self._environment = environment
        self._templates = templates
        self._random = environment.random
        self._invariants = invariants
        self._run_log = run_log
        self._visitor = Visitor(environment, lambda: self.leader, run_log)
        self._leaving_alone = False
        self._slots: list[Instance] = []  # in each the latest, alive or not
        self._kept: list[Instance] = []  # collecting one would end what it waited for, and log so in the time of others
        self.ends: Counter[str] = Counter()
        crashes = (lambda: self.leader.crashes_at(DISK)) if environment.server is None else (lambda: False)
        self.storage_faults = StorageFaults(environment, crashes, self._database_replaced)
        self.users: Sequence[str] = environment.plan.users
        environment.wall.on_set = self._clock_set
        self._interval_s = environment.plan.interval_s
        self._backfill = "all"
        for slot in range(environment.plan.instances):
            self._start(slot)
        server = environment.server
        self._failover = None if server is None else Failover(environment, server, lambda: self.leader)
        self._act_now_and_then()

    def _act_now_and_then(self) -> None:
        environment, events = self._environment, self._environment.events
        events.every(600.0, self._release_held_answers)
        if environment.has("pauses"):
            events.every(6 * HOUR_S, self._pause_or_resume)
            events.every(3 * HOUR_S, self._retry)
        if environment.has(RELOADS):
            events.every(2 * HOUR_S, self._reload)
        if environment.has("clock"):
            events.every(HOUR_S, lambda: environment.wall.set_wrong_by(self._random.uniform(-30.0, 30.0)))

    @property
    def leader(self) -> Instance:
        """The instance that works; one that does not, where none does."""
        return next((instance for instance in self._slots if instance.leads), self._slots[0])

    def leave_alone(self) -> None:
        """From now on they disturb nothing. Some instances are stopped first, for the last ones to start with the
        settings that are to stay."""
        self._leaving_alone = True
        self._environment.wall.set_wrong_by(0.0)
        self._environment.clock.callLater(HOUR_S, self._resume)
        self.storage_faults.repair_disk()
        if self._failover is not None:
            self._failover.end()
        for instance in self._slots:
            instance.cancel_crash()
            must_stop = instance.settings.dry_run or len(self._slots) > 1
            if instance.process.alive and (must_stop or self._environment.chance(0.5)):
                instance.stop()

    # --- one instance after the other ---------------------------------------------------------------------------------

    def _start(self, slot: int) -> None:
        environment = self._environment
        if not self._leaving_alone:
            self._change_settings()
        if environment.has("clock") and environment.chance(0.3):
            self._boot_with_wrong_clock()
        on_end = partial(self._on_end, slot)
        instance = Instance(environment, self._settings(), self._crash_plan(), self._invariants, on_end)
        self._slots[slot : slot + 1] = [instance]
        self._kept.append(instance)
        self._invariants.starts(instance)
        instance.start()
        self._check_database()
        if self._leaving_alone:
            environment.clock.callLater(HOUR_S, self._resume)

    def _check_database(self) -> None:
        """Whatever an instance dies of, its own commits leave a database that can be read."""
        if not self.storage_faults.ever_damaged and any(DAMAGED in suffix for suffix in self._environment.disk.files):
            self._run_log.violation("a database is damaged although nobody has touched it")

    def _crash_plan(self) -> CrashPlan:
        if self._leaving_alone:
            return CrashPlan()
        if self._environment.has(LOSSES) and self._environment.chance(0.2):
            return CrashPlan.draw_loss(self._random)
        if self._environment.has("crashes"):
            return CrashPlan.draw(self._random)
        return CrashPlan(STOP, seconds=self._random.expovariate(1.0 / (8 * HOUR_S)))

    def _change_settings(self) -> None:
        if self._environment.has("settings") and self._environment.chance(0.5):
            users = self._environment.plan.users
            if not self._environment.has(LISTS):
                self.users = self._random.sample(users, self._random.randint(1, len(users)))
            self._interval_s = self._random.choice((600.0, 3600.0, 14_400.0))

        self._templates.choose()
        if self._environment.has(BACKFILL):
            a_day = datetime.fromtimestamp(self._environment.clock.seconds() - 100 * DAY_S, UTC)
            self._backfill = self._random.choice(("all", "none", "none", f"{a_day:%Y-%m-%d}"))

    def _settings(self) -> Settings:
        plan = self._environment.plan
        dry_run = self._environment.has("dry runs") and not self._leaving_alone and self._environment.chance(0.2)
        interval_s = FINAL_INTERVAL_S if self._leaving_alone else self._interval_s
        environ = {
            "PIPETEST_PIEPEDRIVE_API_KEY": KEY,
            "PIPETEST_QUERIED_USERS": f"following:{CURATOR}" if self._environment.has(LISTS) else ",".join(self.users),
            "PIPETEST_QUERYING_INTERVAL": f"{interval_s / 60.0}",
            "PIPETEST_SETTLE_TIME": f"{plan.settle_s}",
            "PIPETEST_DRY_RUN": str(dry_run).lower(),
            "PIPETEST_BACKFILL": self._backfill,
            "PIPETEST_DEALS": self._templates.text,
            "PIPETEST_GITHUB_TOKEN": TOKEN if plan.token else "",
        }
        return load(environ)

    def _on_end(self, slot: int, instance: Instance, how: str) -> None:
        self.ends[how] += 1
        server = self._environment.server
        if how == REFUSED and self.storage_faults.can_be_opened and (server is None or not server.down):
            self._run_log.violation("a database was refused although it is well")
        self._environment.clock.callLater(0.0, self._start_next, slot, instance, how)

    def _start_next(self, slot: int, instance: Instance, how: str) -> None:
        """After a while, and whatever happens to the disk meanwhile."""
        self._invariants.ended(instance, how)
        if self._environment.server is None:
            self._end_on_disk(instance, how)
        at_once = self._leaving_alone or instance.crash_plan.loses_database
        mean_s = 1.0 if at_once else self._random.choice((1.0, 30.0, 3600.0))
        rest_s = max(0.0, self.storage_faults.rests_until - self._environment.clock.seconds())
        self._environment.clock.callLater(rest_s, self._environment.events.once, mean_s, self._start, slot)

    def _end_on_disk(self, instance: Instance, how: str) -> None:
        if how == CRASHED and instance.crash_plan.power_cut:
            self._environment.disk.cut_power()
        else:
            self._environment.disk.kill()
        if how == REFUSED and self.storage_faults.unusable:
            self.storage_faults.replace_unusable()
        elif how == CRASHED and instance.crash_plan.loses_database:
            self.storage_faults.lose()
        elif self._environment.has("database") and not self._leaving_alone and self._environment.chance(0.2):
            self.storage_faults.harm_database()
        elif self._environment.has(ROLLBACKS) and not self._leaving_alone and self._environment.chance(0.1):
            self.storage_faults.roll_back()

    def _database_replaced(self) -> None:
        self._invariants.database_replaced()
        self._visitor.database_replaced()

    def _clock_set(self, ahead_s: float) -> None:
        for instance in self._slots:
            instance.process.clock_set(ahead_s)

    def _boot_with_wrong_clock(self) -> None:
        """A machine whose clock has no battery is far behind until its time is set."""
        wall = self._environment.wall
        wall.set_wrong_by(-self._random.uniform(0.0, 30 * DAY_S))
        self._environment.events.once(60.0, wall.set_wrong_by, 0.0)

    # --- what they ask a running instance for -------------------------------------------------------------------------

    def _release_held_answers(self) -> None:
        if self.leader.process.alive:
            self.leader.held_replies.release()

    def _pause_or_resume(self) -> None:
        outbox, server = self.leader.outbox, self._environment.server
        if server is not None:
            server.give_command("resume" if outbox.paused else "pause")
        elif self.leader.process.alive:
            paused = Deferred.fromCoroutine(outbox.set_paused(not outbox.paused))
            paused.addErrback(lambda failure: failure.trap(Unstored))

    def _resume(self) -> None:
        if self.leader.process.alive and self.leader.outbox.paused:
            self._pause_or_resume()

    def _reload(self) -> None:
        """They write another template, and send SIGHUP."""
        self._templates.choose_another()
        for instance in self._slots:
            instance.reload_soon(self._templates.in_force)

    def _retry(self) -> None:
        leader, server = self.leader, self._environment.server
        if leader.process.alive:
            retry = leader.outbox.retry if server is None else partial(server.give_command, "retry")
            for name in [key.partition(" ")[2] for key in leader.outbox.tasks.quarantined]:
                retry(name)
