"""Pipedrive's API v2: creates, whose outcome is a value, and reads that find what is there.

Source of what is said about Pipedrive here: its API reference and its page on rate limits.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from math import ceil
from typing import Any, Generic, Protocol, TypeVar, cast
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from pipetest.domain.errors import Malformed, Missing, Unanswered
from pipetest.domain.interfaces import Exchange
from pipetest.domain.model import Found, Outcome, Reply, Request, Secret, Unknown, key
from pipetest.http.bodies import Items, RecordId, decoded_items, error_body
from pipetest.http.exchange import USER_AGENT
from pipetest.pipedrive.responses import SERVICE, Answer, outcome, parsed, read_error

ME = "/api/v1/users/me"
"""Users are in API v1 only, and not deprecated there."""

ORGANIZATIONS = "/api/v2/organizations"
DEALS = "/api/v2/deals"
ARCHIVED = f"{DEALS}/archived"

ROWS = 500
"""The most on a page of a list."""

NOT_THERE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.GONE})

NEWEST_FIRST = {"sort_by": "id", "sort_direction": "desc", "limit": ROWS}

LATEST_AT = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
"""Until then a moment is a date in every time zone: a database tells it in its own."""

MOST_PAGES = 2_000
"""Of one list: a million rows, and two thirds of the tokens that the smallest account has a day."""

MOST_IDLE_PAGES = 10
"""So many in a row may bring no row that was not seen before: each costs as much as a full one."""

IDS = 100
"""The most records that can be asked for by id at once."""

PAGES_PER_SEARCH = 2
"""A search costs 20 tokens, a page of a list 10, whatever is on it."""

T = TypeVar("T")


class _Me(Struct):
    id: int


class _Organization(Struct):
    """Of a row nothing is taken for granted: one without a name is nobody's, and spoils no other."""

    id: Any = None
    name: Any = None
    is_deleted: Any = None

    @property
    def key(self) -> str | None:
        """Its name as it compares, without outer blanks; None for what is no name."""
        return key(self.name.strip()) if isinstance(self.name, str) else None


class _Deal(Struct):
    id: Any = None
    title: Any = None
    add_time: Any = None
    status: Any = None
    is_deleted: Any = None

    def found(self) -> Found:
        deleted = self.status == "deleted" or self.is_deleted is True
        return Found(_id(self), self.title, _timestamp(self.add_time), deleted)


class _Hit(Struct):
    item: _Organization | None = None

    @property
    def id(self) -> Any:
        return self.item and self.item.id


class _Hits(Struct):
    items: Items | None = None


class _Row(Protocol):
    @property
    def id(self) -> Any: ...


R = TypeVar("R", bound=_Row)


class _Page(Struct, Generic[R], frozen=True):
    """A page of a list; the next one begins at ``cursor``."""

    rows: Sequence[R]
    cursor: str | None


def _id(row: _Organization | _Deal) -> int:
    """
    :raises Malformed: there is none, of a row that counts: it cannot be left out.
    """
    try:
        return msgspec.convert(row.id, RecordId)
    except msgspec.ValidationError:
        raise Malformed(SERVICE, "a row of a list has no usable id") from None


def _ids(rows: Iterable[_Row]) -> set[int]:
    return {row.id for row in rows if isinstance(row.id, int)}


def _timestamp(text: object) -> float:
    """Seconds since the epoch, in UTC as all times of v2; 0 for what is no time: the deal is found all the same."""
    try:
        at = datetime.fromisoformat(str(text)).replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return 0.0
    return at if 0.0 <= at < LATEST_AT else 0.0


# --- finding organizations by name ------------------------------------------------------------------------------------


class Seen(Struct, frozen=True):
    """How much of a list, newest first, was read: so many ``pages`` and ``rows``, from the id ``newest`` on to the id
    ``oldest``."""

    pages: int
    rows: int
    newest: int
    oldest: int


def search_costs_less(seen: Seen, names: int) -> bool:
    """Whether a search for each of so many names costs less than reading on in a list of which this much was ``seen``.

    A search alone would miss what the index doesn't know yet, so as many rows as fit on a full page come from the list
    in any case, on however many pages. The rest of the list is as dense as what was seen of it.
    """
    pages_left = ceil(seen.pages * (seen.oldest - 1) / (seen.newest - seen.oldest + 1))
    return seen.rows >= ROWS and names * PAGES_PER_SEARCH < pages_left


def matching(rows: Iterable[_Organization], wanted: Collection[str]) -> Mapping[str, Sequence[Found]]:
    """The living ones among ``rows`` by the key of each wanted name, smallest id first; a row may come twice."""
    named = {_id(row): row for row in rows if row.key in wanted and row.is_deleted is not True}
    found: dict[str, list[Found]] = {}
    for number, row in sorted(named.items()):
        found.setdefault(str(row.key), []).append(Found(number, row.name))
    return found


# --- the client -------------------------------------------------------------------------------------------------------


