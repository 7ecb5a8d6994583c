"""All gists of all users, read once and kept nowhere."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred, FirstError, gatherResults

from pipetest.cli import services
from pipetest.cli.progress import bar
from pipetest.config.settings import Settings
from pipetest.domain.errors import Denied, Endless, ServiceError, Transient
from pipetest.domain.interfaces import Exchange
from pipetest.domain.model import MOST_NAMES, Gist, QueriedEntry, UserList, key
from pipetest.github.rate_limit import MAX_CONCURRENT

PER_PAGE = 100
MAX_PAGES = 1_000
ATTEMPTS = 3

T = TypeVar("T")


class _Page(Protocol):
    @property
    def next_url(self) -> str | None: ...


P = TypeVar("P", bound=_Page)


class GitHubSurvey:
    """Reads all lists, as many at once as the daemon does. ``unread`` tells who could not be read, and why."""

    def __init__(self, settings: Settings, exchange: Exchange, reactor: Any) -> None:
        _, self._client = services.github(settings, exchange, reactor)
        self._entries = settings.queried_users
        self.unread: dict[str, str] = {}

    async def gists(self) -> Mapping[str, Sequence[Gist]]:
        """By the user's name.

        :raises Denied: the token is refused.
        """
        names = [name for entry in self._entries for name in await self._names(entry)]
        users = {key(name): name for name in names}.values()
        waiting, found = iter(users), {}

        async def read_one_by_one() -> None:
            for user in waiting:
                gists = await self._tried(user, self._gists(user))
                if gists is not None:
                    found[user] = gists
                advance()

        with bar("users", len(users)) as advance:
            readers = [Deferred.fromCoroutine(read_one_by_one()) for _ in range(MAX_CONCURRENT)]
            try:
                await gatherResults(readers, consumeErrors=True)
            except FirstError as e:
                e.subFailure.raiseException()
        return found

    async def _names(self, entry: QueriedEntry) -> Sequence[str]:
        match entry:
            case UserList():
                return await self._tried(str(entry), self._accounts(entry)) or []
            case name:
                return [name]

    async def _tried(self, name: str, work: Awaitable[T]) -> T | None:
        try:
            return await work
        except Denied:
            raise
        except ServiceError as e:
            self.unread[name] = f"GitHub {e.reason}"
            return None

    async def _accounts(self, wanted: UserList) -> Sequence[str]:
        """As many of them as the daemon reads."""
        names: list[str] = []
        async for page in _each_page(self._client.first_page_of_list(wanted, PER_PAGE), self._client.account_page):
            names += [account.name for account in page.accounts]
            if len(names) >= MOST_NAMES:
                break
        return names[:MOST_NAMES]

    async def _gists(self, user: str) -> Sequence[Gist]:
        pages = _each_page(self._client.first_page(user, PER_PAGE), self._client.page)
        return list({gist.id: gist async for page in pages for gist in page.gists}.values())


async def _each_page(first: str, ask: Callable[[str], Awaitable[P | None]]) -> AsyncIterator[P]:
    url = first
    for _ in range(MAX_PAGES):
        page = await _patiently(ask, url)
        if page is None:
            return
        yield page
        if page.next_url is None:
            return
        url = page.next_url
    raise Endless("GitHub", "a list that has no end")


async def _patiently(ask: Callable[[str], Awaitable[T]], url: str) -> T:
    """What fails for now is asked again; the rate limiter sees to the wait."""
    for _ in range(ATTEMPTS - 1):
        try:
            return await ask(url)
        except Transient:
            continue
    return await ask(url)
