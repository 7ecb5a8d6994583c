"""Pipedrive's lists: what is taken of their rows, and how they are read, page after page."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from pipetest.domain.errors import Malformed
from pipetest.domain.model import Found, RecordId, Request, key
from pipetest.http.bodies import Items
from pipetest.pipedrive.prices import cost_of
from pipetest.pipedrive.responses import SERVICE

LATEST_AT = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
"""Until then a moment is a date in every time zone: a database tells it in its own."""

MOST_PAGES = 2_000
"""Of one list: a million rows, and two thirds of the tokens that the smallest account has a day."""

MOST_IDLE_PAGES = 10
"""So many in a row may bring no row that was not seen before: each costs as much as a full one."""

_ID = re.compile("[0-9a-f]{1,255}")
"""What a gist's id looks like: decimal digits of old, hex digits today."""


class OrganizationRow(Struct):
    """Of a row nothing is taken for granted: one without a name is nobody's, and spoils no other."""

    id: Any = None
    name: Any = None
    is_deleted: Any = None

    @property
    def key(self) -> str | None:
        """Its name as it compares, without outer blanks; None for what is no name."""
        return key(self.name.strip()) if isinstance(self.name, str) else None


class DealRow(Struct):
    id: Any = None
    title: Any = None
    add_time: Any = None
    status: Any = None
    is_deleted: Any = None
    org_id: Any = None
    custom_fields: Any = None

    @property
    def organization_id(self) -> int | None:
        return _record_id(self.org_id)

    def found(self, stamp_field: str | None) -> Found | None:
        """``stamp_field`` is the code of the field that holds the gist's id, if there is one. None where nothing tells
        of which gist the deal is."""
        ids = self._ids()
        if not isinstance(self.title, str) and not ids:
            return None
        stamp = ids.pop(stamp_field, "")
        return Found(
            id_of(self),
            self.title if isinstance(self.title, str) else "",
            _timestamp(self.add_time),
            self.status == "deleted" or self.is_deleted is True,
            self.organization_id,
            stamp,
            tuple(ids.values()),
        )

    def _ids(self) -> dict[object, str]:
        """The texts in custom fields that look like a gist's id, by the code of the field."""
        fields = self.custom_fields if isinstance(self.custom_fields, dict) else {}
        texts = {code: value.strip().lower() for code, value in fields.items() if isinstance(value, str)}
        return {code: text for code, text in texts.items() if _ID.fullmatch(text)}


class HitRow(Struct):
    item: OrganizationRow | None = None

    @property
    def id(self) -> Any:
        return self.item and self.item.id


class Hits(Struct):
    items: Items | None = None


class Row(Protocol):
    @property
    def id(self) -> Any: ...


R = TypeVar("R", bound=Row)


class Page(Struct, Generic[R], frozen=True):
    """A page of a list; the next one begins at ``cursor``. It was ``answered_at`` this moment by Pipedrive's clock
    (since the epoch), where that is told."""

    rows: Sequence[R]
    cursor: str | None
    answered_at: float | None = None


def id_of(row: OrganizationRow | DealRow) -> int:
    """
    :raises Malformed: there is none, of a row that counts: it cannot be left out.
    """
    if (number := _record_id(row.id)) is None:
        raise Malformed(SERVICE, "a row of a list has no usable id")
    return number


def _record_id(value: object) -> int | None:
    """As a record's id, where it can be one."""
    try:
        return msgspec.convert(value, RecordId)
    except msgspec.ValidationError:
        return None


def ids_of(rows: Iterable[Row]) -> set[int]:
    return {row.id for row in rows if isinstance(row.id, int)}


def _timestamp(text: object) -> float:
    """Seconds since the epoch, in UTC as all times of v2; 0 for what is no time: the deal is found all the same."""
    try:
        at = datetime.fromisoformat(str(text)).replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return 0.0
    return at if 0.0 <= at < LATEST_AT else 0.0


def found_deals(rows: Iterable[DealRow], stamp_field: str | None) -> Sequence[Found]:
    """The deals among these rows that may be a gist's."""
    return [deal for row in rows if (deal := row.found(stamp_field)) is not None]


class PagedList(Generic[R]):
    """Every page of a list, which ``ask`` asks for by its path. A page without a cursor is the last; a short or even
    empty one need not be."""

    def __init__(self, ask: Callable[[str], Awaitable[Page[R]]], path: str, query: Mapping[str, object]) -> None:
        self._ask = ask
        self._path = path
        self._query = query
        self._cursor: str | None = None
        self._ended = False
        self._seen: set[int] = set()
        self._cursors: set[str] = set()
        self._idle = 0

    @property
    def price(self) -> int:
        """What each page costs, in tokens."""
        return cost_of(Request("GET", self._path, {})).price

    async def next(self) -> Page[R] | None:
        """The next page, None after the last one. Where this fails, it can be called again for the same page.

        :raises Malformed: the list has no end.
        """
        if self._ended:
            return None
        if self._cursor in self._cursors:
            raise Malformed(SERVICE, "the pages of a list lead round in a circle")
        if len(self._cursors) >= MOST_PAGES - 1 or self._idle > MOST_IDLE_PAGES:
            raise Malformed(SERVICE, "a list that has no end")
        more = {} if self._cursor is None else {"cursor": self._cursor}
        query = urlencode({**self._query, **more}, safe=",")
        page = await self._ask(f"{self._path}?{query}" if query else self._path)
        self._count(page)
        return page

    def _count(self, page: Page[R]) -> None:
        if self._cursor is not None:
            self._cursors.add(self._cursor)
        new = ids_of(page.rows) - self._seen
        self._seen |= new
        self._idle = 0 if new else self._idle + 1
        self._cursor = page.cursor
        self._ended = not page.cursor


class OpenList(Protocol):
    """Begins a list at this path, with rows of this kind."""

    def __call__(self, path: str, row: type[R], query: Mapping[str, object], /) -> PagedList[R]: ...
