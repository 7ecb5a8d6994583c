"""Reads the list of one user's gists: whole or not at all."""

from collections import Counter
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from itertools import chain, takewhile
from math import inf

from twisted.logger import Logger

from pipetest.domain.errors import Endless, Malformed, OtherOwner, Refused, Transient
from pipetest.domain.interfaces import GitHub, Store
from pipetest.domain.model import Gist, GistPage, PassResult, Text, User, key
from pipetest.scanner.page_sizes import MAX_PAGES, PageSizes, may_be_too_much

TRIES = 3
"""A list of several pages that changes while it is read is read this many times in one scan."""


class ListReader:
    """Reads for all users. It asks the store which gists are recorded, and stores nothing."""

    _log = Logger()

    def __init__(self, github: GitHub, store: Store) -> None:
        self._github = github
        self._store = store
        self._page_sizes = PageSizes()
        self._changed: Counter[str] = Counter()
        self._longer_than_listed: set[str] = set()

    def begin_scan(self) -> None:
        """Allow :data:`TRIES` for each list anew."""
        self._changed.clear()
        self._page_sizes.begin_scan()

    async def read(self, user: User, now_at: float, *, to_end: bool) -> PassResult | None:
        """Read the list of ``user``, to its end or to a page with a recorded gist; None where it has still the ETag
        that is stored.

        :raises OtherOwner: the name belongs to another account than before.
        :raises ServiceError: the list was not read, or not the whole of it.
        """
        while self._changed[user.name] < TRIES:
            pages = await self._pages(user, to_end=to_end)
            if pages is None:
                return None
            if len(pages) == 1 or shows_all([*pages.values()], await self._again(user, pages)):
                if to_end:
                    self._page_sizes.forget(key(user.name))
                return await self._result(user, [*pages.values()], now_at if to_end else None)
            self._changed[user.name] += 1
        raise Transient("GitHub", f"the list of {user.name} changed each time it was read")

    async def _result(self, user: User, pages: Sequence[GistPage], read_to_end_at: float | None) -> PassResult:
        new = await self._new_gists(pages)
        unreadable = sum(page.unreadable for page in pages)
        if unreadable and not any(page.gists for page in pages):
            raise Malformed("GitHub", "a list of which not one gist can be read")
        owner_id = next((page.owner_id for page in pages if page.owner_id is not None), user.owner_id)
        texts = {gist.id: gist.text or Text() for page in pages for gist in page.gists} if read_to_end_at else {}
        return PassResult(user.name, owner_id, pages[0].etag, new, read_to_end_at, unreadable, texts=texts)

    async def _pages(self, user: User, *, to_end: bool) -> dict[str, GistPage] | None:
        """The pages by URL, the first one first; None where it still has the ETag that is stored."""
        url: str | None = self._github.first_page(user.name, self._page_sizes.of(key(user.name)))
        pages: dict[str, GistPage] = {}
        while url is not None:
            if url in pages or len(pages) == MAX_PAGES:
                raise Endless("GitHub", f"the list of {user.name} has no end")
            page = await self._page(url, user, to_end=to_end, first=not pages)
            if page is None:
                return pages or None
            pages[url] = page
            url = page.next_url if to_end or not await self._holds_known(page) else None
        return pages

    async def _page(self, url: str, user: User, *, to_end: bool, first: bool) -> GistPage | None:
        """None where the first page is unchanged, or a later one lies beyond what GitHub lists."""
        try:
            return await self._ask(user, url, user.etag if first and not to_end else None)
        except Refused as e:
            if first or e.status != HTTPStatus.UNPROCESSABLE_ENTITY:
                raise
            if user.name not in self._longer_than_listed:
                self._log.info(
                    "GitHub does not list all gists of {user}: the oldest are left out",
                    event="list_truncated",
                    user=user.name,
                )
            self._longer_than_listed.add(user.name)
            return None

    async def _again(self, user: User, pages: dict[str, GistPage]) -> Sequence[GistPage]:
        """The pages as they are now."""
        return [await self._ask(user, url, page.etag) or page for url, page in pages.items()]

    async def _ask(self, user: User, url: str, etag: str | None) -> GistPage | None:
        """
        :raises OtherOwner: the page is another account's.
        """
        try:
            page = await self._github.page(url, etag)
        except Transient as e:
            if may_be_too_much(e):
                self._page_sizes.failed(key(user.name))
            raise
        self._page_sizes.answered()
        if page is not None and page.owner_id is not None and user.owner_id not in (None, page.owner_id):
            raise OtherOwner(
                f"the name {user.name} belongs to another GitHub account than before; "
                "to have that one read, take the name off the list of users for one scan"
            )
        return page

    async def _holds_known(self, page: GistPage) -> bool:
        return bool(await self._store.known_gists([gist.id for gist in page.gists]))

    async def _new_gists(self, pages: Iterable[GistPage]) -> Sequence[Gist]:
        """Those that are not recorded yet, oldest first."""
        listed = {gist.id: gist for page in pages for gist in page.gists}
        recorded = set(await self._store.known_gists(listed.keys()))
        new = [gist for gist in reversed(listed.values()) if gist.id not in recorded]
        return sorted(new, key=lambda gist: gist.created_at)


def shows_all(first: Sequence[GistPage], second: Sequence[GistPage]) -> bool:
    """Whether the first reading of these pages lacks no gist that was listed when it ended, other than newer ones at
    the head, which the next pass finds. ``second`` are the same pages, read afterwards.

    A gist that is deleted meanwhile moves up all that follow, and one of them may slip from a page not read yet to one
    that was read. The second reading shows it, unless a further deletion hides it again. That is ruled out by asking
    that the second reading shows every gist of the first one, except the last ones: newer gists push those out of it.
    """
    owners = {page.owner_id for page in chain(first, second) if page.owner_id is not None}
    read = [gist for page in first for gist in page.gists]
    seen = [gist for page in second for gist in page.gists]
    return len(owners) <= 1 and not _lacks_any(read, seen) and not _has_lost_any(read, seen, len(first[-1].gists))


def _lacks_any(read: Sequence[Gist], seen: Sequence[Gist]) -> bool:
    known, newest_at = {gist.id for gist in read}, max((gist.created_at for gist in read), default=inf)
    head = takewhile(lambda gist: gist.id not in known and gist.created_at >= newest_at, seen)
    newer = {gist.id for gist in head} | {gist.id for gist in seen if gist.created_at > newest_at}
    return any(gist.id not in known and gist.id not in newer for gist in seen)


def _has_lost_any(read: Sequence[Gist], seen: Sequence[Gist], on_last_page: int) -> bool:
    shown = {gist.id for gist in seen}
    kept = [place for place, gist in enumerate(read) if gist.id in shown]
    end = min(len(read) - on_last_page, kept[-1] if kept else 0)
    return any(gist.id not in shown for gist in read[:end])
