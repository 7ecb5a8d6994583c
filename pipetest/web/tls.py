"""TLS as pipetest speaks it, on every endpoint that does: which certificates, versions and ciphers, and how it ends."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, cast

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IListeningPort,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.internet.ssl import AcceptableCiphers, CertificateOptions, TLSVersion
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from pipetest.domain.errors import ConfigError
from pipetest.web.certificates import Identity, PemFiles

CIPHERS = AcceptableCiphers.fromOpenSSLCipherString("ECDHE+AESGCM:ECDHE+CHACHA20")
"""For TLS 1.2: authenticated encryption, and a key per connection, so that a key that leaks later opens nothing of what
was sent before. TLS 1.3 has no others."""


@implementer(IOpenSSLServerConnectionCreator)
class ServerTls:
    """Begins TLS on each connection, with the certificate for the host that the client names, else the first one."""

    _options: CertificateOptions

    def __init__(self, files: PemFiles) -> None:
        self._files = files
        self.read()()

    def read(self) -> Callable[[], None]:
        """Read the files again; what this returns presents what they hold, from the next connection on.

        :raises ConfigError: something in them cannot be used.
        """
        contexts: dict[str, SSL.Context] = {}
        identities = self._files.identities()
        try:
            options = [_options(identity, contexts) for identity in identities]
        except SSL.Error as e:
            raise ConfigError(f"{' and '.join(self._files.paths)}: OpenSSL refuses it: {e}") from None
        for identity, made in zip(identities, options, strict=True):
            for name in identity.names:
                contexts.setdefault(name.lower(), made.getContext())
        return partial(setattr, self, "_options", options[0])

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        return self._options.serverConnectionForTLS(protocol)


def _options(identity: Identity, contexts: Mapping[str, SSL.Context]) -> CertificateOptions:
    def context_for(name: bytes | None) -> SSL.Context | None:  # whatever a stranger sends as a name
        host = (name or b"").decode("latin-1").lower()
        return contexts.get(host) or contexts.get(f"*.{host.partition('.')[2]}")

    own, *others = cast(Any, identity.chain)  # OpenSSL takes them; Twisted's types name an older kind
    options = CertificateOptions(
        privateKey=cast(Any, identity.key),
        certificate=own,
        extraCertChain=others,
        acceptableCiphers=CIPHERS,
        raiseMinimumTo=TLSVersion.TLSv1_2,
        contextForServerName=context_for,
    )
    options.getContext().set_options(SSL.OP_NO_RENEGOTIATION)  # which costs us more than who asks for it
    return options


class TlsConnection(BufferingTLSTransport):
    """Twisted's, which ends when its peer says that it ends.

    Twisted's waits for its producer to finish first. An answer that goes on for ever never does, and whoever closes
    TLS before TCP, as nginx and curl do, would be followed for ever.
    """

    def _tlsShutdownFinished(self, reason: Failure | None) -> None:
        transport = cast(Any, self.transport)
        transport.unregisterProducer()
        super()._tlsShutdownFinished(reason)


class TlsFactory(TLSMemoryBIOFactory):
    """Lets what ``tls`` begins carry the protocols of another factory."""

    protocol = TlsConnection

    def __init__(self, tls: ServerTls, carried: IProtocolFactory) -> None:
        super().__init__(tls, False, carried)
        self.tls = tls


@implementer(IStreamServerEndpoint)
class TlsEndpoint:
    """TLS on top of another endpoint."""

    def __init__(self, tls: ServerTls, below: IStreamServerEndpoint) -> None:
        self._tls = tls
        self._below = below

    def listen(self, factory: IProtocolFactory) -> "Deferred[IListeningPort]":
        return self._below.listen(TlsFactory(self._tls, factory))
