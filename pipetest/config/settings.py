"""The daemon's settings, read from the environment: one table, one clear line for whatever is wrong. Pure.

Times are in seconds, whatever unit a variable has. Secrets are :class:`~pipetest.domain.model.Secret`, unprintable.
"""

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

from attrs import frozen

from pipetest.config import parsers
from pipetest.config.parsers import Network, PostgresDatabase, TinyDatabase
from pipetest.domain.errors import ConfigError
from pipetest.domain.model import Secret

GITHUB_ROOT = "https://api.github.com"
GITHUB_HOURLY = 60
GITHUB_HOURLY_WITH_TOKEN = 5_000
"""Requests an hour that GitHub allows (GitHub docs: rate limits for the REST API)."""

ReadText = Callable[[str], str]


@frozen(kw_only=True)
class Settings:
    """Every setting, checked; what it means says the variable it is read from."""

    company_name: str
    api_key: Secret
    queried_users: tuple[str, ...]
    querying_interval: float
    github_token: Secret | None
    github_url: str
    pipedrive_url: str
    database: TinyDatabase | PostgresDatabase
    listen: tuple[str, ...]
    session_lifetime: float
    settle_time: float
    daily_tokens: int | None
    reserve: float
    dry_run: bool
    admin_token: Secret | None
    heartbeat_url: Secret | None
    log_format: str
    trusted_proxies: tuple[Network, ...]


# --- the table --------------------------------------------------------------------------------------------------------


@frozen
class Variable:
    """A row: where the value goes, the variable's name, how it is read, its default (None: there is none), its meaning.

    A ``secret`` one can also be given as ``…_FILE``, a path to read it from.
    """

    field: str
    name: str
    read: Callable[[str], object]
    default: str | None
    meaning: str
    secret: bool = False
    required: bool = False

    @property
    def spellings(self) -> tuple[str, ...]:
        """Every name it goes by: the original service wrote PIEPEDRIVE."""
        plain = self.name.replace("PIEPEDRIVE", "PIPEDRIVE")
        return tuple(dict.fromkeys((self.name, plain, plain.replace("PIPEDRIVE", "PIEPEDRIVE"))))


# fmt: off
VARIABLES: Sequence[Variable] = (
    Variable("company_name", "PIPETEST_PIEPEDRIVE_COMPANY_NAME", parsers.company, "antonsawesomecompany",
             "company in Pipedrive"),
    Variable("api_key", "PIPETEST_PIEPEDRIVE_API_KEY", parsers.secret, None,
             "API key of that company", secret=True, required=True),
    Variable("queried_users", "PIPETEST_QUERIED_USERS", parsers.users, "antomer",
             "comma-separated GitHub users"),
    Variable("querying_interval", "PIPETEST_QUERYING_INTERVAL", parsers.minutes, "30",
             "minutes between scans; a decimal above 0"),
    Variable("github_token", "PIPETEST_GITHUB_TOKEN", parsers.secret, None,
             "without it: 60 requests an hour", secret=True),
    Variable("github_url", "PIPETEST_GITHUB_URL", parsers.root, GITHUB_ROOT,
             "root of the GitHub API (GitHub Enterprise: `https://host/api/v3`)"),
    Variable("pipedrive_url", "PIPETEST_PIPEDRIVE_URL", parsers.root, "https://{company}.pipedrive.com",
             "root of Pipedrive; the client adds `/api/v2/…`"),
    Variable("database", "PIPETEST_DATABASE_URL", parsers.database, "tinydb:db/db.json",
             "where state lives: `tinydb:PATH` or `postgresql://…`", secret=True),
    Variable("listen", "PIPETEST_LISTEN", parsers.words, "tcp:8080:interface=127.0.0.1",
             "Twisted endpoint descriptions, separated by spaces"),
    Variable("session_lifetime", "PIPETEST_SESSION_LIFETIME", parsers.days, "365",
             "days a session lives after its last visit"),
    Variable("settle_time", "PIPETEST_SETTLE_TIME", parsers.seconds, "60",
             "seconds for which a create whose answer was lost may still surface in Pipedrive's lists"),
    Variable("daily_tokens", "PIPETEST_PIPEDRIVE_DAILY_TOKENS", parsers.tokens, None,
             "a ceiling of our own on Pipedrive tokens per day"),
    Variable("reserve", "PIPETEST_PIPEDRIVE_RESERVE", parsers.share, "20",
             "per cent of the company's daily tokens left to its other integrations"),
    Variable("dry_run", "PIPETEST_DRY_RUN", parsers.boolean, "false",
             "read and record, say once per gist what would be created, create nothing"),
    Variable("admin_token", "PIPETEST_ADMIN_TOKEN", parsers.secret, None,
             "switches the control endpoints on", secret=True),
    Variable("heartbeat_url", "PIPETEST_HEARTBEAT_URL", parsers.secret_url, None,
             "requested after every scan that did not fail (a dead-man's switch)", secret=True),
    Variable("log_format", "PIPETEST_LOG_FORMAT", parsers.log_format, "text",
             "or `json`, one object a line"),
    Variable("trusted_proxies", "PIPETEST_TRUSTED_PROXIES", parsers.networks, "",
             "addresses whose `X-Forwarded-Proto` is believed"),
)
"""The table, as the README shows it."""
# fmt: on


