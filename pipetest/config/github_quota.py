"""Whether reading so many users so often takes more requests than GitHub allows. Pure."""

from math import ceil

from msgspec import Struct

from pipetest.config.settings import GITHUB_ROOT, Settings
from pipetest.domain.model import POINTS_A_MINUTE
from pipetest.domain.text import number_of

HOURLY = 60
HOURLY_WITH_TOKEN = 5_000
"""Requests an hour that GitHub allows (GitHub docs: rate limits for the REST API)."""


class Shortage(Struct, frozen=True):
    """What is too much for GitHub, and what to do: each a clause of a sentence."""

    text: str
    remedy: str


def quota_shortage(settings: Settings, users: int) -> Shortage | None:
    """None where there is none. With a token, a request whose list is unchanged does not count among those of the hour;
    among the points of the minute it does. GitHub Enterprise has no such limits by default."""
    if settings.github_url != GITHUB_ROOT:
        return None
    minutes = settings.querying_interval / 60
    allowed = HOURLY if settings.github_token is None else HOURLY_WITH_TOKEN
    needed = users * 60 / minutes
    if needed <= allowed:
        return None
    up_to, token, unless = "", "set PIPETEST_GITHUB_TOKEN, ", ""
    if settings.github_token is not None:
        up_to, token, unless = "up to ", "", ", unless enough lists stay unchanged: with a token those do not count"
    scan_minutes = users / POINTS_A_MINUTE
    if settings.github_token is not None and scan_minutes > minutes:
        unless = (
            f"; to read everybody takes {ceil(scan_minutes)} minutes in any case, so GraphQL is asked who has changed"
        )
    return Shortage(
        f"to read {number_of(users, 'GitHub user')} every {minutes:g} min takes {up_to}{ceil(needed):,} requests an "
        f"hour, GitHub allows {allowed:,}",
        f"{token}raise PIPETEST_QUERYING_INTERVAL to {ceil(users * 60 / allowed)} "
        f"or shorten PIPETEST_QUERIED_USERS{unless}",
    )
