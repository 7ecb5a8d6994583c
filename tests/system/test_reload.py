"""SIGHUP makes the real process read certificates and secrets again; whoever is connected does not notice."""

import signal
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPResponse, HTTPSConnection
from pathlib import Path
from warnings import catch_warnings, simplefilter

import pytest
from attrs import frozen

from tests.support.daemon_process import daemon
from tests.support.processes import HOPELESS_S, Process
from tests.support.web.certificate import key_and_certificate

HEALTH = ("GET", "/health")
READ_AGAIN = "secrets and certificates were read again"


def trusting_anybody() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@frozen
class Served:
    """A daemon on one TLS port, and the files it was started with."""

    process: Process
    folder: Path
    port: int

    @contextmanager
    def connection(self, context: ssl.SSLContext | None = None) -> Iterator[HTTPSConnection]:
        with closing(
            HTTPSConnection("127.0.0.1", self.port, context=context or trusting_anybody(), timeout=HOPELESS_S)
        ) as made:
            made.connect()
            yield made

    def presented(self) -> str:
        """The certificate that a new connection is shown."""
        return ssl.get_server_certificate(("127.0.0.1", self.port))

    def renew(self, *, token: str) -> str:
        """Write a new pair and this token into the files; the new certificate."""
        key, certificate = key_and_certificate()
        (self.folder / "key.pem").write_bytes(key)
        (self.folder / "cert.pem").write_bytes(certificate)
        (self.folder / "token").write_text(token, encoding="utf-8")
        return certificate.decode()

    def reload(self, expected_line: str) -> None:
        self.process.signal(signal.SIGHUP)
        self.process.line(expected_line)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    nobody = "http://127.0.0.1:9"
    files = f"privateKey={tmp_path / 'key.pem'}:certKey={tmp_path / 'cert.pem'}"
    Served(None, tmp_path, 0).renew(token="first")  # type: ignore[arg-type]
    with daemon(
        tmp_path,
        GITHUB_URL=nobody,
        PIPEDRIVE_URL=nobody,
        PIPEDRIVE_API_KEY="key",
        ADMIN_TOKEN_FILE=str(tmp_path / "token"),
        LISTEN=f"ssl:0:interface=127.0.0.1:{files}",
    ) as process:
        yield Served(process, tmp_path, int(process.line(r"starting on ([0-9]+)")[1]))


def request(connection: HTTPSConnection, method: str, path: str, token: str = "") -> HTTPResponse:
    connection.request(method, path, headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    answer.read()
    return answer


def test_a_renewed_certificate_and_token_are_used_from_the_signal_on_and_connections_stay(served: Served) -> None:
    with served.connection() as connection:
        assert request(connection, "POST", "/scan", "first").status == 202
        certificate = served.renew(token="second")
        assert served.presented() != certificate
        served.reload(READ_AGAIN)
        assert served.presented() == certificate
        assert request(connection, "POST", "/scan", "first").status == 401
        assert request(connection, "POST", "/scan", "second").status == 202
    assert served.process.stop() == -signal.SIGTERM


def test_a_client_that_connects_during_a_reload_is_served(served: Served) -> None:
    for number in range(10):
        served.renew(token=f"token{number}")
        served.process.signal(signal.SIGHUP)
        for _ in range(5):
            with served.connection() as connection:
                assert request(connection, *HEALTH).status == 200
        served.process.line(READ_AGAIN)


@pytest.mark.parametrize("name", ["key.pem", "cert.pem", "token"])
def test_what_cannot_be_read_is_named_in_a_line_and_all_stays_as_it_was(served: Served, name: str) -> None:
    before = served.presented()
    served.renew(token="second")
    (served.folder / name).unlink()
    served.reload("what was read before still holds")
    assert name in served.process.output
    assert "Traceback" not in served.process.output
    assert served.presented() == before
    with served.connection() as connection:
        assert request(connection, "POST", "/scan", "first").status == 202


def test_a_key_that_does_not_fit_its_certificate_changes_nothing(served: Served) -> None:
    before = served.presented()
    served.renew(token="second")
    (served.folder / "key.pem").write_bytes(key_and_certificate()[0])
    served.reload("what was read before still holds")
    assert "Traceback" not in served.process.output
    assert served.presented() == before


def test_where_there_is_nothing_but_tls_browsers_are_told_to_stay_with_it(served: Served) -> None:
    with served.connection() as visitor:
        assert request(visitor, *HEALTH).getheader("Strict-Transport-Security") == "max-age=31536000"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_is_modern_with_forward_secrecy_and_authenticated_ciphers(served: Served, version: ssl.TLSVersion) -> None:
    context = trusting_anybody()
    context.minimum_version = context.maximum_version = version
    with served.connection(context) as visitor:
        cipher = str(visitor.sock.cipher())
    assert cipher.startswith(("('TLS_", "('ECDHE-"))
    assert "GCM" in cipher or "CHACHA20" in cipher


@pytest.mark.parametrize(
    ("version", "ciphers"),
    [
        (ssl.TLSVersion.TLSv1, "ALL:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_2, "kRSA:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_2, "SHA1:@SECLEVEL=0"),
        (ssl.TLSVersion.TLSv1_2, "aNULL:eNULL:RC4:3DES:@SECLEVEL=0"),
    ],
)
def test_what_is_no_longer_safe_is_refused(served: Served, version: ssl.TLSVersion, ciphers: str) -> None:
    context = trusting_anybody()
    context.set_ciphers(ciphers)
    with catch_warnings():
        simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    with pytest.raises((ssl.SSLError, ConnectionResetError)), served.connection(context):
        pass
