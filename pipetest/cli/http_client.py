"""What the command asks of a running daemon: one HTTP request, and an answer within limits."""

import os
import ssl
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, TypeVar
from urllib.parse import SplitResult, quote, urlsplit

import click
import msgspec
from msgspec import Struct

from pipetest.cli.outcome import CannotTell
from pipetest.config.settings import read_one
from pipetest.domain.errors import UNREADABLE, ConfigError

DEFAULT_URL = "http://localhost:8080"
TIMEOUT_S = 20.0
LARGEST_ANSWER = 256 * 2**20

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def asks_a_daemon(command: F) -> F:
    """Give a command the options of all that talk to a daemon."""
    url = click.option(
        "--url", default=DEFAULT_URL, show_default=True, metavar="URL", help="Where the daemon answers.", callback=_root
    )
    as_json = click.option("--json", "as_json", is_flag=True, help="Print the daemon's answer, for programs.")
    return url(as_json(command))


def _root(context: click.Context, option: click.Parameter, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not (valid and url.isascii() and url.isprintable()) or "@" in parts.netloc or parts.query or parts.fragment:
        raise click.BadParameter("expected http://HOST:PORT or https://HOST:PORT")
    return parts


class DaemonAnswer(Struct, frozen=True):
    status: int
    body: bytes


class _Problem(Struct):
    """The body of an error, as RFC 9457 has it."""

    detail: str


class _Description(Struct):
    """What /openapi.json tells, as far as it matters here."""

    paths: Mapping[str, Any]


def get(url: SplitResult, path: str) -> bytes:
    """
    :raises CannotTell: no answer came, or one that is no success.
    """
    answer = _ask(url, "GET", path, {})
    if answer.status != HTTPStatus.OK:
        raise _refused(url, answer)
    return answer.body


def post(url: SplitResult, route: str, **names: str) -> DaemonAnswer:
    """Ask for something with the admin token; ``names`` fill the braces of a route, which is one that /openapi.json
    tells. The answer is a success, or 404 about what is named.

    :raises CannotTell: anything else, also where the daemon has no such route.
    """
    path = route.format_map({name: quote(value, safe="") for name, value in names.items()})
    answer = _ask(url, "POST", path, {"Authorization": f"Bearer {_admin_token()}"})
    if answer.status == HTTPStatus.NOT_FOUND and route not in _posts(url):
        raise CannotTell(
            f"the daemon at {url.geturl()} does not take this from anybody", "Start it with PIPETEST_ADMIN_TOKEN set"
        )
    if answer.status != HTTPStatus.NOT_FOUND and answer.status >= HTTPStatus.MULTIPLE_CHOICES:
        raise _refused(url, answer)
    return answer


def decoded(url: SplitResult, body: bytes, as_type: type[T]) -> T:
    """
    :raises CannotTell: it is nothing of the kind.
    """
    try:
        return msgspec.json.decode(body, type=as_type)
    except UNREADABLE:
        raise CannotTell(
            f"what answers at {url.geturl()} is no pipetest, or one of another version", "Name the daemon with --url"
        ) from None


def _problem_of(url: SplitResult, answer: DaemonAnswer) -> str:
    return decoded(url, answer.body, _Problem).detail


def _admin_token() -> str:
    try:
        token = read_one("admin_token", os.environ)
    except ConfigError as e:
        raise CannotTell(str(e), "Set it as for the daemon") from None
    if token is None:
        raise CannotTell(
            "PIPETEST_ADMIN_TOKEN is not set",
            "Set it, or PIPETEST_ADMIN_TOKEN_FILE, as for the daemon",
        )
    return str(token.reveal())


def _posts(url: SplitResult) -> frozenset[str]:
    """The routes that take a POST."""
    answer = _ask(url, "GET", "/openapi.json", {})
    return frozenset(path for path, item in decoded(url, answer.body, _Description).paths.items() if "post" in item)


def _refused(url: SplitResult, answer: DaemonAnswer) -> CannotTell:
    match answer.status:
        case HTTPStatus.UNAUTHORIZED:
            return CannotTell("the daemon refuses the admin token", "Set PIPETEST_ADMIN_TOKEN as it was started with")
        case HTTPStatus.MISDIRECTED_REQUEST:
            return CannotTell(
                f"the daemon does not answer to the name {url.hostname}", "Use localhost, or set PIPETEST_HOSTS for it"
            )
        case _ if answer.status < HTTPStatus.BAD_REQUEST:
            return CannotTell(f"{url.geturl()} redirects", "Name with --url where the daemon itself answers")
        case _:
            return CannotTell(f"the daemon says: {_problem_of(url, answer)} ({answer.status})", "See its log")


def _ask(url: SplitResult, method: str, path: str, headers: Mapping[str, str]) -> DaemonAnswer:
    """One request. Redirects are not followed: the token would go along."""
    kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=TIMEOUT_S)
    try:
        connection.request(method, url.path.rstrip("/") + path, headers={"Accept": "application/json", **headers})
        response = connection.getresponse()
        body = response.read(LARGEST_ANSWER + 1)
    except (OSError, HTTPException) as e:
        reason = f"no daemon answers at {url.geturl()}: {_reason(e)}"
        raise CannotTell(reason, "Is it running? Else name it with --url") from None
    finally:
        connection.close()
    if len(body) > LARGEST_ANSWER:
        raise CannotTell(f"the answer of {url.geturl()} has no end", "Name the daemon with --url")
    return DaemonAnswer(response.status, body)


def _reason(error: OSError | HTTPException) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted ({error.verify_message})"
        case ssl.SSLError():
            return "it does not speak TLS"
        case TimeoutError():
            return f"nothing came in {TIMEOUT_S:.0f} s"
        case OSError():
            return error.strerror or type(error).__name__
        case _:
            return "it does not speak HTTP"
