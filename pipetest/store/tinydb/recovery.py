"""Which database a start finds, and what it does to it before the first change."""

import errno
import os
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path

from msgspec import Struct
from twisted.logger import Logger

from pipetest.domain.errors import DatabaseRefused
from pipetest.store.refusals import newer_format, other_roots
from pipetest.store.tinydb import format as layout
from pipetest.store.tinydb.disk import Disk, ReadableDisk
from pipetest.store.tinydb.format import FORMAT, Newer, Unusable
from pipetest.store.tinydb.generations import CURRENT, NEW, PREVIOUS, Generations, Tables, write
from pipetest.store.tinydb.memory import Memory

DAMAGED = ".damaged"
OLDER_SERVICE = ".older-service"

_log = Logger()


class FoundGeneration(Struct, frozen=True):
    """The generation to go on from. ``suffix`` is its file's, None for a new database; ``older_service``: whether
    the older service wrote it."""

    suffix: str | None
    tables: Tables
    memory: Memory
    older_service: bool = False


class Opened(Struct, frozen=True):
    storage: Generations
    memory: Memory


def open_database(disk: Disk, roots: Mapping[str, str], before_takeover: Callable[[], None]) -> Opened:
    """Take the lock, find the last good generation and make it the current one; ``before_takeover`` is called before
    that is done with the older service's.

    :raises DatabaseRefused: there is none, it is somebody else's, or the folder cannot be used; its files are as they
        were.
    """
    try:
        disk.open()
        try:
            found = find(disk, roots)
            if found.older_service:
                before_takeover()
            storage = Generations(disk, found.tables)
            _prepare(disk, found, storage)
        except BaseException:
            disk.close()
            raise
    except OSError as e:
        raise DatabaseRefused(f"{disk.path} cannot be used: {e.strerror or e}{_remedy(e)}") from e
    return Opened(storage, found.memory)


def _remedy(error: OSError) -> str:
    told = isinstance(error.filename, str | os.PathLike)  # else there is none, or only a descriptor
    name = Path(error.filename).name if told else ""
    match error.errno:
        case errno.EISDIR if name:
            return f"; move {name} away, or give the database another path"
        case errno.EACCES | errno.EPERM:
            return f"; user {os.geteuid()} needs to write to its folder and to own its files: see {name}"
        case errno.EBUSY | errno.EXDEV:
            return "; a commit puts a new file in its place: mount its folder, not the file alone"
        case errno.EINVAL | errno.ENOTSUP:
            return "; its file system cannot make a change durable (fsync): give the database a place on another one"
        case errno.ENOSPC | errno.EDQUOT:
            return "; make room"
        case errno.ENOENT | errno.ENOTDIR | errno.EROFS:
            return "; give the database another path"
        case _:
            return ""


def find(disk: ReadableDisk, roots: Mapping[str, str]) -> FoundGeneration:
    """The current generation, else the previous one, else the older service's, else a new one when there is nothing.

    The older service leaves ``{}`` when it has read nothing, and a slip may leave the same of a database of ours: so a
    previous generation of ours is preferred to that.
    """
    older, faults = None, {}
    for suffix in (CURRENT, PREVIOUS):
        try:
            found = _read(disk, suffix, roots)
        except Unusable as e:
            faults[suffix] = str(e)
        except Newer as e:
            raise newer_format(f"{disk.path}{suffix}", e.version, FORMAT) from e
        else:
            if found is not None and not found.older_service:
                return _with_roots(f"{disk.path}{suffix}", found, roots)
            older = older or found
    if older is None and faults:
        raise _refused(disk, faults)
    return older or _new(roots)


def _new(roots: Mapping[str, str]) -> FoundGeneration:
    tables = layout.new(roots)
    return FoundGeneration(None, tables, Memory.of(tables))


def _refused(disk: ReadableDisk, faults: Mapping[str, str]) -> DatabaseRefused:
    found = ", ".join(f"{disk.path}{suffix} {fault}" for suffix, fault in faults.items())
    one, all_of_it = ("it", "it") if len(faults) == 1 else ("one", "both")
    return DatabaseRefused(
        f"{found}: repair {one}; or move {all_of_it} away and put a backup at {disk.path}{PREVIOUS}; "
        f"or move {all_of_it} away to start anew"
    )


def _read(disk: ReadableDisk, suffix: str, roots: Mapping[str, str]) -> FoundGeneration | None:
    if (data := disk.read(suffix)) is None:
        return None
    try:
        tables, older_service = layout.read(data), False
    except Unusable:
        if (older := layout.read_older_service(data, roots)) is None:
            raise
        tables, older_service = older, True
    del data  # as large as the tables, which are now read once more
    return FoundGeneration(suffix, tables, Memory.of(tables), older_service)


def _with_roots(path: str, found: FoundGeneration, roots: Mapping[str, str]) -> FoundGeneration:
    """The database of these services. One that has recorded nothing yet may become theirs.

    :raises DatabaseRefused: it is that of others.
    """
    refusal = other_roots(path, found.memory.roots, roots)
    if refusal is None:
        return found
    if found.memory.users:
        raise refusal
    layout.give_to(found.tables, roots)
    found.memory.give_to(roots)
    return found


def _prepare(disk: Disk, found: FoundGeneration, storage: Generations) -> None:
    if found.suffix == CURRENT and not found.older_service:
        storage.rewrite()  # so that what no commit could replace is refused now
    else:
        _take_over(disk, found, storage)
    if found.memory.unreconciled:
        _log.info("{path}: {what}", event="database_prepared", path=disk.path, what=_description(found))


def _take_over(disk: Disk, found: FoundGeneration, storage: Generations) -> None:
    """Before the first change: keep what would be overwritten, and mark as unreconciled what may be."""
    if found.suffix is not None and found.older_service:
        _keep_copy(disk, found.suffix)
    _mark_unreconciled(found)
    damaged = found.suffix == PREVIOUS and disk.exists(CURRENT)
    aside = _free_name(disk, DAMAGED) if damaged else PREVIOUS
    storage.flush(aside)
    if damaged:
        _log.error(
            "{path} was damaged and is kept as {path}{aside}", event="database_damaged", path=disk.path, aside=aside
        )


def _description(found: FoundGeneration) -> str:
    if found.suffix is None:
        return "a new database"
    if found.older_service:
        return "the older service's database is taken over"
    if found.suffix == PREVIOUS:
        return "the previous generation is used"
    return "it was restored, or never compared with Pipedrive; that is done before anything is created"


def _mark_unreconciled(found: FoundGeneration) -> None:
    """A process that wrote a later generation, or the older service, may have created what these tables lack."""
    layout.mark_unreconciled(found.tables)
    found.memory.mark_unreconciled()


def _keep_copy(disk: Disk, suffix: str) -> None:
    """Copy the older service's file, which stays until ours replaces it. A start that is repeated finds the copy."""
    older = disk.read(suffix) or b""
    if disk.read(OLDER_SERVICE) != older:
        write(disk, NEW, iter([older]))
        disk.rename(NEW, _free_name(disk, OLDER_SERVICE))


def _free_name(disk: Disk, suffix: str) -> str:
    """``suffix``, or with the first number that no file has yet."""
    names = (suffix if number == 1 else f"{suffix}-{number}" for number in count(1))
    return next(name for name in names if not disk.exists(name))
