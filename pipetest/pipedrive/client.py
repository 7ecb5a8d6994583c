"""Pipedrive's API v2: creates, whose outcome is a value, and reads that find what is there.

Source of what is said about Pipedrive here: its API reference and its page on rate limits.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from math import ceil
from typing import Generic, Protocol, TypeVar
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
    id: RecordId
    name: str
    is_deleted: bool = False


class _Deal(Struct):
    id: RecordId
    title: str
    add_time: str = ""

    def found(self) -> Found:
        return Found(self.id, self.title, _timestamp(self.add_time))


class _Hit(Struct):
    item: _Organization

    @property
    def id(self) -> int:
        return self.item.id


class _Hits(Struct):
    items: Items


class _Row(Protocol):
    @property
    def id(self) -> int: ...


R = TypeVar("R", bound=_Row)


class _Page(Struct, Generic[R], frozen=True):
    """A page of a list; the next one begins at ``cursor``."""

    rows: Sequence[R]
    cursor: str | None


def _timestamp(text: str) -> float:
    """Seconds since the epoch, in UTC as all times of v2; 0 for what is no time: the deal is found all the same."""
    try:
        at = datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0
    return at if 0.0 <= at < LATEST_AT else 0.0


# --- finding organizations by name ------------------------------------------------------------------------------------


def search_costs_less(newest: int, oldest: int, names: int) -> bool:
    """Whether a search for each of so many names costs less than reading on in a list, newest first, in which these ids
    were seen first and last.

    Ids grow: no more organizations are left than there are smaller ids. And a search alone would miss what the index
    doesn't know yet, so as many as fit on a full page come from the list in any case.
    """
    enough_seen = newest - oldest >= ROWS - 1
    return enough_seen and names * PAGES_PER_SEARCH < ceil((oldest - 1) / ROWS)


def matching(rows: Iterable[_Organization], wanted: Collection[str]) -> Mapping[str, Sequence[Found]]:
    """The living ones among ``rows`` by the key of each wanted name, smallest id first; a row may come twice."""
    living = {row.id: Found(row.id, row.name) for row in rows if not row.is_deleted and key(row.name) in wanted}
    found: dict[str, list[Found]] = {}
    for number in sorted(living):
        found.setdefault(key(living[number].name), []).append(living[number])
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
        async for page in self._pages(ORGANIZATIONS, _Organization, NEWEST_FIRST):
            rows += page.rows
            if page.cursor and rows and search_costs_less(rows[0].id, rows[-1].id, len(wanted)):
                rows += await self._searched(wanted)
                break
        return matching(rows, wanted)

    async def deals(self, organization_id: int) -> Sequence[Found]:
        query = {"org_id": organization_id, "status": "open,won,lost,deleted", "limit": ROWS}
        # In this order a deal that is archived meanwhile is seen twice, not missed.
        found: dict[int, Found] = {}
        for path in (DEALS, ARCHIVED):
            async for page in self._pages(path, _Deal, query):
                found.update((row.id, row.found()) for row in page.rows)
        return [found[number] for number in sorted(found)]

    async def check_access(self) -> None:
        reply = await self._ask("GET", ME)
        if reply.status in NOT_THERE and error_body(reply) is not None:
            return  # the API itself has answered, and it looks at the key first
        if not 200 <= reply.status < 300:
            raise read_error(reply, self._key)
        parsed(reply, Answer[_Me])

    async def organization_exists(self, organization_id: int) -> bool:
        try:
            answer = await self._read(f"{ORGANIZATIONS}/{organization_id}", Answer[_Organization])
        except Missing:
            return False
        return not answer.data.is_deleted

    async def _searched(self, wanted: Collection[str]) -> list[_Organization]:
        ids: set[int] = set()
        for name in sorted(wanted):
            query = {"term": name, "fields": "name", "exact_match": "true", "limit": ROWS}
            async for page in self._pages(f"{ORGANIZATIONS}/search", _Hit, query):
                ids.update(hit.id for hit in page.rows if key(hit.item.name) == name)
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
            new = {row.id for row in page.rows} - seen
            idle, cursor = 0 if new else idle + 1, page.cursor
            seen |= new
            cursors.add(cursor)
        raise Malformed(SERVICE, "a list that has no end")

    async def _page(self, path: str, row: type[R]) -> _Page[R]:
        reply = await self._answered(path)
        if row is _Hit:
            found = parsed(reply, Answer[_Hits])
            return _Page(decoded_items(SERVICE, reply, found.data.items, row), found.cursor)
        listed = parsed(reply, Answer[Items])
        return _Page(decoded_items(SERVICE, reply, listed.data, row), listed.cursor)

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
