"""Certificates that nobody has to trust."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.internet.ssl import CertificateOptions, PrivateCertificate


def key_and_certificate(host: str = "pipetest") -> tuple[bytes, bytes]:
    """A new key and its certificate for this host, self-signed, for a day; both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private, certificate.public_bytes(Encoding.PEM)


@cache
def server_options() -> CertificateOptions:
    """What a TLS server presents."""
    return cast(CertificateOptions, PrivateCertificate.loadPEM(b"".join(key_and_certificate())).options())
