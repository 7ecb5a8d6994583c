"""Whether the database can be used as it is, without touching it."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipetest.cli.check.line import CheckLine, fault, ok
from pipetest.cli.outcome import parted
from pipetest.config.parsers import PostgresDatabase, TinyDatabase
from pipetest.config.settings import Settings
from pipetest.domain.errors import DatabaseRefused
from pipetest.domain.text import number_of
from pipetest.store.tinydb.inspection import Snapshot

SUBJECT = "database"


def check_database(settings: Settings) -> Iterator[CheckLine]:
    match settings.database:
        case TinyDatabase(path):
            yield from _tinydb(Snapshot(path), settings.roots)
        case PostgresDatabase(url):
            try:  # psycopg is an extra
                from pipetest.store.postgres.inspection import inspect
            except ImportError:
                remedy = "Install it: pip install 'pipetest[postgres]'"
                yield fault(SUBJECT, "for PostgreSQL the extra postgres is missing", remedy)
                return
            try:
                yield ok(SUBJECT, inspect(url, settings.roots))
            except DatabaseRefused as e:
                yield fault(SUBJECT, *parted(e))


def daemon_runs(settings: Settings) -> bool:
    """Whether one has the database of these settings, where that can be told."""
    match settings.database:
        case TinyDatabase(path):
            try:
                return Snapshot(path).in_use()
            except OSError:
                return False
        case _:
            return False


def _tinydb(snapshot: Snapshot, roots: Mapping[str, str]) -> Iterator[CheckLine]:
    try:
        yield _folder(snapshot.folder)
        found = snapshot.find(roots)
        used = snapshot.in_use()
    except DatabaseRefused as e:
        yield fault(SUBJECT, *parted(e))
    except OSError as e:
        yield fault(SUBJECT, f"{e.filename}: {e.strerror}", f"User {os.geteuid()} has to be able to read it")
    else:
        users, gists = len(found.memory.users), found.memory.feed.length
        content = f"{number_of(gists, 'gist')} of {number_of(users, 'user')}"
        held = "a new one is made at the first start" if found.suffix is None else content
        older = ", the older service's: it is taken over at the first start" if found.older_service else ""
        yield ok(SUBJECT, f"{snapshot.path}: {held}{older}{', in use by a daemon that runs' if used else ''}")


def _folder(folder: Path) -> CheckLine:
    """A start makes the folder where it is missing."""
    exists = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not os.access(exists, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        text = f"user {os.geteuid()} may not write to {exists}"
        return fault(
            SUBJECT, text, "Give it to the user that pipetest runs as, or name another with PIPETEST_DATABASE_URL"
        )
    return ok(SUBJECT, f"{folder} {'can be written' if exists == folder else 'can be made'}")
