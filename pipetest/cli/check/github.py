"""Whether GitHub answers, and whether it knows each user."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from pipetest.cli import services
from pipetest.cli.check.line import CheckLine, fault, ok, warning
from pipetest.cli.reactor import TIME
from pipetest.config.files import USERS_FILE
from pipetest.config.settings import USERS, Settings
from pipetest.domain.errors import Denied, Forbidden, Missing, PipetestError, RateLimited, ServiceError, Transient
from pipetest.domain.interfaces import Exchange
from pipetest.domain.model import QueriedEntry, UserList
from pipetest.domain.text import number_of
from pipetest.github.rate_limit import MAX_CONCURRENT
from pipetest.ratelimit.policy import Cost

SUBJECT = "GitHub"
MOST_UNANSWERED = 3
"""In a row: then nobody else is asked for."""

PATIENCE_S = 5.0
"""A check waits no longer than this for GitHub's limits; who was not asked by then is counted."""


class GitHubCheck:
    """Asks for one gist of each user, as many at once as the daemon does. ``asked`` is called after each."""

    def __init__(self, settings: Settings, exchange: Exchange, reactor: Any, asked: Callable[[], object]) -> None:
        self._limiter, self._client = services.github(settings, exchange, reactor)
        self._settings = settings
        self._setting = USERS if settings.queried_users_file is None else USERS_FILE
        self._asked = asked
        self._waiting = iter(settings.queried_users)
        self._known: set[str] = set()
        self._failed: dict[str, PipetestError] = {}
        self._unanswered = 0
        self._ended_by: PipetestError | None = None

    async def run(self) -> Sequence[CheckLine]:
        await self._ask_next()  # alone: its answer tells what GitHub's limit allows the others
        await gatherResults([Deferred.fromCoroutine(self._ask_one_by_one()) for _ in range(MAX_CONCURRENT)])
        fault = self._fault()
        return [fault] if fault is not None else [self._access(), *self._users()]

    async def _ask_one_by_one(self) -> None:
        while self._ended_by is None and self._limiter.ready(Cost()) <= TIME.monotonic() + PATIENCE_S:
            if not await self._ask_next():
                return

    async def _ask_next(self) -> bool:
        """Whether there was one left to ask for."""
        entry = next(self._waiting, None)
        if entry is None:
            return False
        user = str(entry)
        try:
            await self._ask_for(entry)
        except (Denied, RateLimited) as e:
            self._ended_by = e
        except PipetestError as e:
            self._failed[user] = e
            self._unanswered = self._unanswered + 1 if isinstance(e, Transient) else 0
            if self._unanswered >= MOST_UNANSWERED:
                self._ended_by = e
        else:
            self._known.add(user)
            self._unanswered = 0
        self._asked()
        return True

    async def _ask_for(self, entry: QueriedEntry) -> None:
        """Whoever is on a list is known to GitHub: the list alone is asked for."""
        match entry:
            case UserList():
                await self._client.account_page(self._client.first_page_of_list(entry, 1))
            case user:
                await self._client.page(self._client.first_page(user, 1))

    def _fault(self) -> CheckLine | None:
        """Why nobody can be read, unless it is that nobody is known."""
        if isinstance(self._ended_by, Denied):
            return fault(SUBJECT, self._ended_by.reason, "Make a new token on GitHub; it needs no permission at all")
        errors = list(self._failed.values())
        if self._known or not errors or any(isinstance(error, Missing | Forbidden) for error in errors):
            return None
        return fault(SUBJECT, _reason(errors[0]), "Check PIPETEST_GITHUB_URL and the network")

    def _access(self) -> CheckLine:
        settings = self._settings
        token = "with the token" if settings.github_token is not None else "without a token"
        return ok(SUBJECT, f"{settings.github_url} answers {token}{self._left()}")

    def _left(self) -> str:
        (usage,) = self._limiter.usage()
        if usage.limit is None or usage.left is None:
            return ""
        return f", {usage.left:,.0f} of {usage.limit:,.0f} requests left this hour"

    def _users(self) -> Iterator[CheckLine]:
        total = len(self._settings.queried_users)
        if self._known:
            known = [user for user in map(str, self._settings.queried_users) if user in self._known]
            names = ", ".join(known[:5]) + (", …" if len(known) > 5 else "")
            yield ok(self._setting, f"{len(known):,} of {total:,} can be read: {names}")
        for user, error in self._failed.items():
            yield self._not_read(user, error)
        if unasked := total - len(self._known) - len(self._failed):
            why = "GitHub's limit is used up" if self._ended_by is None else _reason(self._ended_by)
            text = f"{unasked:,} of {number_of(total, 'user')} not asked: {why}"
            yield warning(self._setting, text, "Try again in an hour")

    def _not_read(self, user: str, error: PipetestError) -> CheckLine:
        match error:
            case Missing():
                text, remedy = f"{user}: GitHub knows no such account", f"Correct it in {self._setting}, or take it off"
            case Forbidden():
                text = f"{user}: GitHub {_reason(error)}"
                remedy = "Authorize the token for their organization where it asks for that, or take them off"
            case _:
                text, remedy = f"{user}: {_reason(error)}", "Try again"
        none_can_be_read = not self._known and len(self._failed) == len(self._settings.queried_users)
        return (fault if none_can_be_read else warning)(self._setting, text, remedy)


def _reason(error: PipetestError) -> str:
    return error.reason if isinstance(error, ServiceError) else str(error)
