"""TLS as pipetest speaks it, on every endpoint that does: which certificates, versions and ciphers, and how it ends.

A certificate's file may hold the whole chain, in any order, and the key too: what belongs to whom is found by the keys
and names in it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509 import (
    Certificate,
    DNSName,
    ExtensionNotFound,
    SubjectAlternativeName,
    load_pem_x509_certificates,
)
from msgspec import Struct
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

CIPHERS = AcceptableCiphers.fromOpenSSLCipherString("ECDHE+AESGCM:ECDHE+CHACHA20")
"""For TLS 1.2: authenticated encryption, and a key per connection, so that a key that leaks later opens nothing of what
was sent before. TLS 1.3 has no others."""

_KEY = re.compile(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.+?-----END \1-----", re.DOTALL)
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


class Identity(Struct, frozen=True):
    """A key, and the certificates that are shown with it: its own first, each of the others vouching for the one
    before."""

    key: PrivateKeyTypes
    chain: Sequence[Certificate]

    @property
    def names(self) -> Sequence[str]:
        """The hosts that it is for."""
        try:
            alternatives = self.chain[0].extensions.get_extension_for_class(SubjectAlternativeName)
        except ExtensionNotFound:
            return ()
        return alternatives.value.get_values_for_type(DNSName)


class PemFiles(Struct, frozen=True):
    """Where keys and certificates are read from: files, and folders of ``*.pem`` files."""

    paths: Sequence[str]

    def identities(self) -> Sequence[Identity]:
        """What they hold now, in the order of the keys.

        :raises ConfigError: one of them cannot be read, or a key has no certificate.
        """
        keys: list[tuple[Path, PrivateKeyTypes]] = []
        certificates: list[Certificate] = []
        for file in dict.fromkeys(file for path in self.paths for file in _files(path)):
            data = _content(file)
            keys += [(file, key) for key in _keys(file, data)]
            certificates += _certificates(file, data)
        if not keys:
            raise ConfigError(f"{' and '.join(self.paths)}: expected a private key in PEM format, and there is none")
        return [_identity(file, key, certificates) for file, key in keys]


def _files(path: str) -> Sequence[Path]:
    file = Path(path)
    return sorted(file.rglob("*.pem")) if file.is_dir() else [file]


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as e:
        raise ConfigError(f"cannot read {str(file)!r}: {e.strerror}") from None
    except ValueError:
        raise ConfigError(f"cannot read {str(file)!r}: a path has no NUL") from None


def _keys(file: Path, data: bytes) -> Sequence[PrivateKeyTypes]:
    try:
        return [load_pem_private_key(block[0], None) for block in _KEY.finditer(data)]
    except TypeError:
        raise ConfigError(f"{str(file)!r}: expected a private key that is not encrypted") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(f"{str(file)!r}: expected a private key in PEM format, and this one is damaged") from None


def _certificates(file: Path, data: bytes) -> Sequence[Certificate]:
    if _CERTIFICATE not in data:
        return ()
    try:
        return load_pem_x509_certificates(data)
    except ValueError:
        raise ConfigError(f"{str(file)!r}: expected certificates in PEM format, and one is damaged") from None


def _identity(file: Path, key: PrivateKeyTypes, certificates: Sequence[Certificate]) -> Identity:
    own = [each for each in certificates if _bytes(each.public_key()) == _bytes(key.public_key())]
    if not own:
        raise ConfigError(f"{str(file)!r}: there is no certificate for this key")
    chain = [max(own, key=lambda each: each.not_valid_after_utc)]
    others = [each for each in dict.fromkeys(certificates) if each not in own]
    while issuers := [each for each in others if each.subject == chain[-1].issuer]:
        chain.append(issuers[0])
        others.remove(issuers[0])
    return Identity(key, chain)


def _bytes(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


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
