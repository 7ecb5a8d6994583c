"""A backup of a database that a daemon may be working on: whole, and marked as what it is, so that it can be put in the
database's place as it is."""

import os
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from msgspec import Struct

from pipetest.domain.errors import DatabaseRefused
from pipetest.store.tinydb import format as layout
from pipetest.store.tinydb.disk import LOCK, sync_folder
from pipetest.store.tinydb.generations import CURRENT, NEW, PREVIOUS, Tables, encoded
from pipetest.store.tinydb.inspection import Snapshot
from pipetest.store.tinydb.recovery import find


class Backup(Struct, frozen=True):
    """What was backed up, and how much is in it."""

    database: str
    file: str
    users: int
    gists: int


def back_up(database: Path, target: Path) -> Backup:
    """Write the last acknowledged state of ``database`` to ``target``, in the place of what is there. A start on it
    takes it for restored: what Pipedrive holds by then is looked at before anything is created.

    :raises DatabaseRefused: there is no database that could be used, or ``target`` is one of its own files, or none.
    :raises OSError: one of them cannot be read or written; ``target`` is as it was.
    """
    snapshot, target = Snapshot(database), Path(os.path.realpath(target))
    if target in (snapshot.at(suffix) for suffix in (CURRENT, NEW, PREVIOUS, LOCK)):
        raise DatabaseRefused(f"{target} is a file of the database itself: name another one for its backup")
    if target.exists() and not (target.is_file() or target.is_dir()):  # such as /dev/null, which root could replace
        raise DatabaseRefused(f"{target} is no file: name one, or a path where there is nothing yet")
    found = find(snapshot, {})
    if found.suffix is None:
        raise DatabaseRefused(f"{snapshot.path} does not exist: name it with PIPETEST_DATABASE_URL")
    if found.older_service:
        raise DatabaseRefused(f"{snapshot.path} is the older service's: start pipetest on it first")
    layout.mark_unreconciled(found.tables)
    _replace(target, found.tables)
    return Backup(snapshot.path, str(target), len(found.memory.users), found.memory.feed.length)


def _replace(target: Path, tables: Tables) -> None:
    """All of it is on disk before it gets its name. It holds sessions: only its owner may read it."""
    with NamedTemporaryFile(dir=target.parent, prefix=f"{target.name}.", delete=False) as file:
        try:
            file.writelines(encoded(tables))
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(target)
        except BaseException:
            with suppress(OSError):
                Path(file.name).unlink()
            raise
    sync_folder(target.parent)
