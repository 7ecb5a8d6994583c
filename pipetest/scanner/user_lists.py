"""Whom to read: names as configured, and the accounts on lists that GitHub keeps.

A list counts from the moment it was read whole, is stored, and counts until another was. One request a page and scan
tells whether it has changed.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import chain, islice

from msgspec import Struct
from msgspec.structs import replace
from twisted.logger import Logger

from pipetest.domain.errors import ConfigError, Denied, Endless, RateLimited, ServiceError, Transient
from pipetest.domain.interfaces import GitHub, Store
from pipetest.domain.model import MOST_NAMES, Account, AccountPage, QueriedEntry, UserList, key
from pipetest.scanner.page_sizes import MAX_PAGES, PageSizes, may_be_too_much

EMPTY_S = 24 * 3600.0
"""A list that is empty all of a sudden is believed when it is still empty after so long."""

TRIES = 4
"""A list of several pages that changes is read this many times in one go."""

STORED_AS = "queried users"


class ReadList(Struct, frozen=True):
    """A list as it counts. ``empty_at``: since when it has been read as empty, while these accounts still count."""

    pages: dict[str, AccountPage] = {}
    empty_at: float | None = None

    @property
    def accounts(self) -> Iterator[Account]:
        every = chain.from_iterable(page.accounts for page in self.pages.values())
        return islice(every, MOST_NAMES)

    @property
    def longer(self) -> bool:
        """Whether there are more accounts on it than count."""
        pages = self.pages.values()
        return sum(len(page.accounts) for page in pages) > MOST_NAMES or any(
            page.next_url is not None and page.next_url not in self.pages for page in pages
        )


def accounts_on(pages: Mapping[str, AccountPage]) -> Sequence[Account]:
    """In their order. ETags and addresses of pages are no part of a list."""
    return [account for page in pages.values() for account in page.accounts]


class StoredLists(Struct, frozen=True):
    """What is stored for the next start, and for the instances that stand by: whom to read, and the lists by entry."""

    entries: Sequence[QueriedEntry] = ()
    lists: dict[str, ReadList] = {}


class NamedUser(Struct, frozen=True, gc=False):
    """A user to be read; the number of the account is None where no list tells it."""

    name: str
    account_id: int | None = None


ReadEntries = Callable[[], Awaitable[Sequence[QueriedEntry]]]
"""Reads the file of users anew.

