"""The daemon's settings, read from the environment by one table; whatever is wrong is one clear line.

Times are in seconds, whatever unit a variable has. Secrets are :class:`~pipetest.domain.model.Secret`, unprintable.
"""

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from pipetest.config import deals, parsers
from pipetest.config.files import BACKFILL, USERS_FILE, check_backfill, file_text, read_users_file
from pipetest.config.parsers import Backfill, Network, PostgresDatabase, TinyDatabase
from pipetest.domain.errors import ConfigError
from pipetest.domain.model import QueriedEntry, Secret
from pipetest.domain.template import CurrentTemplate

DEFAULT_COMPANY = "antonsawesomecompany"
PIPEDRIVE_ROOT = "https://{company}.pipedrive.com"
GITHUB_ROOT = "https://api.github.com"
USERS = "PIPETEST_QUERIED_USERS"


class Settings(Struct, frozen=True, kw_only=True):
    """Every setting, checked. The table says which variable each is read from, and what it means. Where there is a
    file of users, ``queried_users`` are those that were in it at the start."""

    company_name: str
    api_key: Secret
    queried_users: tuple[QueriedEntry, ...]
    queried_users_file: Path | None
    backfill: Backfill
    deals: CurrentTemplate
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
    notify: Secret | None
    log_format: str
    trusted_proxies: tuple[Network, ...]
    hosts: tuple[str, ...]

    @property
    def roots(self) -> Mapping[str, str]:
        """Where both services are, by name: what a database holds is true of these alone."""
        return {"GitHub": self.github_url, "Pipedrive": self.pipedrive_url}


# --- the table --------------------------------------------------------------------------------------------------------


class Variable(Struct, frozen=True):
    """A row of the table: ``field`` of the settings holds what ``read`` makes of the variable ``name``; ``default`` is
    None where there is none. A ``secret``, and what has ``many_lines``, can also be given as ``…_FILE``, the path of a
    file that holds it.
    """

    field: str
    name: str
    read: Callable[[str], object]
    default: str | None
    meaning: str
    secret: bool = False
    many_lines: bool = False
    required: bool = False

    @property
    def has_file(self) -> bool:
        return self.secret or self.many_lines

    @property
    def spellings(self) -> tuple[str, ...]:
        """Every name it may have: the original service wrote PIEPEDRIVE."""
        plain = self.name.replace("PIEPEDRIVE", "PIPEDRIVE")
        return tuple(dict.fromkeys((self.name, plain, plain.replace("PIPEDRIVE", "PIEPEDRIVE"))))

    @property
    def names(self) -> tuple[str, ...]:
        """Every variable that is read for it."""
        return self.spellings + tuple(f"{name}_FILE" for name in self.spellings if self.has_file)


# fmt: off
VARIABLES: Sequence[Variable] = (
    Variable("company_name", "PIPETEST_PIEPEDRIVE_COMPANY_NAME", parsers.company, DEFAULT_COMPANY,
             "company in Pipedrive"),
    Variable("api_key", "PIPETEST_PIEPEDRIVE_API_KEY", parsers.secret, None,
             "API key of Pipedrive (Personal preferences, API)", secret=True, required=True),
    Variable("queried_users", USERS, parsers.queried_users, "antomer",
             "GitHub users between commas, blanks or newlines; `following:NAME` stands for all whom NAME follows, "
             "`org:NAME` for an organization's public members"),
    Variable("queried_users_file", USERS_FILE, parsers.path, None,
             "a file with the same instead, an entry a line, `#` comments; read again before each scan"),
    Variable("backfill", BACKFILL, parsers.backfill, "all",
             "which of a new user's old gists become deals: `all`, `none`, or those written on or after a date (UTC) "
             "`YYYY-MM-DD`; with `following:` or `org:` it must be set"),
    Variable("deals", "PIPETEST_DEALS", deals.template, "",
             "what a deal looks like, in TOML: title, pipeline, stage, owner, labels, fields", many_lines=True),
    Variable("querying_interval", "PIPETEST_QUERYING_INTERVAL", parsers.minutes, "30",
             "minutes between scans; a decimal above 0, at most 43,200 (30 days)"),
    Variable("github_token", "PIPETEST_GITHUB_TOKEN", parsers.secret, None,
             "without it: 60 requests an hour", secret=True),
    Variable("github_url", "PIPETEST_GITHUB_URL", parsers.api_root, GITHUB_ROOT,
             "root of the GitHub API (GitHub Enterprise: `https://host/api/v3`)"),
    Variable("pipedrive_url", "PIPETEST_PIPEDRIVE_URL", parsers.api_root, PIPEDRIVE_ROOT,
             "root of Pipedrive; the client adds `/api/v2/…`"),
    Variable("database", "PIPETEST_DATABASE_URL", parsers.database, "tinydb:db/db.json",
             "where state lives: `tinydb:PATH` or `postgresql://…`", secret=True),
    Variable("listen", "PIPETEST_LISTEN", parsers.words, "tcp:8080:interface=127.0.0.1",
             "Twisted endpoint descriptions, separated by spaces"),
    Variable("session_lifetime", "PIPETEST_SESSION_LIFETIME", parsers.days, "365",
             "days a session lives after its last visit, at most 3,650"),
    Variable("settle_time", "PIPETEST_SETTLE_TIME", parsers.seconds, "60",
             "seconds for which a create whose answer was lost may still surface in Pipedrive's lists, at most 86,400"),
    Variable("daily_tokens", "PIPETEST_PIPEDRIVE_DAILY_TOKENS", parsers.tokens, None,
             "a ceiling of our own on Pipedrive tokens per day"),
    Variable("reserve", "PIPETEST_PIPEDRIVE_RESERVE", parsers.fraction, "20",
             "per cent of the company's daily tokens left to its other integrations"),
    Variable("dry_run", "PIPETEST_DRY_RUN", parsers.boolean, "false",
             "read and record, say once per gist what would be created, create nothing"),
    Variable("admin_token", "PIPETEST_ADMIN_TOKEN", parsers.admin_token, None,
             "at least 16 characters; switches the control endpoints on", secret=True),
    Variable("heartbeat_url", "PIPETEST_HEARTBEAT_URL", parsers.secret_url, None,
             "requested after every scan that did not fail (a dead-man's switch)", secret=True),
    Variable("notify", "PIPETEST_NOTIFY", parsers.notify_urls, None,
             "Apprise URLs between blanks: whom to tell when an error lasts", secret=True),
    Variable("log_format", "PIPETEST_LOG_FORMAT", parsers.log_format, "text",
             "or `json`, one object a line"),
    Variable("trusted_proxies", "PIPETEST_TRUSTED_PROXIES", parsers.networks, "",
             "addresses whose `X-Forwarded-Proto` is believed"),
    Variable("hosts", "PIPETEST_HOSTS", parsers.hosts, "",
             "names besides `localhost` by which it may be asked where it listens on loopback"),
)
"""The table, as the README shows it."""
# fmt: on


