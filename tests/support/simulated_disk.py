"""A disk in memory that fails on demand, and forgets in a power cut what a real one may forget.

A :class:`SimDisk` belongs to the machine; each process has a :class:`SimFolder` of it, dead once the process is.
"""

from collections.abc import Callable, Sequence
from errno import ENOSPC, ESTALE
from os import strerror
from random import Random
from typing import TypeVar

from msgspec import Struct
from twisted.internet.defer import Deferred, fail, succeed

from pipetest.domain.errors import DatabaseRefused
from pipetest.store.tinydb.disk import DiskFile

T = TypeVar("T")


class Crash(BaseException):
    """The process ends here. No handler of its own sees this, as it is no ``Exception``."""


class Step(Struct, frozen=True):
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
    """Runs work at once; after a :class:`Crash` nothing follows: the result never comes."""
    try:
        return succeed(work())
    except Crash:
        return Deferred()
    except Exception:
        return fail()


class Inode:
    """A file's content, the first ``synced`` bytes of which survive a power cut."""

    def __init__(self, content: bytes | bytearray = b"", synced: int = 0) -> None:
        self.content = bytearray(content)
        self._synced = synced
        self._lost = False

    def sync(self) -> None:
        if not self._lost:
            self._synced = len(self.content)

    def lose(self) -> None:
        """An fsync has failed: what it should have written is gone, although reads show it and later fsyncs succeed
        (Linux)."""
        self._lost = True

    def as_synced(self) -> "Inode":
        """What a power cut leaves at least."""
        return Inode(self.content[: self._synced], self._synced)

    def after_power_cut(self, random: Random) -> "Inode":
        """Anything between what was synced and all; the rest is missing, or reads as zeros."""
        kept = random.randint(self._synced, len(self.content))
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
        self._holder: SimFolder | None = None
        self._random = random
        self._journal: list[Names] = [{}]

    def folder(self) -> "SimFolder":
        """The disk as a new process sees it."""
        return SimFolder(self)

    def kill(self) -> None:
        """The process is gone at once; what it wrote stays in the machine's memory."""
        holder, self._holder = self._holder, None
        if holder is not None:
            holder.die()

    def cut_power(self) -> None:
        """The machine stops: what was not synced survives in part, and the folder as it was at some moment since it
        was synced last."""
        self.kill()
        survivors = self._random.choice(self._journal)
        torn: dict[int, Inode] = {id(inode): inode.after_power_cut(self._random) for inode in survivors.values()}
        self._journal = [{name: torn[id(inode)] for name, inode in survivors.items()}]

    @property
    def journal(self) -> Sequence[Names]:
        """The folder at each moment since it was synced last, as a power cut may leave it; now is the last one."""
        return tuple(self._journal)

    def leave(self, journal: Sequence[Names]) -> None:
        """The process is gone, and nothing but this is left."""
        self.kill()
        self._journal = list(journal)

    # what a person may do
    @property
    def files(self) -> dict[str, bytes]:
        """Contents by suffix."""
        return {suffix: bytes(inode.content) for suffix, inode in self.names.items()}

    def put(self, suffix: str, content: bytes) -> None:
        self._journal = [self.names | {suffix: Inode(content, len(content))}]

    def take_away(self, suffix: str) -> None:
        self._journal = [{name: inode for name, inode in self.names.items() if name != suffix}]

    # what a process does
    def step(self, operation: str, suffix: str) -> None:
        """A process begins an operation, which may fail."""
        self.steps += 1
        if self.gone:
            raise error(ESTALE)
        if (fault := self.fault(Step(self.steps, operation, suffix))) is not None:
            if isinstance(fault, Crash):
                self.kill()
            raise fault

    def lock(self, folder: "SimFolder") -> None:
        if self._holder is not None:
            raise DatabaseRefused(f"{self.path} is in use by another process")
        self._holder = folder

    def unlock(self, folder: "SimFolder") -> None:
        if self._holder is folder:
            self._holder = None

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
        """As much as a failed write may have written."""
        return data[: self._random.randint(0, len(data))]


class SimFolder:
    """A :class:`~pipetest.store.tinydb.disk.Disk` of one process."""

    def __init__(self, disk: SimDisk) -> None:
        self._disk = disk
        self._dead = False

    def die(self) -> None:
        """Its process has ended."""
        self._dead = True

    @property
    def path(self) -> str:
        return self._disk.path

    def open(self) -> None:
        self.step("open", "")
        self._disk.lock(self)

    def exists(self, suffix: str) -> bool:
        self.step("exists", suffix)
        return suffix in self._disk.names

    def read(self, suffix: str) -> bytes | None:
        self.step("read", suffix)
        inode = self._disk.names.get(suffix)
        return None if inode is None else bytes(inode.content)

    def create(self, suffix: str) -> DiskFile:
        self.step("create", suffix)
        inode = Inode()
        self._disk.rewrite(self._disk.names | {suffix: inode})
        return _SimFile(self, suffix, inode)

    def rename(self, suffix: str, to: str) -> None:
        self.step("rename", suffix)
        names = dict(self._disk.names)
        names[to] = names.pop(suffix)
        self._disk.rewrite(names)

    def remove(self, suffix: str) -> None:
        self.step("remove", suffix)
        self._disk.rewrite({name: inode for name, inode in self._disk.names.items() if name != suffix})

    def sync(self) -> None:
        self.step("sync", "")
        self._disk.sync()

    def close(self) -> None:
        self._disk.unlock(self)

    def step(self, operation: str, suffix: str) -> None:
        if self._dead:
            raise Crash
        self._disk.step(operation, suffix)

    def append(self, inode: Inode, suffix: str, data: bytes) -> None:
        try:
            self.step("write", suffix)
            if len(data) > self._disk.room():
                raise error(ENOSPC)
        except BaseException:
            inode.content += self._disk.part_of(data[: self._disk.room()])
            raise
        inode.content += data


class _SimFile:
    def __init__(self, folder: SimFolder, suffix: str, inode: Inode) -> None:
        self._folder = folder
        self._suffix = suffix
        self._inode = inode

    def write(self, data: bytes) -> None:
        self._folder.append(self._inode, self._suffix, data)

    def sync(self) -> None:
        try:
            self._folder.step("fsync", self._suffix)
        except BaseException:
            self._inode.lose()
            raise
        self._inode.sync()

    def close(self) -> None: ...
