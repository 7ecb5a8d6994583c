"""From what GitHub, Pipedrive and the database hold to what is left to do. Nothing is created or stored."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from msgspec import Struct

from pipetest.cli.plan.crm_survey import CrmSurvey
from pipetest.cli.plan.github_survey import GitHubSurvey
from pipetest.cli.plan.recorded import Recorded, recorded
from pipetest.cli.reactor import run
from pipetest.config.parsers import Backfill
from pipetest.config.settings import Settings
from pipetest.domain.model import Gist, key
from pipetest.http.exchange import connect
from pipetest.pipedrive.prices import CREATE


class Plan(Struct, frozen=True):
    """So many ``gists`` of so many ``users`` are to be deals; ``deals`` and ``organizations`` are those still to be
    made. ``tokens`` are what making them takes, and looking first for what is there. ``days`` is None where Pipedrive
    tells no daily limit. ``unread``: who cannot be read, and why. ``misfit``: what of the template of deals doesn't
    fit, so that nothing would be made."""

    users: int
    gists: int
    organizations: int
    deals: int
    tokens: int
    days: float | None
    unread: Mapping[str, str]
    misfit: str | None = None


def planned(settings: Settings) -> Plan:
    """
    :raises DatabaseRefused: it cannot be used, or a daemon is at work on it.
    :raises ServiceError: a service cannot be asked.
    """
    known = recorded(settings)
    return run(lambda reactor: _planned(settings, known, reactor))


async def _planned(settings: Settings, known: Recorded, reactor: Any) -> Plan:
    github, pipedrive = connect("GitHub", reactor), connect("Pipedrive", reactor)
    try:
        lists = GitHubSurvey(settings, github, reactor)
        found = await lists.gists()
        crm = CrmSurvey(settings, pipedrive, reactor)
        made = {*known.done, *await crm.made({user: [gist.id for gist in gists] for user, gists in found.items()})}
        misfit = await crm.misfit(settings.deals.value)
    finally:
        await github.close()
        await pipedrive.close()
    wanted = {user: _wanted(user, gists, known, made, settings.backfill) for user, gists in found.items()}
    missing = {user: sum(gist.id not in made for gist in gists) for user, gists in wanted.items()}
    have_one = {*known.organizations, *crm.organizations}
    deals = sum(missing.values())
    # Who has no gists gets one all the same; who has none but skipped ones does not.
    need_one = [user for user, gists in found.items() if missing[user] or not gists]
    organizations = sum(key(user) not in have_one for user in need_one)
    tokens = int(crm.spent) + CREATE.price * (organizations + deals)
    return Plan(
        users=len(wanted) + len(lists.unread),
        gists=sum(map(len, wanted.values())),
        organizations=organizations,
        deals=deals,
        tokens=tokens,
        days=None if crm.a_day is None else round(tokens / crm.a_day, 2),
        unread=lists.unread,
        misfit=misfit,
    )


def _wanted(
    user: str, gists: Sequence[Gist], known: Recorded, made: Collection[str], backfill: Backfill
) -> Sequence[Gist]:
    """Of a user whose first pass was made, what is older is skipped for good, or is not; of any other, what was written
    since the first of those that have a deal is wanted whatever the backfill."""
    if key(user) in known.users:
        return [gist for gist in gists if gist.id not in known.skipped]
    since_at = min([backfill.since_at, *(gist.created_at for gist in gists if gist.id in made)])
    return [gist for gist in gists if gist.created_at >= since_at]
