"""What goes wrong with the disk, and what people do to the database file while no instance runs."""

import json
from collections.abc import Callable
from contextlib import suppress
from errno import EIO, EROFS

from tests.simulation.clock import HOUR_S
from tests.simulation.environment import Environment
from tests.simulation.run_plan import ROLLBACKS
from tests.support.simulated_disk import Crash, Step, error

CURRENT, NEW, PREVIOUS = "", ".new", ".previous"

WRITES = frozenset({"create", "write", "fsync", "rename", "remove", "sync"})


class StorageFaults:
    """``crashes``: whether a process dies at this step of the disk. ``on_replaced`` is called when the database becomes
    another one, which ``replaced_at`` lists. Nothing is started before ``rests_until``. ``ever_damaged``: somebody has
    damaged a database, at least once. ``unusable``: nothing on the disk can be opened."""

    def __init__(self, environment: Environment, crashes: Callable[[], bool], on_replaced: Callable[[], None]) -> None:
        self._environment = environment
        self._random = environment.random
        self._disk = environment.disk
        self._crashes = crashes
        self._on_replaced = on_replaced
        self._fault = ""
        self._backups: list[bytes] = []
        self.replaced_at: list[float] = []
        self.rests_until = 0.0
        self._snapshots: list[dict[str, bytes]] = []
        self.ever_damaged = self.unusable = False
        environment.disk.fault = self._fault_at
        if environment.has("disk"):
            environment.events.every(8 * HOUR_S, self._begin_fault)
        if environment.has("database"):
            environment.events.every(3 * HOUR_S, self._back_up)
        if environment.has(ROLLBACKS):
            environment.events.every(3 * HOUR_S, self._take_snapshot)

    @property
    def can_be_opened(self) -> bool:
        """Whether a database on this disk can be opened now."""
        return not self._fault and not self.unusable

    # --- the disk -----------------------------------------------------------------------------------------------------

    def repair_disk(self) -> None:
        self._fault = ""
        self._disk.gone, self._disk.capacity = False, None

    def _fault_at(self, step: Step) -> BaseException | None:
        if self._crashes():
            return Crash()
        if self._fault == "failing" and step.operation in WRITES and self._environment.chance(0.3):
            return error(EIO)
        if self._fault == "read-only" and step.operation in WRITES:
            return error(EROFS)
        return None

    def _begin_fault(self) -> None:
        self._fault = self._random.choice(("full", "failing", "read-only", "gone"))
        if self._fault == "full":
            used = sum(len(content) for content in self._disk.files.values())
            self._disk.capacity = self._random.randint(0, 2 * used)
        self._disk.gone = self._fault == "gone"
        self._environment.events.once(1800.0, self.repair_disk)

    # --- the database -------------------------------------------------------------------------------------------------

    def _back_up(self) -> None:
        content = self._disk.files.get(CURRENT, b"")
        with suppress(ValueError):  # a damaged one is no backup
            json.loads(content)
            self._backups.append(content)

    def _take_snapshot(self) -> None:
        """Of the machine: of its disk as it is at this moment, if it is well."""
        with suppress(ValueError):
            json.loads(self._disk.files.get(CURRENT, b""))
            self._snapshots.append(dict(self._disk.files))

    def roll_back(self) -> None:
        """Put the machine back to a snapshot, without a word to anybody. It takes a while."""
        if self._snapshots and not self._fault:
            self._replaced()
            self.unusable = False
            for suffix in list(self._disk.files):
                self._disk.take_away(suffix)
            for suffix, content in self._random.choice(self._snapshots).items():
                self._disk.put(suffix, content)
            self.rests_until = self._environment.clock.seconds() + self._environment.plan.settle_s

    def lose(self) -> None:
        self._replaced()
        self.unusable = False
        for suffix in self._disk.files:
            self._disk.take_away(suffix)

    def harm_database(self) -> None:
        """Now and then both generations, so that people have to act."""
        if CURRENT in self._disk.files:
            self._random.choice((self.lose, self._restore, self._tear, self._edit, self._damage_both))()

    def replace_unusable(self) -> None:
        """After a start was refused: put a backup in its place where there is one, else begin with nothing."""
        if self._backups:
            self._restore()
        else:
            self.lose()

    def _restore(self) -> None:
        if self._backups:
            self._replaced()
            self.unusable = False
            self._disk.take_away(CURRENT)
            self._disk.put(PREVIOUS, self._random.choice(self._backups))

    def _tear(self) -> None:
        content = self._disk.files[CURRENT]
        self._damage(CURRENT, content[: self._random.randint(0, len(content) - 2)])

    def _edit(self) -> None:
        """By hand, with a brace too many."""
        self._damage(CURRENT, self._disk.files[CURRENT].replace(b"}", b"}}", 1))

    def _damage_both(self) -> None:
        for suffix in (CURRENT, PREVIOUS):
            self._damage(suffix, b"\0" * self._random.randint(0, 4096))

    def _damage(self, suffix: str, content: bytes) -> None:
        self._replaced()
        self._disk.put(suffix, content)
        self.ever_damaged = True
        self.unusable = self.unusable or suffix == PREVIOUS or PREVIOUS not in self._disk.files

    def _replaced(self) -> None:
        self.replaced_at.append(self._environment.clock.seconds())
        self._on_replaced()
