"""One pass over one user's list: read whole or not at all."""

from collections import Counter
from collections.abc import Iterable, Sequence

from twisted.logger import Logger

from pipetest.domain.errors import Malformed, OtherOwner, Refused, Transient
from pipetest.domain.interfaces import GitHub, Store
from pipetest.domain.model import Gist, Page, PassResult, User

TRIES = 3
"""So often a list of several pages is read in one scan when it changes meanwhile."""

UNPROCESSABLE = 422


class ListReader:
    """Makes passes. It asks the store only what is recorded already; recording is the scan's."""

    _log = Logger()

    def __init__(self, github: GitHub, store: Store) -> None:
        self._github = github
        self._store = store
        self._changed: Counter[str] = Counter()
        self._cut: set[str] = set()

    def begin_scan(self) -> None:
        """Who has had all tries in the last scan is read again."""
        self._changed.clear()

    async def read(self, known: User, now_at: float, *, to_end: bool) -> PassResult | None:
        """A pass over the list of ``known``, to its end or to a recorded gist; None when GitHub says it is unchanged.

        :raises OtherOwner: the name was taken by another account.
        :raises ServiceError: nothing was read, or not the whole of it.
        """
        while self._changed[known.name] < TRIES:
            pages = await self._pages(known, to_end=to_end)
            if pages is None:
                return None
            _check_owner(known, pages.values())
            if len(pages) == 1 or await self._unchanged(pages):
                new = await self._new(pages.values())
                first = next(iter(pages.values()))
                return PassResult(known.name, first.owner_id, first.etag, new, now_at if to_end else None)
            self._changed[known.name] += 1
        raise Transient("GitHub", f"the list of {known.name} changed each time it was read")

    async def _pages(self, known: User, *, to_end: bool) -> dict[str, Page] | None:
        """The list by URL, first page first; None when the first page still has the ETag that is stored."""
        url: str | None = self._github.first_page(known.name)
        pages: dict[str, Page] = {}
        while url is not None:
            if url in pages:
                raise Malformed("GitHub", f"the pages of {known.name} lead round in a circle")
            page = await self._page(url, known, to_end=to_end, first=not pages)
            if page is None:
                return pages or None
            pages[url] = page
            url = page.following if to_end or not await self._meets_known(page) else None
        return pages

    async def _page(self, url: str, known: User, *, to_end: bool, first: bool) -> Page | None:
        """None: the first page is unchanged, or a later one lies beyond what GitHub lists."""
        try:
            return await self._github.page(url, known.etag if first and not to_end else None)
        except Refused as e:
            if first or e.status != UNPROCESSABLE:
                raise
            if known.name not in self._cut:
                self._log.info("GitHub does not list all gists of {user}: the oldest are left out", user=known.name)
            self._cut.add(known.name)
            return None

    async def _meets_known(self, page: Page) -> bool:
        return bool(await self._store.known_gists([gist.id for gist in page.gists]))

    async def _unchanged(self, pages: dict[str, Page]) -> bool:
        """Whether every page is still as it was read: then all of them were so at one moment, and none was missed.

        An ETag covers more than we read (descriptions, comments): the same gists in the same order will do.
        """
        for url, page in pages.items():
            again = await self._github.page(url, page.etag)
            if again is not None and (again.gists, again.following) != (page.gists, page.following):
                return False
        return True

    async def _new(self, pages: Iterable[Page]) -> Sequence[Gist]:
        """What is not in the feed yet, oldest first."""
        listed = {gist.id: gist for page in pages for gist in page.gists}
        recorded = set(await self._store.known_gists(listed.keys()))
        new = [gist for gist in reversed(listed.values()) if gist.id not in recorded]
        return sorted(new, key=lambda gist: gist.created_at)


def _check_owner(known: User, pages: Iterable[Page]) -> None:
    owners = {page.owner_id for page in pages if page.owner_id is not None}
    if known.owner_id is not None and owners - {known.owner_id}:
        raise OtherOwner(f"the name {known.name} belongs to another GitHub account than before")
