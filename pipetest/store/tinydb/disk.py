"""The files of a database: one folder, opened once, under a lock. Which file is written when is for
:mod:`pipetest.store.tinydb.generations` to decide.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import ESTALE
from pathlib import Path
from typing import Protocol

from pipetest.domain.errors import DatabaseRefused

CLOSED = -1
"""Not a descriptor: every call with it fails, where None would mean the working directory."""


class DiskFile(Protocol):
    """A new file, open for writing from its start."""

    def write(self, data: bytes) -> None: ...

    def sync(self) -> None:
        """What was written survives a power loss once this returned."""

    def close(self) -> None: ...


class Disk(Protocol):
    """The files of one database, each named by what follows the database's own name. All of it blocks, and raises
    ``OSError``."""

    @property
    def path(self) -> str:
        """The database's path, for people."""

    def open(self) -> None:
        """Make the folder where it is missing, and take the lock.

        :raises DatabaseRefused: another process has it.
        """

    def exists(self, suffix: str) -> bool: ...

    def read(self, suffix: str) -> bytes | None:
        """The whole file, None where there is none."""

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


class FolderDisk:
    """A database's files in a real folder, for their owner only."""

    def __init__(self, path: str) -> None:
        self._path = Path(path).absolute()  # a daemon may change its working directory
        self._folder = self._lock = CLOSED

    @property
    def path(self) -> str:
        return str(self._path)

    def open(self) -> None:
        _make_folder(self._path.parent)
        try:
            self._folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            self._lock = os.open(self._name(".lock"), os.O_RDWR | os.O_CREAT, 0o600, dir_fd=self._folder)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            self.close()
            raise DatabaseRefused(
                f"{self.path} is in use by another process: stop that one, or give this one a database of its own"
            ) from e
        except OSError:
            self.close()
            raise

    def exists(self, suffix: str) -> bool:
        try:
            os.stat(self._name(suffix), dir_fd=self._folder, follow_symlinks=False)
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
        self._check_folder()
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

    def close(self) -> None:
        for descriptor in (self._lock, self._folder):
            if descriptor != CLOSED:
                os.close(descriptor)
        self._lock = self._folder = CLOSED

    def _name(self, suffix: str) -> str:
        return self._path.name + suffix

    def _check_folder(self) -> None:
        """:raises OSError: the path leads to another folder by now, where no start would find what is written here."""
        here, there = os.fstat(self._folder), self._path.parent.stat()
        if not os.path.samestat(here, there):
            raise OSError(ESTALE, "its folder was replaced by another", self.path)


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
    with _open_folder(folder.parent) as descriptor:
        os.fsync(descriptor)


@contextmanager
def _open_folder(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
