"""Where the site listens: on every endpoint at once, or not at all. TLS endpoints take modern ciphers only."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from socket import AF_UNIX, socket
from typing import Any, cast

from OpenSSL.SSL import Error as SSLError
from twisted.internet.defer import gatherResults, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IListeningPort,
    IOpenSSLContextFactory,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from pipetest.domain.errors import ConfigError
from pipetest.web.site import WebSite

CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: authenticated encryption, and a key per connection, so that a key which leaks later opens no old record.
TLS 1.3 has no others."""

BACKLOG = 500
"""So many may wait to be accepted; a client beyond that tries again only after a second. Twisted's default is 50."""

DRAIN_S = 0.2
"""A request on an accepted connection is read and answered within so long, unless its answer is a big one."""


class WebServer:
    """``endpoints`` by their descriptions, all serving the same ``site``."""

    _log = Logger()

    def __init__(self, endpoints: Mapping[str, IStreamServerEndpoint], site: WebSite, clock: IReactorTime) -> None:
        self._endpoints = endpoints
        self._site = site
        self._clock = clock
        self._ports: dict[str, IListeningPort] = {}

    def listen(self) -> None:
        """Listen on all of them before this returns.

        :raises SystemExit: one of them cannot be listened on; the text names it.
        """
        for description, endpoint in self._endpoints.items():
            self._listen(description, endpoint)

    def announce(self) -> None:
        """Say where answers are to be had from now on."""
        for description in self._endpoints:
            self._log.info("answering on {endpoint}", endpoint=description)

    def _listen(self, description: str, endpoint: IStreamServerEndpoint) -> None:
        ports: list[IListeningPort] = []
        failures: list[Failure] = []
        endpoint.listen(self._site).addCallbacks(ports.append, failures.append)
        if failures and _remove_stale_lock(failures[0].value):
            failures.clear()
            endpoint.listen(self._site).addCallbacks(ports.append, failures.append)
        for failure in failures:
            raise SystemExit(f"pipetest: cannot listen on {description}: {_reason(failure)}")
        self._ports[description] = ports[0]

    def renew(self, certificates: Mapping[str, IOpenSSLContextFactory]) -> None:
        """Present these certificates, by their endpoints' descriptions, on every connection from now on.

        The sockets stay open: closing one would turn away whoever waits in its queue.
        """
        for description, certificate in certificates.items():
            cast(Any, self._ports[description]).factory = TLSMemoryBIOFactory(certificate, False, self._site)

    async def close(self) -> None:
        """Stop listening, answer what has arrived already, and end the connections that are still open."""
        stopping = [maybeDeferred(port.stopListening) for port in self._ports.values()]
        await gatherResults(stopping, consumeErrors=True)
        await deferLater(self._clock, DRAIN_S)
        self._site.abort_connections()


def _reason(failure: Failure) -> object:
    if isinstance(failure.value, CannotListenError):
        return getattr(failure.value.socketError, "strerror", None) or failure.value.socketError
    return failure.value


def _remove_stale_lock(error: object) -> bool:
    """Whether a UNIX socket was refused for the lock of a process that was killed, which is removed.

    Twisted believes the lock while any process has the killed one's number: in a container, always we have it.
    """
    if not (isinstance(error, CannotListenError) and isinstance(error.port, str)):
        return False
    lock = Path(f"{error.port}.lock")
    with socket(AF_UNIX) as client, suppress(OSError):
        client.settimeout(1.0)
        try:
            client.connect(error.port)
        except (ConnectionRefusedError, FileNotFoundError):
            lock.unlink()
            return True
    return False


def is_tls(description: str) -> bool:
    return description.startswith("ssl:")


def endpoint(description: str, reactor: Any) -> IStreamServerEndpoint:
    """
    :raises ConfigError: it describes no endpoint, or one that cannot be had.
    """
    listener = _WithCiphers(reactor.listenSSL) if is_tls(description) else reactor
    try:
        return cast(IStreamServerEndpoint, serverFromString(listener, _with_backlog(description)))
    except Exception as e:  # each kind of endpoint has errors of its own
        expected = "expected a Twisted endpoint description such as tcp:8080"
        raise ConfigError(f"cannot listen on {description!r}: {e}; {expected}") from None


async def certificate(description: str) -> IOpenSSLContextFactory:
    """What a TLS endpoint would present, read from its files now.

    :raises ConfigError: one of them cannot be used.
    """
    try:
        return cast(IOpenSSLContextFactory, await endpoint(description, _CertificateOnly()).listen(Factory()))
    except SSLError as e:
        raise ConfigError(f"{description}: {e}") from None


def _with_backlog(description: str) -> str:
    own = description.startswith(("tcp:", "ssl:")) and "backlog=" not in description
    return f"{description}:backlog={BACKLOG}" if own else description


class _WithCiphers:
    """The part of a reactor that TLS endpoints use; ``listen`` is a reactor's ``listenSSL``."""

    def __init__(self, listen: Callable[..., Any]) -> None:
        self._listen = listen

    def listenSSL(self, port: int, factory: Factory, contextFactory: CertificateOptions, **options: Any) -> Any:
        contextFactory.getContext().set_cipher_list(CIPHERS)  # fails unless key and certificate belong together
        return self._listen(port, factory, contextFactory, **options)


class _CertificateOnly:
    """Stands in for a reactor: returns what would be presented, and opens no port."""

    def listenSSL(self, port: int, factory: Factory, contextFactory: CertificateOptions, **_: object) -> Any:
        return contextFactory
