"""The deals of a whole company, read page by page: each a :class:`~pipetest.domain.interfaces.DealList`."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from pipetest.domain.model import PAGE_ROWS, Found
from pipetest.pipedrive.lists import DealRow, OpenList, Page, PagedList, found_deals, ids_of

DEALS = "/api/v2/deals"
ARCHIVED = f"{DEALS}/archived"
BOTH_LISTS = (DEALS, ARCHIVED)
"""In this order a deal that is archived meanwhile is seen twice, not missed."""

EVERY_STATUS = {"status": "open,won,lost,deleted"}
NEWEST_FIRST = {"sort_by": "id", "sort_direction": "desc", "limit": PAGE_ROWS}

CLOCKS_DIFFER_S = 300.0
"""The clock that answers and the one that dates changes differ by no more than this."""


class AllDeals:
    """Every deal: by id; then the archived ones; then what has changed since all this began, as a deal may have left
    the archive meanwhile.

    It began when the first page was answered, by Pipedrive's clock; where that is not told, at ``now_at``, by ours.
    """

    def __init__(self, open_list: OpenList, now_at: float, stamp_field: str | None) -> None:
        self._open_list = open_list
        self._stamp_field = stamp_field
        self.tokens = 0
        self._began_at = now_at
        self._first = True
        self._lists = self._all_lists()
        self._pages = next(self._lists, None)

    async def next(self) -> Sequence[Found] | None:
        while self._pages is not None:
            page = await self._pages.next()
            if page is not None:
                self.tokens += self._pages.price
                self._note_begin(page)
                return found_deals(page.rows, self._stamp_field)
            self._pages = next(self._lists, None)
        return None

    def _all_lists(self) -> Iterator[PagedList[DealRow]]:
        by_id = {"sort_by": "id", **EVERY_STATUS, "limit": PAGE_ROWS}
        for path in BOTH_LISTS:
            yield self._open_list(path, DealRow, by_id)
        since = datetime.fromtimestamp(int(self._began_at - CLOCKS_DIFFER_S), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        yield self._open_list(DEALS, DealRow, {"updated_since": since, **by_id})

    def _note_begin(self, page: Page[DealRow]) -> None:
        if self._first:
            if page.answered_at is not None:
                self._began_at = page.answered_at
            self._first = False


class NewerDeals:
    """Those with a larger id than ``deal_id``, newest first, and after them such archived ones."""

    def __init__(self, open_list: OpenList, deal_id: int, stamp_field: str | None) -> None:
        self.tokens = 0
        self._deal_id = deal_id
        self._stamp_field = stamp_field
        query = {**NEWEST_FIRST, **EVERY_STATUS}
        self._lists = iter([open_list(path, DealRow, query) for path in BOTH_LISTS])
        self._pages = next(self._lists, None)

    async def next(self) -> Sequence[Found] | None:
        while self._pages is not None:
            page = await self._pages.next()
            if page is None:
                self._pages = next(self._lists, None)
                continue
            self.tokens += self._pages.price
            if min(ids_of(page.rows), default=self._deal_id + 1) <= self._deal_id:
                self._pages = next(self._lists, None)
            return [deal for deal in found_deals(page.rows, self._stamp_field) if deal.id > self._deal_id]
        return None
