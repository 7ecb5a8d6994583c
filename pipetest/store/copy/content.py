"""What a database holds, in a form that every store can give and take: rows as TinyDB's file has them.

Times are rounded to the microsecond and texts are without NUL, as PostgreSQL holds them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from pipetest.domain.model import Quarantined, State
from pipetest.domain.text import EARLIEST, LATEST
from pipetest.store.postgres.rows import text
from pipetest.store.tinydb.format import FoundDealRow, GistRow, SessionRow, UserRow

Row = UserRow | GistRow | SessionRow | FoundDealRow


class About(Struct, frozen=True):
    """What there is beside the rows: the roots that all belongs to, and the small values."""

    roots: Mapping[str, str]
    values: Mapping[str, Any]


class Source(Protocol):
    """A database that is opened to be read; nobody else can hold it meanwhile, so each reading finds the same.

    Users are in the order of their first scan, gists in that of the feed; the users' own lists of gists are left out.
    """

    @property
    def name(self) -> str:
        """For people."""

    def counts(self) -> Mapping[str, int]:
        """How many rows there are to read, by table."""

    def about(self) -> About: ...

    def rows(self, table: str) -> Iterator[Row]: ...

    def close(self) -> None: ...


class Movable(Source, Protocol):
    """A database whose services may get other addresses."""

    def give_to(self, roots: Mapping[str, str]) -> None:
        """It belongs to these services from now on, and counts as restored. Durable when it returns."""


class Target(Source, Protocol):
    """A database that is opened to be filled. What is put into it is there for good once it is committed, and not at
    all before. It can be read after :meth:`finish`."""

    def put(self, about: About) -> None: ...

    def add(self, table: str, rows: Sequence[Row]) -> None: ...

    def finish(self) -> None: ...

    def commit(self) -> None: ...


def portable(row: Row) -> Row:
    """A row as every store can hold it. In another database nothing is reconciled yet."""
    match row:
        case UserRow():
            read_to_end_at = rounded(row.read_to_end_at)
            organization = _state(row.organization)
            return replace(row, gists=[], read_to_end_at=read_to_end_at, organization=organization, reconciled_at=None)
        case GistRow():
            return replace(row, created_at=rounded(row.created_at), deal=_state(row.deal))
        case SessionRow():
            begun_at = rounded(row.begun_at) if row.returned else None
            return replace(row, visited_at=rounded(row.visited_at), begun_at=begun_at)
        case FoundDealRow():
            return row


def _state(state: State) -> State:
    if not isinstance(state, Quarantined):
        return state
    return replace(state, reason=text(state.reason), since_at=rounded(state.since_at) or 0.0, code=text(state.code))


def rounded(at: float | None) -> float | None:
    """To the microsecond. Version 1.0.0 may have stored a moment that is no date: the nearest that is one."""
    return None if at is None else round(min(max(at, EARLIEST), LATEST), 6)
