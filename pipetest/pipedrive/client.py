"""Pipedrive's API v2: creates, whose outcome is a value, and reads that find what is there.

Source of what is said about Pipedrive here: its API reference and its page on rate limits.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from http import HTTPStatus
from math import ceil
from typing import Any, TypeVar, cast

import msgspec
from msgspec import Struct

from pipetest.domain.errors import Forbidden, Missing, Unanswered
from pipetest.domain.interfaces import DealList, Exchange
from pipetest.domain.model import PAGE_ROWS, Found, Gist, Outcome, Reply, Request, Secret, Unknown, key
from pipetest.domain.template import GITHUB, Addresses, DealShape, Ids, Misfit, Template
from pipetest.http.bodies import Items, decoded_items, error_body
from pipetest.http.exchange import USER_AGENT
from pipetest.http.headers import moment
from pipetest.pipedrive import templates
from pipetest.pipedrive.catalog import read_catalog
from pipetest.pipedrive.deal_lists import BOTH_LISTS, DEALS, EVERY_STATUS, NEWEST_FIRST, AllDeals, NewerDeals
from pipetest.pipedrive.lists import (
    DealRow,
    HitRow,
    Hits,
    OrganizationRow,
    Page,
    PagedList,
    Row,
    found_deals,
    id_of,
    ids_of,
)
from pipetest.pipedrive.names import resolved
from pipetest.pipedrive.responses import SERVICE, Answer, outcome, parsed, read_error

ME = "/api/v1/users/me"
"""Users are in API v1 only, and not deprecated there."""

ORGANIZATIONS = "/api/v2/organizations"
NOT_THERE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.GONE})

IDS = 100
"""The most records that can be asked for by id at once."""

PAGES_PER_SEARCH = 2
"""A search costs 20 tokens, a page of a list 10, whatever is on it."""

T = TypeVar("T")
R = TypeVar("R", bound=Row)


class Me(Struct, frozen=True):
    """Whose key it is; ``company_domain`` is the company's part of its address. Only the id is always told."""

    id: int
    name: Any = None
    company_domain: Any = None
    is_admin: Any = None


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
    return seen.rows >= PAGE_ROWS and names * PAGES_PER_SEARCH < pages_left


def matching(rows: Iterable[OrganizationRow], wanted: Collection[str]) -> Mapping[str, Sequence[Found]]:
    """The living ones among ``rows`` by the key of each wanted name, smallest id first; a row may come twice."""
    named = {id_of(row): row for row in rows if row.key in wanted and row.is_deleted is not True}
    found: dict[str, list[Found]] = {}
    for number, row in sorted(named.items()):
        found.setdefault(str(row.key), []).append(Found(number, row.name))
    return found


# --- the client -------------------------------------------------------------------------------------------------------


