"""Reads where to listen, as Twisted describes it (``tcp:8080``), with what Twisted leaves open: TLS is always ours."""

import re
from collections.abc import Callable
from errno import EADDRINUSE
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any, cast

from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint, serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.protocols.haproxy import proxyEndpoint

from pipetest.domain.errors import ConfigError
from pipetest.web.certificates import PemFiles
from pipetest.web.tls import ServerTls, TlsEndpoint

BACKLOG = 500
"""So many may wait to be accepted; a client beyond that tries again only after a second. Twisted's default is 50."""

_PART = re.compile(r"(?P<at>^|:)(?P<name>(?:[^:=\\]|\\.)*)(?:=(?P<value>(?:[^:\\]|\\.)*))?")
_INTERFACE = re.compile(r"(?<=:interface=)\[?([0-9A-Fa-f:.%]+)\]?(?=:\w+=|$)")
"""An IPv6 address may stand there as it is written elsewhere, although a colon ends each part of a description."""

_HOME = re.compile(r"(?<=[^\\][:=])~[^/:]*(?=[/:]|$)")
"""At the start of a path."""


def endpoint(description: str, reactor: Any) -> IStreamServerEndpoint:
    """
    :raises ConfigError: it describes no endpoint, or one that cannot be had.
    """
    try:
        return _endpoint(_HOME.sub(_expanded, _INTERFACE.sub(_escaped, description)), reactor)
    except ConfigError as e:
        raise ConfigError(f"cannot listen on {description!r}: {e}") from None
    except Exception:  # each kind of endpoint has errors of its own
        expected = "expected a Twisted endpoint description such as tcp:8080 or tcp:8080:interface=::1"
        raise ConfigError(f"cannot listen on {description!r}: {expected}") from None


def refusal(description: str, error: object) -> tuple[str, str]:
    """Why it cannot be listened on, and what to do: of any error with which an endpoint has failed."""
    cause = error.socketError if isinstance(error, CannotListenError) else error
    taken = getattr(cause, "errno", None) == EADDRINUSE
    remedy = "end what listens there, or name another place in PIPETEST_LISTEN" if taken else "correct PIPETEST_LISTEN"
    return f"cannot listen on {description}: {getattr(cause, 'strerror', None) or cause}".removesuffix("."), remedy


def _escaped(address: "re.Match[str]") -> str:
    if ":" not in address[1]:
        return address[0]
    return str(IPv6Address(address[1])).replace(":", r"\:")


def _expanded(home: "re.Match[str]") -> str:
    try:
        return re.sub(r"([\\:])", r"\\\1", str(Path(home[0]).expanduser()))
    except RuntimeError:
        raise ConfigError("expected a path without ~, as this user has no home: write it out") from None


def _endpoint(description: str, reactor: Any) -> IStreamServerEndpoint:
    kind, _, rest = description.partition(":")
    match kind.lower():
        case "haproxy":
            return proxyEndpoint(_endpoint(rest, reactor))
        case "ssl":
            return _called(_ssl, reactor, rest)
        case "tls":
            return _called(_tls, reactor, rest)
        case "tcp" | "tcp6" if "backlog=" not in rest:
            description += f":backlog={BACKLOG}"
    return cast(IStreamServerEndpoint, serverFromString(reactor, description))


def _called(make: Callable[..., IStreamServerEndpoint], reactor: Any, rest: str) -> IStreamServerEndpoint:
    """Call it with the parts of a description, those with a name by their names."""
    parts = [(_plain(part["name"]), part["value"]) for part in _PART.finditer(rest)]
    given = [text for text, value in parts if value is None]
    return make(reactor, *given, **{name: _plain(value) for name, value in parts if value is not None})


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _ssl(
    reactor: Any,
    port: str,
    privateKey: str = "server.pem",
    certKey: str = "",
    sslmethod: str = "",
    interface: str = "",
    backlog: str = str(BACKLOG),
    extraCertChain: str = "",
    dhParameters: str = "",
) -> IStreamServerEndpoint:
    """Takes what Twisted's takes. ``sslmethod`` and ``dhParameters`` change nothing: versions and ciphers are ours."""
    files = PemFiles([path for path in (privateKey, certKey, extraCertChain) if path])
    return TlsEndpoint(ServerTls(files), TCP4ServerEndpoint(reactor, int(port), int(backlog), interface))


def _tls(
    reactor: Any, path: str, port: str = "443", backlog: str = str(BACKLOG), interface: str = "::"
) -> IStreamServerEndpoint:
    return TlsEndpoint(ServerTls(PemFiles([path])), TCP6ServerEndpoint(reactor, int(port), int(backlog), interface))
