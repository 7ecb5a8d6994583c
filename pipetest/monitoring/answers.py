"""Whether an API gives usable answers: counted where they are understood, between a client and those who ask it.

An answer is usable if it is understood, whatever it says: that a key is refused, that a limit is used up, that a record
is not wanted. A request that fails, a server's own failure, a page of HTML, a redirect or an unexpected status is none.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeVar

from pipetest.domain.errors import Denied, PipetestError, RateLimited, Refused, ServiceError
from pipetest.domain.interfaces import DealList, GitHub, Pipedrive
from pipetest.domain.model import AccountPage, Found, Outcome, Page, Unknown

T = TypeVar("T")

ABOUT_ONE_LIST = frozenset(
    {
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS,
    }
)
"""What GitHub says about one user's list, and only a GitHub that works."""


class Answers:
    """What came back from one API since its last usable answer: how many ``failures``, the first of them at ``since``
    (monotonic), the last one for this ``reason``, and what they were ``about``."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.failures = 0
        self.since = 0.0
        self.reason: str | None = None
        self.about: set[str] = set()
        self._monotonic = monotonic

    @property
    def failing_for(self) -> float:
        return self._monotonic() - self.since if self.failures else 0.0

    async def watch(
        self, asked: Awaitable[T], about: str = "", is_usable: Callable[[ServiceError], bool] = lambda error: False
    ) -> T:
        """What was asked for; how that ended is counted. ``is_usable`` tells which of the other errors are answers."""
        try:
            answer = await asked
        except (RateLimited, Denied):
            self._usable()
            raise
        except ServiceError as e:
            if is_usable(e):
                self._usable()
            else:
                self._unusable(e.reason, about)
            raise
        except PipetestError:
            raise  # it did not leave, which says nothing about the service
        except Exception as e:
            self._unusable(f"the request failed ({type(e).__name__})", about)
            raise
        if isinstance(answer, Unknown):
            self._unusable(answer.reason, about)
        else:
            self._usable()
        return answer

    def _usable(self) -> None:
        self.failures, self.reason = 0, None
        self.about.clear()

    def _unusable(self, reason: str, about: str) -> None:
        if not self.failures:
            self.since = self._monotonic()
        self.failures += 1
        self.reason = reason
        self.about.add(about)


class WatchedPipedrive:
    """Pipedrive, and ``answers`` counts what comes back."""

    def __init__(self, pipedrive: Pipedrive, answers: Answers) -> None:
        self._pipedrive = pipedrive
        self._watch = answers.watch

    async def create_organization(self, name: str) -> Outcome:
        return await self._watch(self._pipedrive.create_organization(name))

    async def create_deal(self, title: str, organization_id: int) -> Outcome:
        return await self._watch(self._pipedrive.create_deal(title, organization_id))

    async def organizations(self, names: Collection[str]) -> Mapping[str, Sequence[Found]]:
        return await self._watch(self._pipedrive.organizations(names))

    async def deals(self, organization_id: int) -> Sequence[Found]:
        return await self._watch(self._pipedrive.deals(organization_id))

    def all_deals(self, now_at: float) -> DealList:
        return _WatchedDeals(self._pipedrive.all_deals(now_at), self._watch)

    def newer_deals(self, deal_id: int) -> DealList:
        return _WatchedDeals(self._pipedrive.newer_deals(deal_id), self._watch)

    async def newest_deal(self) -> int:
        return await self._watch(self._pipedrive.newest_deal())

    async def organizations_of(self, deal_ids: Sequence[int]) -> Mapping[int, int | None]:
        return await self._watch(self._pipedrive.organizations_of(deal_ids))

    async def check_access(self) -> None:
        await self._watch(self._pipedrive.check_access())

    async def organization_exists(self, organization_id: int) -> bool:
        return await self._watch(self._pipedrive.organization_exists(organization_id))


class _WatchedDeals:
    """Deals, page by page; ``watch`` counts what comes back."""

    def __init__(self, deals: DealList, watch: Callable[[Awaitable[Sequence[Found] | None]], Awaitable[Any]]) -> None:
        self._deals = deals
        self._watch = watch

    async def next(self) -> Sequence[Found] | None:
        found: Sequence[Found] | None = await self._watch(self._deals.next())
        return found


class WatchedGitHub:
    """GitHub, and ``answers`` counts what comes back: about whom, or which list of users, is told by the URL."""

    def __init__(self, github: GitHub, answers: Answers) -> None:
        self._github = github
        self._answers = answers
        self.first_page = github.first_page
        self.first_page_of_list = github.first_page_of_list

    async def page(self, url: str, etag: str | None = None) -> Page | None:
        asked = self._github.page(url, etag)
        return await self._answers.watch(asked, url.partition("?")[0], _is_about_one_list)

    async def account_page(self, url: str, etag: str | None = None) -> AccountPage | None:
        asked = self._github.account_page(url, etag)
        return await self._answers.watch(asked, url.partition("?")[0], _is_about_one_list)


def _is_about_one_list(error: ServiceError) -> bool:
    return isinstance(error, Refused) and error.status in ABOUT_ONE_LIST