:raises ConfigError: it is no such file.
"""


class WatchedList:
    """One list, read again at each scan. What cannot be read stays what it was.

    ``problem``: what is wrong with it, in one line. ``unread``: it could not be read just now, for a reason that may
    pass. ``refusal``: what concerns everybody, where that was the reason.
    """

    _log = Logger()

    unread: bool  # this and the next: since it was last to be read
    refusal: ServiceError | None

    def __init__(self, wanted: UserList, read: ReadList, github: GitHub, page_sizes: PageSizes) -> None:
        self.read = read
        self.problem: str | None = None
        self._wanted = wanted
        self._github = github
        self._page_sizes = page_sizes

    async def refresh(self, now_at: float) -> None:
        """
        :raises Stopping: the daemon stops.
        """
        self.unread, self.refusal = False, None
        try:
            pages = await self._whole()
        except ServiceError as e:
            self.unread = isinstance(e, Transient)
            if isinstance(e, Transient) and may_be_too_much(e):
                self._page_sizes.failed(str(self._wanted))
            self.refusal = e if isinstance(e, Denied | RateLimited) else None
            self.problem = f"{self._wanted} cannot be read: {e}"
            self._log.debug("{problem}", problem=self.problem)
            return
        self.read = latest(self.read, pages, now_at)
        complaint = complaint_about(self.read, pages)
        self.problem = None if complaint is None else f"{self._wanted} {complaint}"

    async def _whole(self) -> dict[str, AccountPage]:
        """The pages by URL, the first one first. A list of several pages counts once it was the same twice in a row:
        who leaves it while it is read moves up all that follow, and one of them may slip past the reader. The first of
        the two may be the one that counts already, so that an unchanged list is read once."""
        pages = self.read.pages
        for _ in range(TRIES):
            before, pages = pages, await self._pages(pages)
            if len(pages) <= 1 or accounts_on(pages) == accounts_on(before):
                return pages
        raise Transient("GitHub", "the list changed each time it was read")

    async def _pages(self, before: Mapping[str, AccountPage]) -> dict[str, AccountPage]:
        """All pages; of one that was read ``before``, GitHub is only asked whether it has changed."""
        url: str | None = self._github.first_page_of_list(self._wanted, self._page_sizes.of(str(self._wanted)))
        pages: dict[str, AccountPage] = {}
        names = 0
        while url is not None and names < MOST_NAMES:
            if url in pages or len(pages) == MAX_PAGES:
                raise Endless("GitHub", f"the list {self._wanted} has no end")
            etag = before[url].etag if url in before else None
            pages[url] = page = await self._github.account_page(url, etag) or before[url]
            self._page_sizes.answered()
            names += len(page.accounts)
            url = page.next_url
        return pages


class UserLists:
    """Knows who is to be read. ``entries`` are as configured; ``read_entries`` reads them again where they are in a
    file. ``file_problem`` is why that file is not used as it is."""

    def __init__(
        self, entries: Sequence[QueriedEntry], read_entries: ReadEntries | None, github: GitHub, store: Store
    ) -> None:
        self.file_problem: str | None = None
        self._entries = list(entries)
        self._read_entries = read_entries
        self._github = github
        self._store = store
        self._current = StoredLists(self._entries)
        self._stored: StoredLists | None = None
        self._lists: dict[str, WatchedList] = {}
        self._page_sizes = PageSizes()

    # --- how it stands ------------------------------------------------------------------------------------------------

    @property
    def users(self) -> Iterator[NamedUser]:
        """Everybody who is to be read, each once."""
        return queried(self._current.entries, self._current.lists)

    @property
    def problems(self) -> Sequence[str]:
        """What is wrong with the lists, one line for each."""
        return [watched.problem for watched in self._lists.values() if watched.problem is not None]

    @property
    def may_change(self) -> bool:
        """Whether there is a list."""
        return bool(self._lists)

    @property
    def unread(self) -> bool:
        """Whether there is a list that could not be read just now, for a reason that may pass."""
        return any(watched.unread for watched in self._lists.values())

    @property
    def refusal(self) -> ServiceError | None:
        """What concerns everybody, where it kept a list from being read."""
        return next((watched.refusal for watched in self._lists.values() if watched.refusal is not None), None)

    # --- reading ------------------------------------------------------------------------------------------------------

    async def refresh(self, now_at: float) -> bool:
        """Read the file, if there is one, and every list. Whether others may be to read now than before.

        :raises Stopping: the daemon stops.
        """
        self._page_sizes.begin_scan()
        stored = self._stored = self._stored or await stored_lists(self._store)
        if self._read_entries is not None:
            await self._refresh_entries(self._read_entries)
        self._lists = {
            str(entry): self._lists.get(str(entry))
            or WatchedList(entry, stored.lists.get(str(entry), ReadList()), self._github, self._page_sizes)
            for entry in self._entries
            if isinstance(entry, UserList)
        }
        for watched in self._lists.values():
            await watched.refresh(now_at)
        return await self._changed()

    async def read_again(self, now_at: float) -> bool:
        """Read those lists that could not be read. Whether others may be to read now than before."""
        for watched in self._lists.values():
            if watched.unread:
                await watched.refresh(now_at)
        return await self._changed()

    async def _refresh_entries(self, read_entries: ReadEntries) -> None:
        try:
            entries, self.file_problem = list(await read_entries()), None
        except ConfigError as e:
            self.file_problem = str(e)
        else:
            self._entries = self._entries if entries == self._entries else entries  # a million names are held once

    async def _changed(self) -> bool:
        current = StoredLists(self._entries, {name: watched.read for name, watched in self._lists.items()})
        changed, self._current = current != self._current, current
        if current != self._stored:
            await self._store.put_value(STORED_AS, current)
        self._stored = current
        return changed


async def stored_lists(store: Store) -> StoredLists:
    """What was stored last, empty where there is nothing that can be used."""
    return await store.get_value(STORED_AS, StoredLists) or StoredLists()


async def stored_names(store: Store) -> Sequence[str]:
    """Whom the instance that leads scans, as it has stored that last."""
    stored = await stored_lists(store)
    return [user.name for user in queried(stored.entries, stored.lists)]


def complaint_about(read: ReadList, pages: Mapping[str, AccountPage]) -> str | None:
    """What people should know about a list that was read as these ``pages``."""
    if read.empty_at is not None:
        return "is empty all of a sudden: that counts if it still is in a day"
    if read.longer:
        return f"has more than {MOST_NAMES:,} names: the rest is left out"
    if any(page.unreadable for page in pages.values()):
        return "names an account that cannot be read: it is left out"
    return None


def latest(before: ReadList, pages: dict[str, AccountPage], now_at: float) -> ReadList:
    """The list that counts, now that it was read whole as these ``pages``."""
    if any(page.accounts for page in pages.values()) or not any(before.accounts):
        return ReadList(pages)
    empty_at = now_at if before.empty_at is None else min(before.empty_at, now_at)
    return ReadList(pages) if now_at >= empty_at + EMPTY_S else replace(before, empty_at=empty_at)


def queried(entries: Sequence[QueriedEntry], lists: Mapping[str, ReadList]) -> Iterator[NamedUser]:
    """Everybody once, in the order of the entries, spelt as first met there. Whom NAME follows are the others."""
    names: dict[str, str] = {}
    account_ids: dict[str, int] = {}
    for name, account_id in chain.from_iterable(_named(entry, lists) for entry in entries):
        names.setdefault(key(name), name)
        if account_id is not None:
            account_ids.setdefault(key(name), account_id)
    return (NamedUser(name, account_ids.get(user)) for user, name in names.items())


def _named(entry: QueriedEntry, lists: Mapping[str, ReadList]) -> Iterator[tuple[str, int | None]]:
    if not isinstance(entry, UserList):
        yield entry, None
        return
    for account in lists.get(str(entry), ReadList()).accounts:
        if entry.kind == "org" or key(account.name) != key(entry.name):
            yield account.name, account.id