class PipedriveClient:
    """Implements :class:`~pipetest.domain.interfaces.Pipedrive`. ``exchange`` is the rate limiter in front of HTTP;
    ``root`` ends without a slash. ``addresses`` are what templates may show. ``stamp_field`` tells the code of the
    custom field of deals that is to hold the gist's id, None while there is no such field."""

    def __init__(
        self,
        exchange: Exchange,
        root: str,
        api_key: Secret,
        addresses: Addresses = GITHUB,
        stamp_field: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._exchange = exchange
        self._root = root
        self._key = api_key
        self._addresses = addresses
        self._stamp_field = stamp_field

    async def look_up(self, template: Template) -> Ids | Misfit:
        try:
            catalog = await read_catalog(template, self._pages)
        except Forbidden as e:
            return Misfit(f"the API key may not read what there is: {e.reason}")
        return resolved(template, catalog)

    async def create_organization(self, shape: DealShape, user: str, account: int | None) -> Outcome:
        record = templates.organization(shape, user, account, self._addresses)
        return await self._create(ORGANIZATIONS, record, in_organization=False)

    async def create_deal(self, shape: DealShape, gist: Gist, user: str, organization_id: int) -> Outcome:
        record = templates.deal(shape, gist, user, organization_id, self._addresses)
        return await self._create(DEALS, record, in_organization=True)

    async def organizations(self, names: Collection[str]) -> Mapping[str, Sequence[Found]]:
        """Finds all of them for the fewest tokens, as there is no filter by name.

        First comes the newest page of the list (10 tokens), which often is the whole list. Then either the rest follows
        (10 for 500 rows) or a search for each name (20). Deleted organizations stay in the search index, not marked as
        such, so what it finds is asked for once more by id (10 for 100).
        """
        wanted = {key(name) for name in names}
        rows: list[OrganizationRow] = []
        pages = 0
        async for page in self._each(ORGANIZATIONS, OrganizationRow, NEWEST_FIRST):
            rows += page.rows
            pages += 1
            ids = ids_of(rows)
            if page.cursor and ids and search_costs_less(Seen(pages, len(rows), max(ids), min(ids)), len(wanted)):
                rows += await self._searched(wanted)
                break
        return matching(rows, wanted)

    async def deals(self, organization_id: int) -> Sequence[Found]:
        found: dict[int, Found] = {}
        for path in BOTH_LISTS:
            async for page in self._each(
                path, DealRow, {"org_id": organization_id, **EVERY_STATUS, "limit": PAGE_ROWS}
            ):
                found.update((deal.id, deal) for deal in found_deals(page.rows, self._stamp_field()))
        return [found[number] for number in sorted(found)]

    def all_deals(self, now_at: float) -> DealList:
        return AllDeals(self._pages, now_at, self._stamp_field())

    def newer_deals(self, deal_id: int) -> DealList:
        return NewerDeals(self._pages, deal_id, self._stamp_field())

    async def newest_deal(self) -> int:
        async for page in self._each(DEALS, DealRow, {**NEWEST_FIRST, **EVERY_STATUS, "limit": 1}):
            if page.rows:
                return max(id_of(row) for row in page.rows)
        return 0

    async def organizations_of(self, deal_ids: Sequence[int]) -> Mapping[int, int | None]:
        query = {"ids": ",".join(map(str, deal_ids[:IDS])), **EVERY_STATUS, "limit": IDS}
        organizations: dict[int, int | None] = {}
        for path in BOTH_LISTS:
            async for page in self._each(path, DealRow, query):
                organizations.update((id_of(row), row.organization_id) for row in page.rows)
        return organizations

    async def deals_by_id(self, deal_ids: Sequence[int]) -> Sequence[Found]:
        """As many of these deals as are there; archived ones are not looked for."""
        query = {"ids": ",".join(map(str, deal_ids[:IDS])), **EVERY_STATUS, "limit": IDS}
        deals: list[Found] = []
        async for page in self._each(DEALS, DealRow, query):
            deals += found_deals(page.rows, self._stamp_field())
        return deals

    async def check_access(self) -> None:
        await self.me()

    async def me(self) -> Me | None:
        """Whose key it is; None where that is not told, though the key is good."""
        reply = await self._ask("GET", ME)
        if reply.status in NOT_THERE and error_body(reply) is not None:
            return None  # the API itself has answered, and it looks at the key first
        if not 200 <= reply.status < 300:
            raise read_error(reply, self._key)
        return parsed(reply, Answer[Me]).data

    async def check_reading(self) -> None:
        """Return if the lists that are searched for what is there already may be read (20 tokens)."""
        for path in (ORGANIZATIONS, DEALS):
            await self._answered(f"{path}?limit=1")

    async def sees_organization(self, organization_id: int, name: str, *, deleted: bool) -> bool:
        if await self._sees(f"{ORGANIZATIONS}/{organization_id}"):
            return True
        return deleted and organization_id in await self._hits(key(name))

    async def sees_deal(self, deal_id: int, *, deleted: bool) -> bool:
        if await self._sees(f"{DEALS}/{deal_id}"):
            return True
        return deleted and deal_id in await self.organizations_of([deal_id])

    async def _sees(self, path: str) -> bool:
        try:
            await self._read(path, Answer[DealRow])  # an organization's row has an id as well
        except (Missing, Forbidden):
            return False
        return True

    async def organization_exists(self, organization_id: int) -> bool:
        """It counts as absent only where it is so by its id and in the list as well."""
        try:
            answer = await self._read(f"{ORGANIZATIONS}/{organization_id}", Answer[OrganizationRow])
        except Missing:
            rows = await self._by_id([organization_id])
            return any(row.id == organization_id and row.is_deleted is not True for row in rows)
        return answer.data.is_deleted is not True

    async def _searched(self, wanted: Collection[str]) -> list[OrganizationRow]:
        ids: set[int] = set()
        for name in sorted(wanted):
            ids |= await self._hits(name)
        return await self._by_id(sorted(ids))

    async def _hits(self, name: str) -> set[int]:
        """The ids of organizations with this name (in the form that compares) in the index, deleted ones included."""
        ids: set[int] = set()
        query = {"term": name, "fields": "name", "exact_match": "true", "limit": PAGE_ROWS}
        async for page in self._each(f"{ORGANIZATIONS}/search", HitRow, query):
            hits = (hit.item for hit in page.rows if hit.item is not None)
            ids.update(id_of(row) for row in hits if row.key == name)
        return ids

    async def _by_id(self, ids: Sequence[int]) -> list[OrganizationRow]:
        rows: list[OrganizationRow] = []
        for start in range(0, len(ids), IDS):
            query = {"ids": ",".join(map(str, ids[start : start + IDS])), "limit": IDS}
            async for page in self._each(ORGANIZATIONS, OrganizationRow, query):
                rows += page.rows
        return rows

    def _pages(self, path: str, row: type[R], query: Mapping[str, object]) -> PagedList[R]:
        return PagedList(lambda url: self._page(url, row), path, query)

    async def _each(self, path: str, row: type[R], query: Mapping[str, object]) -> AsyncIterator[Page[R]]:
        pages = self._pages(path, row, query)
        while (page := await pages.next()) is not None:
            yield page

    async def _page(self, path: str, row: type[R]) -> Page[R]:
        reply = await self._answered(path)
        if row is HitRow:
            found = parsed(reply, Answer[Hits | None])
            items, cursor = found.data and found.data.items, found.cursor
        else:
            listed = parsed(reply, Answer[Items | None])
            items, cursor = listed.data, listed.cursor
        answered_at = moment(reply.headers, "date")
        if items is None:  # where there are none, Pipedrive says null
            return Page([], cursor, answered_at)
        optional: type[R | None] = cast(type[R | None], row | None)
        rows = [item for item in decoded_items(SERVICE, reply, items, optional) if item is not None]
        return Page(rows, cursor, answered_at)

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
