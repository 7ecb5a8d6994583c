"""Which database a start finds, and what it does to it before the first change."""

import os
from collections.abc import Mapping
from itertools import count

from attrs import frozen
from twisted.logger import Logger

from pipetest.domain.errors import DatabaseRefused
from pipetest.store.tinydb import format as layout
from pipetest.store.tinydb.disk import Disk
from pipetest.store.tinydb.format import ABOUT, ABOUT_ID, USERS, Newer, Unusable
from pipetest.store.tinydb.generations import CURRENT, NEW, PREVIOUS, Generations, Tables, write
from pipetest.store.tinydb.memory import Memory, remember

DAMAGED = ".damaged"
OLDER_SERVICE = ".older-service"

_log = Logger()


@frozen
class Found:
    """The generation to go on from. ``suffix`` is its file, None for a new database; ``older``: the older service
    wrote it."""

    suffix: str | None
    tables: Tables
    memory: Memory
    older: bool = False


@frozen
class Opened:
    storage: Generations
    memory: Memory


def open_database(disk: Disk, roots: Mapping[str, str]) -> Opened:
    """Take the lock, find the last good generation and make it the current one.

    :raises DatabaseRefused: there is none, it is somebody else's, or the folder cannot be used; its files are as they
        were.
    """
    try:
        disk.open()
        try:
            found = find(disk, roots)
            storage = Generations(disk, found.tables)
            _settle_in(disk, found, storage)
        except BaseException:
            disk.close()
            raise
    except PermissionError as e:
        needed = f"user {os.geteuid()} needs to write to its folder"
        raise DatabaseRefused(f"{disk.path} cannot be used: {e.strerror}; {needed}") from e
    except OSError as e:
        raise DatabaseRefused(f"{disk.path} cannot be used: {e.strerror}") from e
    return Opened(storage, found.memory)


def find(disk: Disk, roots: Mapping[str, str]) -> Found:
    """The current generation, else the previous one, else the older service's, else a new one when there is nothing.

    What the older service leaves when it has read nothing, ``{}``, is also what a slip leaves of a database of ours.
    """
    older, faults = None, {}
    for suffix in (CURRENT, PREVIOUS):
        try:
            found = _understood(disk, suffix, roots)
        except Unusable as e:
            faults[suffix] = str(e)
        except Newer as e:
            raise DatabaseRefused(f"{disk.path}{suffix} {e}: install the version that wrote it") from e
        else:
            if found is not None and not found.older:
                _check_roots(f"{disk.path}{suffix}", found.memory.about.roots, roots)
                return found
            older = older or found
    if older is None and faults:
        raise _refused(disk, faults)
    return older or _new(roots)


def _new(roots: Mapping[str, str]) -> Found:
    tables = layout.new(roots)
    return Found(None, tables, remember(tables))


def _refused(disk: Disk, faults: Mapping[str, str]) -> DatabaseRefused:
    said = ", ".join(f"{disk.path}{suffix} {fault}" for suffix, fault in faults.items())
    return DatabaseRefused(
        f"{said}: mend it; or move it away and put a backup at {disk.path}{PREVIOUS}; or move it away to start anew"
    )


def _understood(disk: Disk, suffix: str, roots: Mapping[str, str]) -> Found | None:
    if (data := disk.read(suffix)) is None:
        return None
    try:
        tables, older = layout.read(data), False
    except Unusable:
        if (taken_over := layout.taken_over(data, roots)) is None:
            raise
        tables, older = taken_over, True
    del data  # as large as the tables, which are now to be read once more
    return Found(suffix, tables, remember(tables), older)


def _check_roots(path: str, stored: Mapping[str, str], given: Mapping[str, str]) -> None:
    for service, root in given.items():
        if (other := stored.get(service)) != root:
            raise DatabaseRefused(
                f"{path} belongs to {service} at {other}, and the settings say {root}: "
                "give each its own database, or set the root back"
            )


def _settle_in(disk: Disk, found: Found, storage: Generations) -> None:
    """Before the first change: what would be overwritten is kept, and marks that may be wrong are dropped."""
    if found.suffix == CURRENT and not found.older:
        disk.create(NEW).close()  # so that a folder that cannot be written is refused now
        disk.remove(NEW)
        return
    if found.suffix is not None and found.older:
        _keep_copy(disk, found.suffix)
    _unmark(found)
    damaged = found.suffix == PREVIOUS and disk.exists(CURRENT)
    aside = _unused(disk, DAMAGED) if damaged else PREVIOUS
    storage.flush(aside)
    if damaged:
        _log.error("{path} was damaged and is kept as {path}{aside}", path=disk.path, aside=aside)
    _log.info("{path}: {what}", path=disk.path, what=_told(found))


def _told(found: Found) -> str:
    if found.suffix is None:
        return "a new database"
    return "the older service's database is taken over" if found.older else "the previous generation is used"


def _unmark(found: Found) -> None:
    """An earlier life may have created what these tables don't know."""
    found.tables[ABOUT][ABOUT_ID]["unmarked"] = found.memory.about.unmarked = True
    for row in found.tables[USERS].values():
        row["listed_at"] = None
    found.memory.unlist()


def _keep_copy(disk: Disk, suffix: str) -> None:
    """Keep the older service's file. A copy, so that there is never no database; begun again, it finds it made."""
    older = disk.read(suffix) or b""
    if disk.read(OLDER_SERVICE) != older:
        write(disk, NEW, iter([older]))
        disk.rename(NEW, _unused(disk, OLDER_SERVICE))


def _unused(disk: Disk, suffix: str) -> str:
    """A name beside that nothing has yet."""
    names = (suffix if number == 1 else f"{suffix}-{number}" for number in count(1))
    return next(name for name in names if not disk.exists(name))
