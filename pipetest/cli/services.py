"""GitHub and Pipedrive as the command asks them: within their limits, as the daemon does."""

from typing import Any
from urllib.parse import urlsplit

from pipetest.cli.reactor import RANDOM, TIME
from pipetest.config.settings import Settings
from pipetest.domain.interfaces import Exchange
from pipetest.github.client import GitHubClient
from pipetest.github.rate_limit import GitHubRateLimit, github_rate_limit
from pipetest.pipedrive.client import PipedriveClient
from pipetest.pipedrive.rate_limit import PipedriveRateLimit, pipedrive_rate_limit
from pipetest.ratelimit.limiter import RateLimiter


def github(settings: Settings, exchange: Exchange, reactor: Any) -> tuple[RateLimiter[GitHubRateLimit], GitHubClient]:
    """The client, and the limiter that it asks through."""
    host = urlsplit(settings.github_url).hostname or ""
    limit = github_rate_limit(token=settings.github_token is not None, host=host)
    limiter = RateLimiter("GitHub", limit, exchange, TIME, reactor, RANDOM)
    return limiter, GitHubClient(limiter, settings.github_url, settings.github_token, TIME.wall)


def pipedrive(
    settings: Settings, exchange: Exchange, reactor: Any
) -> tuple[RateLimiter[PipedriveRateLimit], PipedriveClient]:
    """The client, and the limiter that it asks through."""
    limit = pipedrive_rate_limit(ceiling=settings.daily_tokens, reserve=settings.reserve)
    limiter = RateLimiter("Pipedrive", limit, exchange, TIME, reactor, RANDOM)
    return limiter, PipedriveClient(limiter, settings.pipedrive_url, settings.api_key)
