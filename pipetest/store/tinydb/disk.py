"""The files of a database: one folder, opened once, under a lock. Which file is written when is for
:mod:`pipetest.store.tinydb.generations` to decide.
"""

import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from pipetest.domain.errors import DatabaseRefused

LOCK = ".lock"
"""What follows the database's name in that of its lock file."""

CLOSED = -1
"""Not a descriptor: every call with it fails, where None would mean the working directory."""


class DiskFile(Protocol):
    """A new file, open for writing from its start."""

    def write(self, data: bytes) -> None: ...

    def sync(self) -> None:
        """What was written survives a power loss once this returned."""

    def close(self) -> None: ...


class ReadableDisk(Protocol):
    """The files of one database, each named by what follows the database's own name. All of it blocks, and raises
    ``OSError``."""

    @property
    def path(self) -> str:
        """The database's path, for people."""

    def read(self, suffix: str) -> bytes | None:
        """The whole file, None where there is none."""


class Disk(ReadableDisk, Protocol):
    """One that can be written, too."""

    def open(self) -> None:
        """Make the folder where it is missing, and take the lock.

        :raises DatabaseRefused: another process has it.
        """

    def exists(self, suffix: str) -> bool: ...

    def create(self, suffix: str) -> DiskFile:
        """A new file in the place of whatever has this name."""

    def rename(self, suffix: str, to: str) -> None:
        """Atomic; what was at ``to`` is replaced."""

    def remove(self, suffix: str) -> None:
        """Nothing happens where there is none."""

    def sync(self) -> None:
        """What was created, renamed and removed survives a power loss once this returned."""

    def close(self) -> None:
        """Let go of the lock."""


Stamp = tuple[int, int, int]
"""What tells a file from every other, also where its volume is mounted again on another device: the number of its
inode, its size, and the time of its last change."""


class FolderDisk:
    """A database's files in a real folder, for their owner only.

    A symbolic link is followed once, when it is opened: lock, new and previous generation lie beside its target.
    """

    def __init__(self, path: str) -> None:
        try:
            self._given = Path(path).absolute()  # a daemon may change its working directory
        except FileNotFoundError:
            gone = f"{path}: the folder in which pipetest is started was deleted: start it in one that exists"
            raise DatabaseRefused(gone) from None
        self._path = self._given
        self._folder = self._lock = CLOSED
        self._written: Stamp | None = None

    @property
    def path(self) -> str:
        return str(self._path)

    def open(self) -> None:
        self._path = _target(self._given)
        _make_folder(self._path.parent)
        self._open()
        try:
            self._refuse_what_no_commit_may_replace()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        try:
            self._folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            self._lock = os.open(self._name(LOCK), os.O_RDWR | os.O_CREAT, 0o600, dir_fd=self._folder)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            self.close()
            raise DatabaseRefused(
                f"{self.path} is in use by another process: stop that one, or give this one a database of its own"
            ) from e
        except OSError:
            self.close()
            raise

    def _refuse_what_no_commit_may_replace(self) -> None:
        try:
            file = os.lstat(self._name(""), dir_fd=self._folder)
        except FileNotFoundError:
            return
        refuse_irreplaceable(file, self.path)

    def exists(self, suffix: str) -> bool:
        try:
            os.lstat(self._name(suffix), dir_fd=self._folder)
        except FileNotFoundError:
            return False
        return True

    def read(self, suffix: str) -> bytes | None:
        try:
            file = os.open(self._name(suffix), os.O_RDONLY, dir_fd=self._folder)
        except FileNotFoundError:
            return None
        with os.fdopen(file, "rb") as readable:
            return readable.read()

    def create(self, suffix: str) -> DiskFile:
        self._stay()
        # A new inode: after a failed fsync, Linux counts the old one's lost pages as written.
        self.remove(suffix)
        return _FolderFile(
            os.open(self._name(suffix), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=self._folder)
        )

    def rename(self, suffix: str, to: str) -> None:
        os.rename(self._name(suffix), self._name(to), src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def remove(self, suffix: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self._name(suffix), dir_fd=self._folder)

    def sync(self) -> None:
        os.fsync(self._folder)
        self._written = _stamp(self._name(""), self._folder)

    def close(self) -> None:
        for descriptor in (self._lock, self._folder):
            if descriptor != CLOSED:
                os.close(descriptor)
        self._lock = self._folder = CLOSED

    def _name(self, suffix: str) -> str:
        return self._path.name + suffix

    def _stay(self) -> None:
        """See that the path still leads to what was opened. A volume that was mounted again, on whichever device, is
        opened anew where it holds what was written last.

        :raises OSError: it leads elsewhere, where no start would find what is written here; or another process may
            have the database.
        """
        path = _target(self._given)
        folder = path.parent.stat()
        if path.name == self._path.name and self._has_opened(folder):
            return
        found = _stamp(path)
        if found is None or found != self._written:
            raise OSError("its folder was replaced by another")
        self.close()
        self._path = path
        try:
            self._open()
        except DatabaseRefused as e:
            raise OSError("another process has it by now") from e

    def _has_opened(self, folder: os.stat_result) -> bool:
        """Whether that is the folder, and its lock file the one that is locked."""
        if self._folder == CLOSED or not os.path.samestat(os.fstat(self._folder), folder):
            return False
        try:
            lock = os.lstat(self._name(LOCK), dir_fd=self._folder)
        except FileNotFoundError:
            return False
        return os.path.samestat(os.fstat(self._lock), lock)


def refuse_irreplaceable(file: os.stat_result, path: str) -> None:
    """
    :raises DatabaseRefused: a commit would not change what other names of the file show.
    """
    if stat.S_ISDIR(file.st_mode):
        return  # its reader says so
    if not stat.S_ISREG(file.st_mode):
        raise DatabaseRefused(f"{path} is no file: name one, or a path where there is nothing yet")
    if file.st_nlink > 1:
        raise DatabaseRefused(
            f"{path} has {file.st_nlink} hard links, and a commit would replace this one alone: remove the "
            "others, or copy the file, and put the copy in its place"
        )


def _target(path: Path) -> Path:
    """Where a symbolic link leads, or the path itself."""
    return Path(os.path.realpath(path))


def _stamp(path: Path | str, folder: int | None = None) -> Stamp | None:
    """None where there is no file."""
    try:
        file = os.stat(path, dir_fd=folder)
    except FileNotFoundError:
        return None
    return file.st_ino, file.st_size, file.st_mtime_ns


class _FolderFile:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


def _make_folder(folder: Path) -> None:
    """Make a folder, and the ones above it, so that they survive a power loss."""
    if folder.exists():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """What was created, renamed and removed in it survives a power loss once this returned."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
