"""Where to listen, from descriptions in Twisted's own words; what is served over TLS is served with modern ciphers."""

from collections.abc import Callable
from typing import Any, cast

from OpenSSL.SSL import Error as SSLError
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IOpenSSLContextFactory, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.ssl import CertificateOptions

from pipetest.domain.errors import ConfigError

CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2 those that authenticate what they encrypt, and whose records no later leak of the key opens.
TLS 1.3 has no others."""

BACKLOG = 500
"""So many may wait to be accepted; whoever comes on top tries again after a second only. Twisted has 50."""


def is_tls(description: str) -> bool:
    return description.startswith("ssl:")


def endpoint(description: str, reactor: Any) -> IStreamServerEndpoint:
    """
    :raises ConfigError: it describes none, or one that cannot be had.
    """
    listener = _Tls(reactor.listenSSL) if is_tls(description) else reactor
    try:
        return cast(IStreamServerEndpoint, serverFromString(listener, _roomy(description)))
    except Exception as e:  # each kind of endpoint has errors of its own
        expected = "expected a Twisted endpoint description such as tcp:8080"
        raise ConfigError(f"cannot listen on {description!r}: {e}; {expected}") from None


async def certificate(description: str) -> IOpenSSLContextFactory:
    """What an endpoint with TLS would present, read from its files now.

    :raises ConfigError: one of them cannot be used.
    """
    try:
        return cast(IOpenSSLContextFactory, await endpoint(description, _Presented()).listen(Factory()))
    except SSLError as e:
        raise ConfigError(f"{description}: {e}") from None


def _roomy(description: str) -> str:
    own = description.startswith(("tcp:", "ssl:")) and "backlog=" not in description
    return f"{description}:backlog={BACKLOG}" if own else description


class _Tls:
    """The part of a reactor that endpoints with TLS use; ``listen`` is a reactor's ``listenSSL``."""

    def __init__(self, listen: Callable[..., Any]) -> None:
        self._listen = listen

    def listenSSL(self, port: int, factory: Factory, contextFactory: CertificateOptions, **options: Any) -> Any:
        contextFactory.getContext().set_cipher_list(CIPHERS)  # fails where key and certificate are no pair
        return self._listen(port, factory, contextFactory, **options)


class _Presented:
    """Stands in for a reactor, to be told what would be presented on a port that is not opened."""

    def listenSSL(self, port: int, factory: Factory, contextFactory: CertificateOptions, **_: object) -> Any:
        return contextFactory
