"""Keys and certificates, as PEM files hold them.

A file may hold a whole chain, in any order, and the key too: what belongs to whom is found by the keys and names in it.
"""

import re
from collections.abc import Sequence
from pathlib import Path

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

from pipetest.domain.errors import ConfigError

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