# --- loading ----------------------------------------------------------------------------------------------------------


def _read_file(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def load(environ: Mapping[str, str], read_text: ReadText = _read_file) -> Settings:
    """The settings of this environment; ``read_text`` reads the file that a ``…_FILE`` names.

    :raises ConfigError: something is wrong; its text is one line for whoever configures the daemon.
    """
    values: dict[str, Any] = {}
    for variable in VARIABLES:
        given = _given(variable, environ, read_text)
        if len(set(given.values())) > 1:
            raise ConfigError(f"{' and '.join(given)} disagree: set only one of them")
        default = variable.default and variable.default.format(company=values.get("company_name"))
        name, text = next(iter(given.items()), (variable.name, default))
        values[variable.field] = _value(variable, name, text)
    return Settings(**values)


def _value(variable: Variable, name: str, text: str | None) -> object:
    if text is None and variable.required:
        raise ConfigError(f"{name} is not set: expected {variable.meaning}, or its file's path in {name}_FILE")
    try:
        return None if text is None else variable.read(text)
    except ValueError as e:
        raise ConfigError(f"{name}: {e}") from None


def _given(variable: Variable, environ: Mapping[str, str], read_text: ReadText) -> dict[str, str]:
    """What is set, by name. Set to nothing is not set."""
    given = {}
    for name in variable.spellings:
        given[name] = environ.get(name, "").strip()
        path = environ.get(f"{name}_FILE", "").strip()
        if variable.secret and path:
            given[f"{name}_FILE"] = _text_of(f"{name}_FILE", path, read_text)
    return {name: text for name, text in given.items() if text}


def _text_of(name: str, path: str, read_text: ReadText) -> str:
    try:
        return read_text(path).strip()
    except OSError as e:
        raise ConfigError(f"{name}: cannot read {path!r}: {e.strerror}") from None
    except ValueError:  # not UTF-8, or a path that cannot be one
        raise ConfigError(f"{name}: expected the path of a text file, got {path!r}") from None


def requests_warning(settings: Settings) -> str | None:
    """One line if a request per user and scan is more than GitHub allows, with what to change; else None. GitHub
    Enterprise has no such limit by default."""
    if settings.github_url != GITHUB_ROOT:
        return None
    users, minutes = len(settings.queried_users), settings.querying_interval / 60
    allowed = GITHUB_HOURLY if settings.github_token is None else GITHUB_HOURLY_WITH_TOKEN
    needed = users * 60 / minutes
    if needed <= allowed:
        return None
    up_to, token, unless = "", "set PIPETEST_GITHUB_TOKEN, ", ""
    if settings.github_token is not None:
        up_to, token, unless = "up to ", "", ", unless enough lists stay unchanged: with a token those do not count"
    return (
        f"{users} GitHub users every {minutes:g} minutes need {up_to}{ceil(needed):,} requests an hour, "
        f"GitHub allows {allowed:,}: {token}raise PIPETEST_QUERYING_INTERVAL to {ceil(users * 60 / allowed)} "
        f"or shorten PIPETEST_QUERIED_USERS{unless}"
    )
