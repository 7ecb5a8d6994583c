"""Reads the list of one user's gists: whole or not at all."""

from collections import Counter
from collections.abc import Iterable, Sequence
from http import HTTPStatus

from twisted.logger import Logger

from pipetest.domain.errors import Malformed, OtherOwner, Refused, Transient
from pipetest.domain.interfaces import GitHub, Store
from pipetest.domain.model import Gist, Page, PassResult, User

TRIES = 3
"""A list of several pages that changes while it is read is read this many times in one scan."""


class ListReader:
    """Reads for all users. It asks the store which gists are recorded, and stores nothing."""

    _log = Logger()

    def __init__(self, github: GitHub, store: Store) -> None:
        self._github = github
        self._store = store
        self._changed: Counter[str] = Counter()
        self._longer_than_listed: set[str] = set()

    def begin_scan(self) -> None:
        """Allow :data:`TRIES` for each list anew."""
        self._changed.clear()

    async def read(self, known: User, now_at: float, *, to_end: bool) -> PassResult | None:
        """Read the list of ``known``, to its end or to a page with a recorded gist; None where it has still the ETag
        that is stored.

        :raises OtherOwner: the name belongs to another account than before.
        :raises ServiceError: the list was not read, or not the whole of it.
        """
        while self._changed[known.name] < TRIES:
            pages = await self._pages(known, to_end=to_end)
            if pages is None:
                return None
            _check_owner(known, pages.values())
            if len(pages) == 1 or await self._unchanged(pages):
                new = await self._new_gists(pages.values())
                first = next(iter(pages.values()))
                return PassResult(known.name, first.owner_id, first.etag, new, now_at if to_end else None)
            self._changed[known.name] += 1
        raise Transient("GitHub", f"the list of {known.name} changed each time it was read")

    async def _pages(self, known: User, *, to_end: bool) -> dict[str, Page] | None:
        """The pages by URL, the first one first; None where it still has the ETag that is stored."""
        url: str | None = self._github.first_page(known.name)
        pages: dict[str, Page] = {}
        while url is not None:
            if url in pages:
                raise Malformed("GitHub", f"the pages of {known.name} lead round in a circle")
            page = await self._page(url, known, to_end=to_end, first=not pages)
            if page is None:
                return pages or None
            pages[url] = page
            url = page.next_url if to_end or not await self._holds_known(page) else None
        return pages

    async def _page(self, url: str, known: User, *, to_end: bool, first: bool) -> Page | None:
        """None where the first page is unchanged, or a later one lies beyond what GitHub lists."""
        try:
            return await self._github.page(url, known.etag if first and not to_end else None)
        except Refused as e:
            if first or e.status != HTTPStatus.UNPROCESSABLE_ENTITY:
                raise
            if known.name not in self._longer_than_listed:
                self._log.info("GitHub does not list all gists of {user}: the oldest are left out", user=known.name)
            self._longer_than_listed.add(known.name)
            return None

    async def _holds_known(self, page: Page) -> bool:
        return bool(await self._store.known_gists([gist.id for gist in page.gists]))

    async def _unchanged(self, pages: dict[str, Page]) -> bool:
        """Whether every page is still as it was read: then there was a moment at which all of them were, and no gist
        slipped from one page to another unseen.

        An ETag covers more than we read (descriptions, comments): the same gists in the same order will do.
        """
        for url, page in pages.items():
            again = await self._github.page(url, page.etag)
            if again is not None and (again.gists, again.next_url) != (page.gists, page.next_url):
                return False
        return True

    async def _new_gists(self, pages: Iterable[Page]) -> Sequence[Gist]:
        """Those that are not recorded yet, oldest first."""
        listed = {gist.id: gist for page in pages for gist in page.gists}
        recorded = set(await self._store.known_gists(listed.keys()))
        new = [gist for gist in reversed(listed.values()) if gist.id not in recorded]
        return sorted(new, key=lambda gist: gist.created_at)


def _check_owner(known: User, pages: Iterable[Page]) -> None:
    owners = {page.owner_id for page in pages if page.owner_id is not None}
    if known.owner_id is not None and owners - {known.owner_id}:
        raise OtherOwner(f"the name {known.name} belongs to another GitHub account than before")
