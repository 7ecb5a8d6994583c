"""A database as it lies on the disk, looked at while a daemon may work on it: nothing is made, locked or changed."""

import fcntl
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pipetest.store.tinydb.disk import LOCK, refuse_irreplaceable
from pipetest.store.tinydb.recovery import FoundGeneration, find

ATTEMPTS = 100
"""Between the two renames of a commit there is no current generation, for an instant."""


class Snapshot:
    """The files of a database, for :func:`~pipetest.store.tinydb.recovery.find`. What is not there is looked for
    again and again: of a running daemon the current generation always is, but for an instant."""

    def __init__(self, path: Path) -> None:
        self._path = Path(os.path.realpath(path))

    @property
    def path(self) -> str:
        return str(self._path)

    @property
    def folder(self) -> Path:
        return self._path.parent

    def read(self, suffix: str) -> bytes | None:
        for _ in range(ATTEMPTS):
            with suppress(FileNotFoundError):
                return self.at(suffix).read_bytes()
        return None

    def in_use(self) -> bool:
        """Whether a daemon has it. The lock is tried for an instant, with others who only look."""
        try:
            lock = os.open(self.at(LOCK), os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def find(self, roots: Mapping[str, str]) -> FoundGeneration:
        """What a start would find.

        :raises DatabaseRefused: a start would be refused.
        """
        with suppress(FileNotFoundError):
            refuse_irreplaceable(self._path.lstat(), self.path)
        return find(self, roots)

    def at(self, suffix: str) -> Path:
        """Where the file with this suffix is."""
        return self._path.with_name(self._path.name + suffix)