SERVING = frozenset({"database", "listen", "session_lifetime", "admin_token", "log_format", "trusted_proxies", "hosts"})
"""Fields in which instances of one database may differ: each serves in its own way, and reaches it by its own path."""


def digests(settings: Settings) -> Mapping[str, str]:
    """By its variable, what tells one value of a setting from another, and nothing else of it: two instances can see
    in which they differ. Those of :data:`SERVING` are left out, and what a file of users said at the start."""
    left_out = SERVING if settings.queried_users_file is None else {*SERVING, "queried_users"}
    return {
        variable.name: _digest(variable.name, getattr(settings, variable.field))
        for variable in VARIABLES
        if variable.field not in left_out
    }


def _digest(name: str, value: object) -> str:
    text = value.reveal() if isinstance(value, Secret) else repr(value)
    return blake2b(f"{name}={text}".encode(), digest_size=4).hexdigest()


# --- loading ----------------------------------------------------------------------------------------------------------


def load(environ: Mapping[str, str]) -> Settings:
    """The settings of this environment, and of the files that it names.

    :raises ConfigError: something is wrong. Its text is one line for whoever configures the daemon.
    """
    values: dict[str, Any] = {}
    for variable in VARIABLES:
        values[variable.field] = read(variable, environ, values.get("company_name"))
    values["backfill"] = replace(values["backfill"], chosen=bool(environ.get(BACKFILL, "").strip()))
    users_file: Path | None = values["queried_users_file"]
    if users_file is not None:
        if environ.get(USERS, "").strip():
            raise ConfigError(f"{USERS} and {USERS_FILE} are both set: set only one of them")
        values["queried_users"] = read_users_file(users_file, values["backfill"])
    check_backfill(values["queried_users"], values["backfill"])
    return Settings(**values)


def read_one(field: str, environ: Mapping[str, str]) -> Any:
    """One setting alone, whatever the others are: one whose default holds no other.

    :raises ConfigError: it is wrong.
    """
    (variable,) = (variable for variable in VARIABLES if variable.field == field)
    return read(variable, environ)


def read(variable: Variable, environ: Mapping[str, str], company: str | None = None) -> Any:
    """What one variable says; its default may hold the company's name.

    :raises ConfigError: it is wrong.
    """
    texts = _set_texts(variable, environ)
    if len(set(texts.values())) > 1:
        raise ConfigError(f"{' and '.join(texts)} disagree: set only one of them")
    default = variable.default and variable.default.format(company=company)
    name, text = next(iter(texts.items()), (variable.name, default))
    return _value(variable, name, text)


def _value(variable: Variable, name: str, text: str | None) -> object:
    if text is None and variable.required:
        raise ConfigError(f"{name} is not set: expected {variable.meaning}, or its file's path in {name}_FILE")
    if text is not None and _is_quoted(text) and not (variable.many_lines and text[0] in text[1:-1]):
        raise ConfigError(f"{name}: expected a value without quotes around it, which --env-file keeps: remove them")
    try:
        return None if text is None else variable.read(text)
    except ValueError as e:
        raise ConfigError(f"{name}: {e}") from None


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"


def _set_texts(variable: Variable, environ: Mapping[str, str]) -> dict[str, str]:
    """The texts that are set, by the name they are set under. Set to nothing is not set."""
    texts = {}
    for name in variable.spellings:
        texts[name] = environ.get(name, "").strip()
        path = environ.get(f"{name}_FILE", "").strip()
        if variable.has_file and path:
            texts[f"{name}_FILE"] = file_text(f"{name}_FILE", path)
    return {name: text for name, text in texts.items() if text}
