"""A disk in memory that fails on demand, and forgets in a power cut what a real one may forget.

A :class:`SimDisk` is the machine's; each process has a :class:`SimFolder` of it, dead once the process is.
"""

from collections.abc import Callable
from errno import ENOSPC, ESTALE
from os import strerror
from random import Random
from typing import TypeVar

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, fail, succeed

from pipetest.domain.errors import DatabaseRefused
from pipetest.store.tinydb.disk import DiskFile

T = TypeVar("T")


class Crash(BaseException):
    """The process ends here: no handler of its own sees this."""


@frozen
class Step:
    """An operation on the disk, counted from 1 since the disk was made."""

    number: int
    operation: str
    suffix: str


Fault = Callable[[Step], BaseException | None]


def no_fault(step: Step) -> BaseException | None:
    return None


def error(number: int) -> OSError:
    return OSError(number, strerror(number))


def run(work: Callable[[], T]) -> "Deferred[T]":
    """Runs work at once; after a :class:`Crash` nothing follows any more."""
    try:
        return succeed(work())
    except Crash:
        return Deferred()
    except Exception:
        return fail()


@define(eq=False)
class Inode:
    """``synced``: so many bytes survive a power cut. ``lost``: an fsync has failed; what it was about is gone, although
    reads show it and later fsyncs succeed (Linux)."""

    content: bytearray = field(factory=bytearray)
    synced: int = 0
    lost: bool = False

    def sync(self) -> None:
        if not self.lost:
            self.synced = len(self.content)

    def after_power_cut(self, random: Random) -> "Inode":
        """Anything between what was synced and all; the rest is missing, or reads as zeros."""
        kept = random.randint(self.synced, len(self.content))
        content = self.content[:kept]
        if random.random() < 0.5:
            content += bytes(len(self.content) - kept)
        return Inode(content, len(content))


Names = dict[str, Inode]


class SimDisk:
    """One folder with one database. ``fault`` is asked before each step: what it returns is raised there.

    :ivar capacity: bytes that all files together may have.
    :ivar gone: the folder has disappeared.
    """

    def __init__(self, random: Random, path: str = "/db/db.json") -> None:
        self.path = path
        self.fault: Fault = no_fault
        self.capacity: int | None = None
        self.gone = False
        self.steps = 0
        self.holder: SimFolder | None = None
        self._random = random
        self._journal: list[Names] = [{}]

    def folder(self) -> "SimFolder":
        """The disk as a new process sees it."""
        return SimFolder(self)

    def kill(self) -> None:
        """The process is gone at once; what it wrote stays in the machine's memory."""
        if self.holder is not None:
            self.holder.dead, self.holder = True, None

    def cut_power(self) -> None:
        """The machine stops: what was not synced survives in part, and the folder as it was at some moment since it
        was synced last."""
        self.kill()
        survivors = self._random.choice(self._journal)
        torn: dict[int, Inode] = {id(inode): inode.after_power_cut(self._random) for inode in survivors.values()}
        self._journal = [{name: torn[id(inode)] for name, inode in survivors.items()}]

    # what a person may do
    @property
    def files(self) -> dict[str, bytes]:
        """Contents by suffix."""
        return {suffix: bytes(inode.content) for suffix, inode in self.names.items()}

    def put(self, suffix: str, content: bytes) -> None:
        self._journal = [self.names | {suffix: Inode(bytearray(content), len(content))}]

    def take_away(self, suffix: str) -> None:
        self._journal = [{name: inode for name, inode in self.names.items() if name != suffix}]

    # what a process does
    @property
    def names(self) -> Names:
        return self._journal[-1]

    def rewrite(self, names: Names) -> None:
        """The folder changes; until it is synced, a power cut may undo that."""
        self._journal.append(names)

    def sync(self) -> None:
        del self._journal[:-1]

    def room(self) -> int:
        used = sum(len(inode.content) for inode in self.names.values())
        return 1 << 40 if self.capacity is None else max(0, self.capacity - used)

    def part_of(self, data: bytes) -> bytes:
        """What of a write has happened when it failed."""
        return data[: self._random.randint(0, len(data))]


class SimFolder:
    """A :class:`~pipetest.store.tinydb.disk.Disk` of one process."""

    def __init__(self, machine: SimDisk) -> None:
        self._machine = machine
        self.dead = False

    @property
    def path(self) -> str:
        return self._machine.path

    def open(self) -> None:
        self.step("open", "")
        if self._machine.holder is not None:
            raise DatabaseRefused(f"{self.path} is in use by another process")
        self._machine.holder = self

    def exists(self, suffix: str) -> bool:
        self.step("exists", suffix)
        return suffix in self._machine.names

    def read(self, suffix: str) -> bytes | None:
        self.step("read", suffix)
        inode = self._machine.names.get(suffix)
        return None if inode is None else bytes(inode.content)

    def create(self, suffix: str) -> DiskFile:
        self.step("create", suffix)
        inode = Inode()
        self._machine.rewrite(self._machine.names | {suffix: inode})
        return _SimFile(self, suffix, inode)

    def rename(self, suffix: str, to: str) -> None:
        self.step("rename", suffix)
        names = dict(self._machine.names)
        names[to] = names.pop(suffix)
        self._machine.rewrite(names)

    def remove(self, suffix: str) -> None:
        self.step("remove", suffix)
        self._machine.rewrite({name: inode for name, inode in self._machine.names.items() if name != suffix})

    def sync(self) -> None:
        self.step("sync", "")
        self._machine.sync()

    def close(self) -> None:
        if self._machine.holder is self:
            self._machine.holder = None

    def step(self, operation: str, suffix: str) -> None:
        machine = self._machine
        if self.dead:
            raise Crash
        machine.steps += 1
        if machine.gone:
            raise error(ESTALE)
        if (fault := machine.fault(Step(machine.steps, operation, suffix))) is not None:
            if isinstance(fault, Crash):
                machine.kill()
            raise fault

    def append(self, inode: Inode, suffix: str, data: bytes) -> None:
        try:
            self.step("write", suffix)
            if len(data) > self._machine.room():
                raise error(ENOSPC)
        except BaseException:
            inode.content += self._machine.part_of(data[: self._machine.room()])
            raise
        inode.content += data


@frozen
class _SimFile:
    _folder: SimFolder
    _suffix: str
    _inode: Inode

    def write(self, data: bytes) -> None:
        self._folder.append(self._inode, self._suffix, data)

    def sync(self) -> None:
        try:
            self._folder.step("fsync", self._suffix)
        except BaseException:
            self._inode.lost = True
            raise
        self._inode.sync()

    def close(self) -> None: ...
