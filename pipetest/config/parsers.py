"""Parsers of settings: from a variable's text to its value. Pure.

Each raises ``ValueError`` with what was expected; none shows a text that may hold a secret. Durations are in seconds.
"""

import ipaddress
import re
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from pipetest.domain.model import QueriedEntry, Secret, UserList, key

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MOST_TOKENS = 1_000_000_000
"""More a day than any plan has."""

MIN_ADMIN_TOKEN = 16

_BLANK = re.compile(r"[\s,]+")
_DECIMAL = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_COMMENT = re.compile(r"#[^\n]*")
_QUERIED = re.compile(r"(?:(following|org):)?(?:@|https://github\.com/)?([A-Z0-9_-]{1,39})", re.ASCII | re.IGNORECASE)
_HOST_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_HOST_NAME_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_APPRISE_URL = re.compile(r"[a-z][a-z0-9+.-]{0,31}://[!-~]+", re.ASCII | re.IGNORECASE)
_VISIBLE = re.compile(r"[!-~]+")
_POSTGRESQL = re.compile(r"//([^@/]*@)?+[^@/?]*(/[^@?]*)?(\?.*)?")
"""User and password, if any, end with the first ``@`` (libpq's fe-connect.c). Only the query may hold another."""
_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def company(text: str) -> str:
    if not _HOST_LABEL.fullmatch(text):
        raise ValueError(f"expected the company's part of its Pipedrive address (letters, digits, -), got {text!r}")
    return text


def secret(text: str) -> Secret:
    if not _VISIBLE.fullmatch(text):
        raise ValueError("expected printable ASCII characters without blanks")
    return Secret(text)


def admin_token(text: str) -> Secret:
    """Whoever may connect can guess at it."""
    token = secret(text)
    if len(text) < MIN_ADMIN_TOKEN:
        raise ValueError(f"expected at least {MIN_ADMIN_TOKEN} characters, such as `openssl rand -hex 16` prints")
    return token


def queried_users(text: str) -> tuple[QueriedEntry, ...]:
    """Names and lists in their order; of those that differ in case only, the first is kept."""
    entries: dict[str, QueriedEntry] = {}
    for part in filter(None, _BLANK.split(text)):
        queried = _QUERIED.fullmatch(part.removesuffix("/") if "://" in part else part)
        if queried is None:
            raise ValueError(
                "expected names of GitHub users (1 to 39 letters, digits, - or _), following:NAME or org:NAME, "
                f"got {_short(part)}"
            )
        kind, name = queried.groups()
        entry = name if kind is None else UserList("org" if kind.lower() == "org" else "following", name)
        entries.setdefault(key(str(entry)), entry)
    if not entries:
        raise ValueError("expected at least one GitHub user")
    return tuple(entries.values())


def queried_users_file(text: str) -> tuple[QueriedEntry, ...]:
    """The same from a file's text, in which ``#`` and what follows it on its line count for nothing."""
    return queried_users(_COMMENT.sub("", text))


class Backfill(Struct, frozen=True):
    """Gists that were written since then (seconds since the epoch) become deals, also where that is before their user
    was first queried. ``chosen``: by people, who know how much that is."""

    since_at: float
    chosen: bool = True


def backfill(text: str) -> Backfill:
    match text.lower():
        case "all":
            return Backfill(-inf)
        case "none":
            return Backfill(inf)
    try:
        if not _DATE.fullmatch(text):
            raise ValueError
        return Backfill(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())
    except ValueError:
        raise ValueError(f"expected all, none or a date as in 2026-11-27, got {_short(text)}") from None


def _number(text: str, what: str, most: int) -> float:
    number = float(text) if _DECIMAL.fullmatch(text) else 0.0
    if not 0 < number <= most:
        raise ValueError(f"expected {what} as a decimal above 0, at most {most:,}, got {_short(text)}")
    return number


def minutes(text: str) -> float:
    return _number(text, "minutes", 30 * 24 * 60) * 60


def days(text: str) -> float:
    return _number(text, "days", 3650) * 24 * 3600


def seconds(text: str) -> float:
    return _number(text, "seconds", 24 * 3600)