class PipedriveClient:
    """Implements :class:`~pipetest.domain.interfaces.Pipedrive`. ``root`` ends without a slash."""

    def __init__(self, exchange: Exchange, root: str, api_key: Secret) -> None:
        self._exchange = exchange
        self._root = root
        self._key = api_key

    async def create_organization(self, name: str) -> Outcome:
        return await self._create(ORGANIZATIONS, {"name": name}, in_organization=False)

    async def create_deal(self, title: str, organization_id: int) -> Outcome:
        return await self._create(DEALS, {"title": title, "org_id": organization_id}, in_organization=True)

    async def organizations(self, names: Collection[str]) -> Mapping[str, Sequence[Found]]:
        """Finds all of them for the fewest tokens, as there is no filter by name.

        First comes the newest page of the list (10 tokens), which often is the whole list. Then either the rest follows
        (10 for 500 rows) or a search for each name (20). Deleted organizations stay in the search index, not marked as
        such, so what it finds is asked for once more by id (10 for 100).
        """
        wanted = {key(name) for name in names}
        rows: list[_Organization] = []
        pages = 0
        async for page in self._pages(ORGANIZATIONS, _Organization, NEWEST_FIRST):
            rows += page.rows
            pages += 1
            ids = _ids(rows)
            if page.cursor and ids and search_costs_less(Seen(pages, len(rows), max(ids), min(ids)), len(wanted)):
                rows += await self._searched(wanted)
                break
        return matching(rows, wanted)

    async def deals(self, organization_id: int) -> Sequence[Found]:
        query = {"org_id": organization_id, "status": "open,won,lost,deleted", "limit": ROWS}
        # In this order a deal that is archived meanwhile is seen twice, not missed.
        found: dict[int, Found] = {}
        for path in (DEALS, ARCHIVED):
            async for page in self._pages(path, _Deal, query):
                titled = (row.found() for row in page.rows if isinstance(row.title, str))
                found.update((deal.id, deal) for deal in titled)
        return [found[number] for number in sorted(found)]

    async def check_access(self) -> None:
        reply = await self._ask("GET", ME)
        if reply.status in NOT_THERE and error_body(reply) is not None:
            return  # the API itself has answered, and it looks at the key first
        if not 200 <= reply.status < 300:
            raise read_error(reply, self._key)
        parsed(reply, Answer[_Me])

    async def organization_exists(self, organization_id: int) -> bool:
        """Absent is only what is so by its id and in the list as well."""
        try:
            answer = await self._read(f"{ORGANIZATIONS}/{organization_id}", Answer[_Organization])
        except Missing:
            rows = await self._by_id([organization_id])
            return any(row.id == organization_id and row.is_deleted is not True for row in rows)
        return answer.data.is_deleted is not True

    async def _searched(self, wanted: Collection[str]) -> list[_Organization]:
        ids: set[int] = set()
        for name in sorted(wanted):
            query = {"term": name, "fields": "name", "exact_match": "true", "limit": ROWS}
            async for page in self._pages(f"{ORGANIZATIONS}/search", _Hit, query):
                hits = (hit.item for hit in page.rows if hit.item is not None)
                ids.update(_id(row) for row in hits if row.key == name)
        return await self._by_id(sorted(ids))

    async def _by_id(self, ids: Sequence[int]) -> list[_Organization]:
        rows: list[_Organization] = []
        for start in range(0, len(ids), IDS):
            query = {"ids": ",".join(map(str, ids[start : start + IDS])), "limit": IDS}
            async for page in self._pages(ORGANIZATIONS, _Organization, query):
                rows += page.rows
        return rows

    async def _pages(self, path: str, row: type[R], query: Mapping[str, object]) -> AsyncIterator[_Page[R]]:
        """Every page of a list. One without a cursor is the last; a short or even empty one need not be.

        :raises Malformed: the list has no end.
        """
        seen: set[int] = set()
        cursors: set[str | None] = {None}
        idle, cursor = 0, None
        while len(cursors) <= MOST_PAGES and idle <= MOST_IDLE_PAGES:
            asked = query if cursor is None else {**query, "cursor": cursor}
            page = await self._page(f"{path}?{urlencode(asked, safe=',')}", row)
            yield page
            if not page.cursor:
                return
            if page.cursor in cursors:
                raise Malformed(SERVICE, "the pages of a list lead round in a circle")
            new = _ids(page.rows) - seen
            idle, cursor = 0 if new else idle + 1, page.cursor
            seen |= new
            cursors.add(cursor)
        raise Malformed(SERVICE, "a list that has no end")

    async def _page(self, path: str, row: type[R]) -> _Page[R]:
        reply = await self._answered(path)
        if row is _Hit:
            found = parsed(reply, Answer[_Hits | None])
            items, cursor = found.data and found.data.items, found.cursor
        else:
            listed = parsed(reply, Answer[Items | None])
            items, cursor = listed.data, listed.cursor
        if items is None:  # where there are none, Pipedrive says null
            return _Page([], cursor)
        optional: type[R | None] = cast(type[R | None], row | None)
        return _Page([item for item in decoded_items(SERVICE, reply, items, optional) if item is not None], cursor)

    async def _read(self, path: str, as_type: type[Answer[T]]) -> Answer[T]:
        return parsed(await self._answered(path), as_type)

    async def _answered(self, path: str) -> Reply:
        reply = await self._ask("GET", path)
        if not 200 <= reply.status < 300:
            raise read_error(reply, self._key)
        return reply

    async def _create(self, path: str, record: Mapping[str, object], *, in_organization: bool) -> Outcome:
        try:
            reply = await self._ask("POST", path, msgspec.json.encode(record))
        except Unanswered as e:
            return Unknown(e.reason)
        return outcome(reply, self._key, in_organization=in_organization)

    async def _ask(self, method: str, path: str, body: bytes | None = None) -> Reply:
        headers = {"user-agent": USER_AGENT, "accept": "application/json", "x-api-token": self._key.reveal()}
        if body is not None:
            headers["content-type"] = "application/json"
        return await self._exchange(Request(method, self._root + path, headers, body))
