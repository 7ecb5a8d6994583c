"""``python -m pipetest.store.copy FROM TO``: everything of one database into an empty one of the other kind.

Either is ``tinydb:PATH``, ``postgresql://…`` or ``@FILE``, a file that holds such a URL: what a command line says,
everybody on the machine can read. It is all or nothing: after an interruption, run it again.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import ModuleType

from attrs import define

from pipetest.config.parsers import PostgresDatabase, TinyDatabase, database
from pipetest.domain.errors import DatabaseRefused
from pipetest.store.copy.content import End, Row, Target, summed
from pipetest.store.copy.tiny import TinySource, TinyTarget
from pipetest.store.tinydb.format import GISTS, SESSIONS, USERS

TABLES = (USERS, GISTS, SESSIONS)
TOGETHER = 1_000
USAGE = "python -m pipetest.store.copy FROM TO, each tinydb:PATH, postgresql://… or @FILE, a file that holds such a URL"
WIDTH = 40

Ends = tuple[End, Target]


@define
class Progress:
    """A bar on a terminal, and nothing elsewhere. ``total`` counts rows, each once copied and once checked."""

    total: int
    write: Callable[[str], object] | None
    _done: int = 0
    _shown: int = -1

    def seen(self, _: int) -> None:
        self._done += 1
        percent = 100 * self._done // max(1, self.total)
        if self.write is not None and percent != self._shown:
            self._shown = percent
            self.write(f"\r[{'#' * (WIDTH * percent // 100):{WIDTH}}] {percent:3} %")

    def end(self) -> None:
        if self.write is not None and self._shown >= 0:
            self.write("\n")


def copy(source: End, target: Target, progress: Progress) -> Mapping[str, int]:
    """Copy all, read it again from the target, and only then keep it; how many rows, by table.

    :raises DatabaseRefused: what is there is not what was read, or a database failed; the target is as it was.
    """
    about = source.about()
    target.put(about)
    put = {table: summed(_put(target, table, source.rows(table)), progress.seen) for table in TABLES}
    target.finish()
    found = {table: summed(target.rows(table), progress.seen) for table in TABLES}
    counted = {table: count for table, (count, _) in put.items()}
    if (found, target.about(), counted) != (put, about, dict(source.counts())):
        raise DatabaseRefused(f"{target.name} does not hold what {source.name} does: nothing was kept of the copy")
    target.commit()
    return counted


def _put(target: Target, table: str, rows: Iterable[Row]) -> Iterator[Row]:
    rows = iter(rows)
    while together := list(islice(rows, TOGETHER)):
        target.add(table, together)
        yield from together


def opened(given: str, other: str) -> Ends:
    """Both ends, open.

    :raises DatabaseRefused: one of them cannot be used as it is.
    """
    match _read("FROM", given), _read("TO", other):
        case TinyDatabase(path), PostgresDatabase(url):
            return _both(lambda: TinySource(path), lambda: _postgres().PostgresTarget(url))
        case PostgresDatabase(url), TinyDatabase(path):
            return _both(lambda: _postgres().PostgresSource(url), lambda: TinyTarget(path))
        case _:
            raise DatabaseRefused("FROM and TO are of one kind: copy the file, or use pg_dump and pg_restore")


def _both(source: Callable[[], End], target: Callable[[], Target]) -> Ends:
    first = source()
    try:
        return first, target()
    except BaseException:
        first.close()
        raise


def _read(what: str, given: str) -> TinyDatabase | PostgresDatabase:
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
        raise DatabaseRefused(f"PostgreSQL needs the extra: pip install 'pipetest[postgres]' ({e})") from None
    return postgres


def main(*arguments: str) -> str | None:
    """What went wrong, in one line."""
    if len(arguments) != len(("FROM", "TO")):
        return f"usage: {USAGE}"
    try:
        source, target = opened(*arguments)
        try:
            counted = _shown(source, target)
        finally:
            target.close()
            source.close()
    except DatabaseRefused as e:
        return f"pipetest: {e}"
    except OSError as e:
        return f"pipetest: {e.strerror}: {e.filename or 'TO'}; nothing was copied"
    except KeyboardInterrupt:
        return "pipetest: interrupted: nothing was copied; run it again"
    told = ", ".join(f"{count:,} {table}" for table, count in counted.items())
    sys.stdout.write(f"copied and compared: {told}\n")
    return None


def _shown(source: End, target: Target) -> Mapping[str, int]:
    terminal = sys.stderr.write if sys.stderr.isatty() else None
    progress = Progress(2 * sum(source.counts().values()), terminal)
    try:
        return copy(source, target, progress)
    finally:
        progress.end()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
