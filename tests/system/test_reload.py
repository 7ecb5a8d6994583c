"""SIGHUP makes the real process read certificates and secrets again; whoever is connected does not notice."""

import signal
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPResponse, HTTPSConnection
from pathlib import Path
from warnings import catch_warnings, simplefilter

import pytest
from msgspec import Struct

from tests.support.daemon_process import daemon
from tests.support.processes import HOPELESS_S, Process
from tests.support.web.certificate import key_and_certificate

HEALTH = ("GET", "/health")
READ_AGAIN = "secrets, certificates and template were read again"
FIRST, SECOND = "the-first-admin-token", "the-second-admin-token"


def trusting_anybody() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def write_files(folder: Path, token: str) -> str:
    """Write a new key, its certificate and this token into the daemon's files; the certificate."""
    key, certificate = key_and_certificate()
    (folder / "key.pem").write_bytes(key)
    (folder / "cert.pem").write_bytes(certificate)
    (folder / "token").write_text(token, encoding="utf-8")
    return certificate.decode()


class RunningDaemon(Struct, frozen=True):
    """A daemon on one TLS port, and the folder of the files that it reads."""

    process: Process
    folder: Path
    port: int

    @contextmanager
    def connection(self, context: ssl.SSLContext | None = None) -> Iterator[HTTPSConnection]:
        with closing(
            HTTPSConnection("127.0.0.1", self.port, context=context or trusting_anybody(), timeout=HOPELESS_S)
        ) as connection:
            connection.connect()
            yield connection

    def presented(self) -> str:
        """The certificate that a new connection is shown."""
        return ssl.get_server_certificate(("127.0.0.1", self.port))

    def renew(self, *, token: str) -> str:
        return write_files(self.folder, token)

    def reload(self, expected_line: str) -> None:
        self.process.signal(signal.SIGHUP)
        self.process.line(expected_line)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningDaemon]:
    nobody = "http://127.0.0.1:9"
    files = f"privateKey={tmp_path / 'key.pem'}:certKey={tmp_path / 'cert.pem'}"
    write_files(tmp_path, FIRST)
    with daemon(
        tmp_path,
        GITHUB_URL=nobody,
        PIPEDRIVE_URL=nobody,
        PIPEDRIVE_API_KEY="key",
        ADMIN_TOKEN_FILE=str(tmp_path / "token"),
        LISTEN=f"ssl:0:interface=127.0.0.1:{files}",
    ) as process:
        yield RunningDaemon(process, tmp_path, int(process.line(r"starting on ([0-9]+)")[1]))


def request(connection: HTTPSConnection, method: str, path: str, token: str = "") -> HTTPResponse:
    connection.request(method, path, headers={"Authorization": f"Bearer {token}"})
    response = connection.getresponse()
    response.read()
    return response


def test_a_renewed_certificate_and_token_are_used_from_the_signal_on_and_connections_stay(
    running: RunningDaemon,
) -> None:
    with running.connection() as connection:
        assert request(connection, "POST", "/scan", FIRST).status == 202
        certificate = running.renew(token=SECOND)
        assert running.presented() != certificate
        running.reload(READ_AGAIN)
        assert running.presented() == certificate
        assert request(connection, "POST", "/scan", FIRST).status == 401
        assert request(connection, "POST", "/scan", SECOND).status == 202
    assert running.process.stop() == -signal.SIGTERM


def test_a_client_that_connects_during_a_reload_is_served(running: RunningDaemon) -> None:
    for number in range(10):
        running.renew(token=f"the-admin-token-of-renewal-{number}")
        running.process.signal(signal.SIGHUP)
        for _ in range(5):
            with running.connection() as connection:
                assert request(connection, *HEALTH).status == 200
        running.process.line(READ_AGAIN)


@pytest.mark.parametrize("name", ["key.pem", "cert.pem", "token"])
def test_what_cannot_be_read_is_named_in_a_line_and_all_stays_as_it_was(running: RunningDaemon, name: str) -> None:
    before = running.presented()
    running.renew(token=SECOND)
    (running.folder / name).unlink()
    running.reload("secrets, certificates and template stay as they were")
    assert name in running.process.output
    assert "Traceback" not in running.process.output
    assert running.presented() == before
    with running.connection() as connection:
        assert request(connection, "POST", "/scan", FIRST).status == 202


def test_a_key_that_does_not_fit_its_certificate_changes_nothing(running: RunningDaemon) -> None:
    before = running.presented()
    running.renew(token=SECOND)
    (running.folder / "key.pem").write_bytes(key_and_certificate()[0])
    running.reload("secrets, certificates and template stay as they were")
    assert "Traceback" not in running.process.output
    assert running.presented() == before


def test_where_there_is_nothing_but_tls_browsers_are_told_to_stay_with_it(running: RunningDaemon) -> None:
    with running.connection() as visitor:
        assert request(visitor, *HEALTH).getheader("Strict-Transport-Security") == "max-age=31536000"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_is_modern_with_forward_secrecy_and_authenticated_ciphers(
    running: RunningDaemon, version: ssl.TLSVersion
) -> None:
    context = trusting_anybody()
    context.minimum_version = context.maximum_version = version
    with running.connection(context) as visitor:
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
def test_what_is_no_longer_safe_is_refused(running: RunningDaemon, version: ssl.TLSVersion, ciphers: str) -> None:
    context = trusting_anybody()
    context.set_ciphers(ciphers)
    with catch_warnings():
        simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    with pytest.raises((ssl.SSLError, ConnectionResetError)), running.connection(context):
        pass
