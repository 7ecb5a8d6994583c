"""Whether an API gives usable answers: counted where they are understood, between a client and those who ask it.

An answer is usable if it is understood, whatever it says: that a key is refused, that a limit is used up, that a record
is not wanted. A request that fails, a server's own failure, a page of HTML, a redirect or an unexpected status is none.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeVar

from pipetest.domain.errors import Denied, PipetestError, RateLimited, Refused, ServiceError
from pipetest.domain.interfaces import DealList, GitHub, Pipedrive
from pipetest.domain.model import AccountPage, Found, Gist, GistPage, NotNow, Outcome, Unknown
from pipetest.domain.template import DealShape, Ids, Misfit, Template
from pipetest.monitoring.problems import LONG_HOLD_S

T = TypeVar("T")

ABOUT_ONE_LIST = frozenset(
    {
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS,
    }
)
"""Answers about one user's list, as only a GitHub that works gives them."""


class Answers:
    """What came back from one API since its last usable answer: how many ``failures``, the first of them at ``since``
    (monotonic), the last one for this ``reason``, and what they were ``about``."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.failures = 0
        self.since = 0.0
        self.reason: str | None = None
        self.about: set[str] = set()
        self._monotonic = monotonic
        self._limited_since: float | None = None

    @property
    def limited_for(self) -> float:
        """For how many seconds a limit has let nothing through, as refusals tell that name no longer wait."""
        return 0.0 if self._limited_since is None else self._monotonic() - self._limited_since

    @property
    def failing_for(self) -> float:
        return self._monotonic() - self.since if self.failures else 0.0

    async def watch(
        self, asked: Awaitable[T], about: str = "", is_usable: Callable[[ServiceError], bool] = lambda error: False
    ) -> T:
        """What was asked for; how that ended is counted. ``is_usable`` tells which of the other errors are answers."""
        try:
            answer = await asked
        except ServiceError as e:
            self._failed(e, about, is_usable)
            raise
        except PipetestError:
            raise  # it did not leave, which says nothing about the service
        except Exception as e:
            self._unusable(f"the request failed ({type(e).__name__})", about)
            raise
        match answer:
            case Unknown(reason):
                self._unusable(reason, about)
            case NotNow(wait=wait):
                self._limited(wait)
            case _:
                self._usable()
        return answer

    def _failed(self, error: ServiceError, about: str, is_usable: Callable[[ServiceError], bool]) -> None:
        if isinstance(error, RateLimited):
            self._limited(error.wait)
        elif isinstance(error, Denied) or is_usable(error):
            self._usable()
        else:
            self._unusable(error.reason, about)

    def _usable(self) -> None:
        self.failures, self.reason, self._limited_since = 0, None, None
        self.about.clear()

    def _limited(self, wait: float | None) -> None:
        since = self._monotonic() if self._limited_since is None else self._limited_since
        self._usable()
        self._limited_since = since if (wait or 0.0) < LONG_HOLD_S else None

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

    async def look_up(self, template: Template) -> Ids | Misfit:
        return await self._watch(self._pipedrive.look_up(template))

    async def create_organization(self, shape: DealShape, user: str, account: int | None) -> Outcome:
        return await self._watch(self._pipedrive.create_organization(shape, user, account))

    async def create_deal(self, shape: DealShape, gist: Gist, user: str, organization_id: int) -> Outcome:
        return await self._watch(self._pipedrive.create_deal(shape, gist, user, organization_id))

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

    async def sees_organization(self, organization_id: int, name: str, *, deleted: bool) -> bool:
        return await self._watch(self._pipedrive.sees_organization(organization_id, name, deleted=deleted))

    async def sees_deal(self, deal_id: int, *, deleted: bool) -> bool:
        return await self._watch(self._pipedrive.sees_deal(deal_id, deleted=deleted))

    async def organization_exists(self, organization_id: int) -> bool:
        return await self._watch(self._pipedrive.organization_exists(organization_id))


class _WatchedDeals:
    """Deals, page by page; ``watch`` counts what comes back."""

    def __init__(self, deals: DealList, watch: Callable[[Awaitable[Sequence[Found] | None]], Awaitable[Any]]) -> None:
        self._deals = deals
        self._watch = watch

    @property
    def tokens(self) -> int:
        return self._deals.tokens

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

    async def page(self, url: str, etag: str | None = None) -> GistPage | None:
        asked = self._github.page(url, etag)
        return await self._answers.watch(asked, url.partition("?")[0], _is_about_one_list)

    async def account_page(self, url: str, etag: str | None = None) -> AccountPage | None:
        asked = self._github.account_page(url, etag)
        return await self._answers.watch(asked, url.partition("?")[0], _is_about_one_list)


def _is_about_one_list(error: ServiceError) -> bool:
    return isinstance(error, Refused) and error.status in ABOUT_ONE_LIST
