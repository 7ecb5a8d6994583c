"""Copies everything of one database into an empty one of the other kind, and compares them: all of it, or nothing."""

import sys
from collections.abc import Callable, Mapping
from itertools import islice, zip_longest
from pathlib import Path
from types import ModuleType

from pipetest.config.parsers import PostgresDatabase, TinyDatabase, database
from pipetest.domain.errors import DatabaseRefused
from pipetest.domain.text import number_of
from pipetest.store.copy.content import Source, Target
from pipetest.store.copy.tiny import TinySource, TinyTarget
from pipetest.store.refusals import without_extra
from pipetest.store.tinydb.format import FOUND_DEALS, GISTS, SESSIONS, USERS

TABLES = (USERS, GISTS, SESSIONS, FOUND_DEALS)
CHUNK = 1_000


def copy(source: Source, target: Target) -> Mapping[str, int]:
    """Copy all, read it again from both, and only then keep it; how many rows, by table.

    :raises DatabaseRefused: the target does not hold what the source does, or a database failed; the target is as it
        was.
    """
    target.put(source.about())
    copied = {table: _copy_table(source, target, table) for table in TABLES}
    target.finish()
    if not (copied == source.counts() and source.about() == target.about() and _same_rows(source, target)):
        raise DatabaseRefused(f"{target.name} does not hold what {source.name} does: nothing was kept of the copy")
    target.commit()
    return copied


def _copy_table(source: Source, target: Target, table: str) -> int:
    rows, count = source.rows(table), 0
    while chunk := list(islice(rows, CHUNK)):
        target.add(table, chunk)
        count += len(chunk)
    sys.stderr.write(f"copied {_counted(count, table)}\n")
    return count


def _counted(count: int, table: str) -> str:
    """For people."""
    return number_of(count, table.replace("_", " ").removesuffix("s"))


def _same_rows(source: Source, target: Target) -> bool:
    pairs = (pair for table in TABLES for pair in zip_longest(source.rows(table), target.rows(table)))
    return all(theirs == ours for theirs, ours in pairs)


def open_both(origin: str, destination: str) -> tuple[Source, Target]:
    """
    :raises DatabaseRefused: one of them cannot be used as it is.
    """
    match _parse("FROM", origin), _parse("TO", destination):
        case TinyDatabase(path), PostgresDatabase(url):
            return _open(lambda: TinySource(path), lambda: _postgres().PostgresTarget(url))
        case PostgresDatabase(url), TinyDatabase(path):
            return _open(lambda: _postgres().PostgresSource(url), lambda: TinyTarget(path))
        case _:
            raise DatabaseRefused("FROM and TO are of one kind: copy the file, or use pg_dump and pg_restore")


def _open(open_source: Callable[[], Source], open_target: Callable[[], Target]) -> tuple[Source, Target]:
    source = open_source()
    try:
        return source, open_target()
    except BaseException:
        source.close()
        raise


def _parse(what: str, given: str) -> TinyDatabase | PostgresDatabase:
    try:
        text = Path(given[1:]).read_text(encoding="utf-8").strip() if given.startswith("@") else given
        return database(text)
    except OSError as e:
        raise DatabaseRefused(f"{what}: cannot read {given[1:]}: {e.strerror}") from None
    except ValueError as e:
        raise DatabaseRefused(f"{what}: {e}") from None


def _postgres() -> ModuleType:
    try:
        from pipetest.store.copy import postgres
    except ImportError as e:
        raise DatabaseRefused(f"{without_extra()} ({e})") from None
    return postgres


def copy_named(origin: str, destination: str) -> Mapping[str, int]:
    """Copy one database to the other, both named as on the command line; how many rows, by table.

    :raises DatabaseRefused: nothing was copied; the text says why.
    """
    try:
        source, target = open_both(origin, destination)
        try:
            return copy(source, target)
        finally:
            target.close()
            source.close()
    except OSError as e:
        raise DatabaseRefused(f"{e.strerror}: {e.filename or 'TO'}; nothing was copied") from e


def summary(counts: Mapping[str, int]) -> str:
    return f"copied and compared: {', '.join(_counted(count, table) for table, count in counts.items())}"
