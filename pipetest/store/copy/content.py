"""What a database holds, in a form that every store can give and take: rows as TinyDB's file has them.

Moments are rounded to the microsecond and texts are without NUL, which is what PostgreSQL can hold.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Protocol

import msgspec
from attrs import define, field, frozen
from msgspec.structs import replace

from pipetest.domain.model import Quarantined, State
from pipetest.store.postgres.rows import text
from pipetest.store.tinydb.format import GistRow, SessionRow, UserRow

Row = UserRow | GistRow | SessionRow


@frozen
class About:
    """What there is beside the rows: the roots that all belongs to, and the notes."""

    roots: Mapping[str, str]
    notes: Mapping[str, Any]


class End(Protocol):
    """A database that is copied from or to, opened for that; nobody else can hold it meanwhile.

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


class Target(End, Protocol):
    """What is put into it is there for good once it is committed, and not at all before. Reading it, after
    :meth:`finish`, shows what was put."""

    def put(self, about: About) -> None: ...

    def add(self, table: str, rows: Sequence[Row]) -> None: ...

    def finish(self) -> None: ...

    def commit(self) -> None: ...


@define
class Sum:
    """Rows counted, and a digest of what they say."""

    count: int = 0
    _digest: Any = field(factory=sha256)

    def add(self, row: Row) -> None:
        self.count += 1
        self._digest.update(msgspec.json.encode(row) + b"\n")

    @property
    def told(self) -> tuple[int, str]:
        return self.count, self._digest.hexdigest()


def summed(rows: Iterable[Row], seen: Callable[[int], None]) -> tuple[int, str]:
    """Count and digest; ``seen`` is told how many at each row."""
    total = Sum()
    for row in rows:
        total.add(row)
        seen(total.count)
    return total.told


def plain(row: Row) -> Row:
    """A row in the form that every store can hold. In another database nothing is marked as listed yet."""
    match row:
        case UserRow():
            read_to_end_at = moment(row.read_to_end_at)
            organization = _state(row.organization)
            return replace(row, gists=[], read_to_end_at=read_to_end_at, organization=organization, reconciled_at=None)
        case GistRow():
            return replace(row, created_at=moment(row.created_at), deal=_state(row.deal))
        case SessionRow():
            return replace(row, visited_at=moment(row.visited_at))


def _state(state: State) -> State:
    if not isinstance(state, Quarantined):
        return state
    return Quarantined(text(state.reason), moment(state.since_at) or 0.0, state.sent)


def moment(at: float | None) -> float | None:
    return None if at is None else round(at, 6)
