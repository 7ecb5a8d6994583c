"""What Pipedrive holds of the users' gists already, as cheaply as that can be told."""

from collections.abc import Collection, Mapping, Sequence
from math import inf
from typing import Any

from pipetest.cli import services
from pipetest.cli.progress import bar
from pipetest.cli.reactor import TIME
from pipetest.config.settings import Settings
from pipetest.domain.interfaces import Exchange
from pipetest.domain.model import ARCHIVED_PAGE_TOKENS, PAGE_ROWS, PAGE_TOKENS, Found
from pipetest.domain.template import Misfit, Template
from pipetest.outbox.recognition import match


class CrmSurvey:
    """``organizations`` are the users that have one, by key."""

    def __init__(self, settings: Settings, exchange: Exchange, reactor: Any) -> None:
        self._limiter, self._client = services.pipedrive(settings, exchange, reactor)
        self.organizations: Collection[str] = ()

    @property
    def spent(self) -> float:
        """Tokens that all of this took."""
        return sum(usage.used or 0.0 for usage in self._limiter.usage() if usage.name == "tokens today")

    @property
    def a_day(self) -> float | None:
        """Tokens that may be spent on a whole day, where Pipedrive tells."""
        a_day = self._limiter.rate_limit.budget(self._limiter.now()).a_day
        return None if a_day == inf else a_day

    async def misfit(self, template: Template) -> str | None:
        """What of it doesn't fit what there is.

        :raises ServiceError: Pipedrive cannot be asked.
        """
        found = await self._client.look_up(template) if template.has_names else None
        return found.reason if isinstance(found, Misfit) else None

    async def made(self, gists: Mapping[str, Sequence[str]]) -> Collection[str]:
        """Those of each user's gists, by id, that have a deal.

        :raises ServiceError: Pipedrive cannot be asked.
        """
        organizations = await self._client.organizations(gists) if gists else {}
        self.organizations = set(organizations)
        of_users = [organization.id for several in organizations.values() for organization in several]
        newest = await self._client.newest_deal() if of_users else 0
        if newest / PAGE_ROWS * PAGE_TOKENS < (PAGE_TOKENS + ARCHIVED_PAGE_TOKENS) * len(of_users):
            return self._recognised(gists, await self._all_deals(newest))
        with bar("organizations", len(of_users)) as advance:
            deals: list[Found] = []
            for organization_id in of_users:
                deals += await self._client.deals(organization_id)
                advance()
        return self._recognised(gists, deals)

    async def _all_deals(self, newest: int) -> Sequence[Found]:
        if newest == 0:
            return []
        deals: list[Found] = []
        pages = self._client.all_deals(TIME.wall())
        with bar("deals", newest // PAGE_ROWS + 1) as advance:
            while (page := await pages.next()) is not None:
                deals += page
                advance()
        return deals

    def _recognised(self, gists: Mapping[str, Sequence[str]], deals: Sequence[Found]) -> Collection[str]:
        return set(match([gist for found in gists.values() for gist in found], deals).adopted)
