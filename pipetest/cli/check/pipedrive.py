"""Whether Pipedrive answers, whose key it is, and what it may read. What it may create shows only when it does."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from pipetest.cli import services
from pipetest.cli.check.line import CheckLine, fault, ok
from pipetest.config.settings import PIPEDRIVE_ROOT, Settings
from pipetest.domain.errors import Denied, ServiceError
from pipetest.domain.interfaces import Exchange
from pipetest.domain.template import Misfit
from pipetest.pipedrive.client import Me, PipedriveClient
from pipetest.ratelimit.limiter import RateLimiter

SUBJECT = "Pipedrive"
COMPANY = "PIPETEST_PIEPEDRIVE_COMPANY_NAME"
TEMPLATE = "PIPETEST_DEALS"


async def check_pipedrive(settings: Settings, exchange: Exchange, reactor: Any) -> AsyncIterator[CheckLine]:
    """For 22 tokens, and up to 60 more where there is a template."""
    limiter, client = services.pipedrive(settings, exchange, reactor)
    try:
        me = await client.me()
        for line in whose(me, settings):
            yield line
        await client.check_reading()
        for line in await _template(settings, client):
            yield line
    except Denied as e:
        yield fault(SUBJECT, e.reason, "Correct the key, the subscription or the permission that it names")
    except ServiceError as e:
        yield fault(SUBJECT, e.reason, f"Check {COMPANY}, PIPETEST_PIPEDRIVE_URL and the network")
    else:
        yield ok(SUBJECT, f"organizations and deals can be read{_left(limiter)}")


async def _template(settings: Settings, client: PipedriveClient) -> Sequence[CheckLine]:
    """Whether what it names is there."""
    template = settings.deals.value
    if not template.has_names:
        return ()
    match await client.look_up(template):
        case Misfit(reason):
            return [fault(TEMPLATE, f"it doesn't fit: {reason}", "Correct it, or what it names in Pipedrive")]
        case _:
            return [ok(TEMPLATE, "Pipedrive has what it names")]


def whose(me: Me | None, settings: Settings) -> Iterator[CheckLine]:
    yield ok(SUBJECT, f"{settings.pipedrive_url} knows the key{_owner(me)}")
    domain = me.company_domain if me is not None else None
    is_default = settings.pipedrive_url == PIPEDRIVE_ROOT.format(company=settings.company_name)
    if is_default and isinstance(domain, str) and domain.lower() != settings.company_name.lower():
        text = f"the key belongs to the company {domain}, not to {settings.company_name}"
        yield fault(SUBJECT, text, f"Set {COMPANY} to {domain}, or take a key of {settings.company_name}")


def _owner(me: Me | None) -> str:
    if me is None or not isinstance(me.name, str):
        return ""
    if me.is_admin in (False, 0):
        return f", which is {me.name}'s, who is no admin: what is hidden from that user cannot be recognised"
    return f", which is {me.name}'s"


def _left(limiter: RateLimiter[Any]) -> str:
    for usage in limiter.usage():
        if usage.name == "tokens today" and usage.left is not None and usage.limit is not None:
            return f", {usage.left:,.0f} of {usage.limit:,.0f} tokens left today"
    return ""
