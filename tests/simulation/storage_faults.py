"""The machine: its disk fills and fails for a while, and what people do to the database while nobody runs."""

import json
from collections.abc import Callable
from contextlib import suppress
from errno import EIO, EROFS

from tests.simulation.environment import Environment
from tests.simulation.service_faults import HOUR_S
from tests.support.simulated_disk import Crash, Step, error

CURRENT, NEW, PREVIOUS = "", ".new", ".previous"

WRITING = frozenset({"create", "write", "fsync", "rename", "remove", "sync"})


class StorageFaults:
    """``strikes``: whether a process dies at this step of the disk. ``mishaps`` are the times at which a database was
    lost or became an older one, which ``forget`` is told; ``spoiled``: one was ever damaged from outside; ``ruined``:
    nothing on the disk can be used."""

    def __init__(self, environment: Environment, strikes: Callable[[], bool], forget: Callable[[], None]) -> None:
        self._environment = environment
        self._strikes = strikes
        self._forget = forget
        self._trouble = ""
        self._backups: list[bytes] = []
        self.mishaps: list[float] = []
        self.spoiled = self.ruined = False
        environment.disk.fault = self._step
        if environment.has("disk"):
            environment.events.every(8 * HOUR_S, self._begin_trouble)
        if environment.has("database"):
            environment.events.every(3 * HOUR_S, self._back_up)

    @property
    def well(self) -> bool:
        """Whether a database on this disk can be opened."""
        return not self._trouble and not self.ruined

    def mend(self) -> None:
        """The disk works from now on."""
        self._trouble = ""
        self._environment.disk.gone, self._environment.disk.capacity = False, None

    # --- the disk -----------------------------------------------------------------------------------------------------

    def _step(self, step: Step) -> BaseException | None:
        if self._strikes():
            return Crash()
        if self._trouble == "failing" and step.operation in WRITING and self._environment.chance(0.3):
            return error(EIO)
        if self._trouble == "read-only" and step.operation in WRITING:
            return error(EROFS)
        return None

    def _begin_trouble(self) -> None:
        self._trouble = self._environment.random.choice(("full", "failing", "read-only", "gone"))
        if self._trouble == "full":
            used = sum(len(content) for content in self._environment.disk.files.values())
            self._environment.disk.capacity = self._environment.random.randint(0, 2 * used)
        self._environment.disk.gone = self._trouble == "gone"
        self._environment.clock.callLater(self._environment.random.expovariate(1.0 / 1800.0), self.mend)

    # --- the database -------------------------------------------------------------------------------------------------

    def _back_up(self) -> None:
        content = self._environment.disk.files.get(CURRENT, b"")
        with suppress(ValueError):  # a damaged one is no backup
            json.loads(content)
            self._backups.append(content)

    def harm(self) -> None:
        """Somebody or something gets at the files; now and then at both generations, so that people have to act."""
        if CURRENT in self._environment.disk.files:
            self._environment.random.choice((self._lose, self._restore, self._tear, self._edit, self._ruin))()

    def rescue(self) -> None:
        """After a start was refused for it: a backup where there is one, else from nothing."""
        if self._backups:
            self._restore()
        else:
            self._lose()

    def _lose(self) -> None:
        self._note()
        self.ruined = False
        for suffix in self._environment.disk.files:
            self._environment.disk.take_away(suffix)

    def _restore(self) -> None:
        if self._backups:
            self._note()
            self.ruined = False
            self._environment.disk.take_away(CURRENT)
            self._environment.disk.put(PREVIOUS, self._environment.random.choice(self._backups))

    def _tear(self) -> None:
        content = self._environment.disk.files[CURRENT]
        self._spoil(CURRENT, content[: self._environment.random.randint(0, len(content) - 2)])

    def _edit(self) -> None:
        """By hand, with a brace too many."""
        self._spoil(CURRENT, self._environment.disk.files[CURRENT].replace(b"}", b"}}", 1))

    def _ruin(self) -> None:
        for suffix in (CURRENT, PREVIOUS):
            self._spoil(suffix, b"\0" * self._environment.random.randint(0, 4096))

    def _spoil(self, suffix: str, content: bytes) -> None:
        self._note()
        self._environment.disk.put(suffix, content)
        self.spoiled = True
        self.ruined = self.ruined or suffix == PREVIOUS or PREVIOUS not in self._environment.disk.files

    def _note(self) -> None:
        self.mishaps.append(self._environment.clock.seconds())
        self._forget()