def tokens(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text) or not 0 < int(text) <= MOST_TOKENS:
        raise ValueError(f"expected a whole number of tokens above 0, at most {MOST_TOKENS:,}, got {_short(text)}")
    return int(text)


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")


def fraction(text: str) -> float:
    """A part of 1, given as per cent."""
    if not _DECIMAL.fullmatch(text) or float(text) >= 100:
        raise ValueError(f"expected per cent from 0 to below 100, got {text!r}")
    return float(text) / 100


def boolean(text: str) -> bool:
    if text.lower() not in _BOOLEANS:
        raise ValueError(f"expected true or false, got {text!r}")
    return _BOOLEANS[text.lower()]


def log_format(text: str) -> str:
    if text not in ("text", "json"):
        raise ValueError(f"expected text or json, got {text!r}")
    return text


def words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(part, strict=False) for part in filter(None, _BLANK.split(text)))
    except ValueError:
        raise ValueError(f"expected IP addresses or networks between commas, got {text!r}") from None


def hosts(text: str) -> tuple[str, ...]:
    names = tuple(filter(None, _BLANK.split(text.lower())))
    if not all(map(_is_host, names)):
        raise ValueError(f"expected names of hosts between commas, without ports, got {text!r}")
    return names


def api_root(text: str) -> str:
    """An API's root, without a slash at its end."""
    url = _secure_url(text)
    if url.query or url.fragment or "?" in text or "#" in text:
        raise ValueError("expected a URL without ? and #")
    return f"{url.scheme}://{url.netloc.lower()}{url.path.rstrip('/')}"


def secret_url(text: str) -> Secret:
    """A URL that must not be shown: whoever knows it may request it."""
    _secure_url(text)
    return Secret(text)


def notify_urls(text: str) -> Secret:
    """Any number of them, with blanks or newlines between. Most hold a password: no message shows them."""
    urls = text.split()
    if not urls or not all(map(_APPRISE_URL.fullmatch, urls)):
        raise ValueError("expected Apprise URLs between blanks, such as mailto://… or ntfy://host/topic")
    return Secret(" ".join(urls))


def _secure_url(text: str) -> SplitResult:
    """No message shows the text, because somebody may have put a password into it."""
    expected = ValueError("expected https://host/path, or http:// for this machine's loopback addresses only")
    try:
        url = urlsplit(text)
        port_valid = url.port != 0
    except ValueError:
        raise expected from None
    host = url.hostname or ""
    if not (_VISIBLE.fullmatch(text) and _is_host(host) and port_valid):
        raise expected
    if "@" in url.netloc:
        raise ValueError("expected a URL without user name and password")
    if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(host)):
        raise expected
    return url


def _is_host(name: str) -> bool:
    """Whether a host can have this name or address (RFC 1123; containers' names have underscores, too)."""
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        *_, last = labels = name.removesuffix(".").split(".")
        return len(name) <= 253 and not last.isdigit() and all(map(_HOST_NAME_LABEL.fullmatch, labels))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class TinyDatabase(Struct, frozen=True):
    """One file, for one instance."""

    path: Path


class PostgresDatabase(Struct, frozen=True):
    """A server, for any number of instances. The URL holds a password."""

    url: Secret


def path(text: str) -> Path:
    if re.search(r"\$\{?[A-Za-z_]", text):
        raise ValueError("expected a path without $, as nothing replaces variables here: write it out")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError("expected a path without ~, as this user has no home: write it out") from None


def database(text: str) -> TinyDatabase | PostgresDatabase:
    scheme, _, rest = text.partition(":")
    if scheme == "tinydb" and "\0" not in rest and (file := path(rest)).name:
        return TinyDatabase(file)
    if scheme == "postgresql" and rest.startswith("//") and _VISIBLE.fullmatch(text):
        if not _POSTGRESQL.fullmatch(rest):  # else part of the password is taken for the host, and shown
            raise ValueError("expected no @ or / in the user, the password or the database: percent-encode them there")
        return PostgresDatabase(Secret(text))
    raise ValueError("expected tinydb:PATH or postgresql://…")
