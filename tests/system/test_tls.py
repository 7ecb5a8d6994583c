"""TLS on the real process: the same on every kind of endpoint that speaks it, and no way of leaving it harms."""

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.daemon_process import daemon
from tests.support.processes import HOPELESS_S, Process, ask, until
from tests.support.web.certificate import Authority
from tests.support.web.door import trusting_anybody

TOKEN = "the-token-of-the-admin"
NOBODY = "http://127.0.0.1:9"
HOST = "pipetest.example"
VIEWERS = 50  # as many as may follow the page at once
PREAMBLE = b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 443\r\n"


def alone(folder: Path, *listen: str) -> Process:
    """A daemon without services, on these endpoints."""
    return daemon(
        folder,
        GITHUB_URL=NOBODY,
        PIPEDRIVE_URL=NOBODY,
        PIPEDRIVE_API_KEY="key",
        ADMIN_TOKEN=TOKEN,
        LISTEN=" ".join(listen),
    )


Address = tuple[str, int]


def addresses(process: Process, *endpoints: str) -> list[Address]:
    """Another process may have the same port at the other address."""
    hosts = ["::1" if "::1" in endpoint else "127.0.0.1" for endpoint in endpoints]
    return [(host, int(process.line(r"starting on ([0-9]+)")[1])) for host in hosts]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def endpoints(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """One of each kind that speaks TLS, and of each way to keep the chain in files."""
    folder = tmp_path_factory.mktemp("certificates")
    key, certificate = authority.key_and_certificate(HOST)

    def file(name: str, *parts: bytes) -> Path:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"".join(parts))
        return folder / name

    chain = file("fullchain.pem", certificate, authority.intermediate, authority.root)
    key_file = file("key.pem", key)
    reversed_chain = file("reversed.pem", authority.root, authority.intermediate, certificate)
    one_for_all = file("one.pem", authority.intermediate, key, certificate)
    leaf, rest = file("leaf.pem", certificate), file("rest.pem", authority.intermediate)
    ended = file("folder/site.pem", key, certificate, authority.intermediate).parent
    at = "interface=127.0.0.1"
    return [
        f"ssl:0:{at}:privateKey={key_file}:certKey={chain}",
        f"ssl:0:{at}:privateKey={key_file}:certKey={reversed_chain}",
        f"ssl:0:{at}:privateKey={one_for_all}",
        f"ssl:0:{at}:privateKey={key_file}:certKey={leaf}:extraCertChain={rest}:sslmethod=TLS_METHOD",
        f"tls:{ended}:0:{at}",
        f"TLS:{one_for_all}:port=0:interface=::1",
        f"haproxy:ssl:0:{at}:privateKey={key_file}:certKey={chain}",
    ]


@pytest.fixture(scope="module")
def served(endpoints: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Process, list[Address]]]:
    with alone(tmp_path_factory.mktemp("served"), *endpoints) as process:
        yield process, addresses(process, *endpoints)


@contextmanager
def tls(address: Address, context: ssl.SSLContext | None = None, name: str = HOST) -> Iterator[ssl.SSLSocket]:
    connection = socket.create_connection(address, timeout=HOPELESS_S)
    with closing((context or trusting_anybody()).wrap_socket(connection, server_hostname=name)) as wrapped:
        yield wrapped


def answer(connection: ssl.SSLSocket, *pieces: bytes) -> bytes:
    """What comes back until the end, for these pieces, each in a record of its own."""
    for piece in pieces:
        connection.sendall(piece)
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


KINDS = range(7)
HEALTH = b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_that_trusts_the_root_alone_is_shown_the_whole_chain(
    served: tuple[Process, list[Address]], authority: Authority, kind: int
) -> None:
    context = ssl.create_default_context(cadata=authority.root.decode())
    with tls(served[1][kind], context) as connection:
        assert connection.getpeercert()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_tells_browsers_to_stay_with_tls(served: tuple[Process, list[Address]], kind: int) -> None:
    with tls(served[1][kind]) as connection:
        preamble = [PREAMBLE] if kind == KINDS[-1] else []
        assert b"\r\nStrict-Transport-Security: max-age=" in answer(connection, *preamble, HEALTH)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ciphers", ["kRSA:@SECLEVEL=0", "SHA1:@SECLEVEL=0", "ECDHE+AES+SHA256:!AESGCM:!AESCCM", "DHE"])
def test_no_kind_takes_weak_ciphers(served: tuple[Process, list[Address]], kind: int, ciphers: str) -> None:
    context = trusting_anybody()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(ciphers)
    with pytest.raises((ssl.SSLError, ConnectionResetError)), tls(served[1][kind], context):
        pass


def test_a_name_that_nobody_has_is_shown_the_first_certificate_and_costs_no_log_line(
    served: tuple[Process, list[Address]],
) -> None:
    before = len(served[0].output)
    for name in ("nobody.example", "xn--wgv71a.example", "a" * 60):
        with tls(served[1][4], name=name) as connection:
            assert answer(connection, HEALTH).startswith(b"HTTP/1.1 200")
    lines = served[0].output[before:].splitlines()
    about_the_services = re.compile("GitHub|Pipedrive|scan")  # at any moment: nobody answers there
    assert [line for line in lines if not about_the_services.search(line)] == []


def test_viewers_who_leave_with_a_close_notify_make_room(tmp_path: Path, endpoints: list[str]) -> None:
    with alone(tmp_path, endpoints[0]) as process, ExitStack() as stay:
        (address,) = addresses(process, endpoints[0])
        descriptors = Path(f"/proc/{process.pid}/fd")
        with tls(address) as first:
            assert answer(first, HEALTH)
        process.line("connection refused")
        before = len(list(descriptors.iterdir()))
        for _ in range(VIEWERS):
            raw = stay.enter_context(closing(socket.create_connection(address, timeout=HOPELESS_S)))
            viewer = trusting_anybody().wrap_socket(raw.dup(), server_hostname=HOST)
            viewer.sendall(b"GET /events HTTP/1.1\r\n\r\n")
            assert viewer.recv(12) == b"HTTP/1.1 200"
            with closing(viewer):
                viewer.settimeout(0.0)
                with suppress(ssl.SSLError):  # it sends a close_notify, and waits for none; TCP stays open in `raw`
                    viewer.unwrap()

        def another_is_let_in() -> bool:
            with tls(address) as late:
                late.sendall(b"GET /events HTTP/1.1\r\n\r\n")
                return late.recv(12) == b"HTTP/1.1 200"

        until(another_is_let_in)
        until(lambda: len(list(descriptors.iterdir())) <= before)
        assert "Traceback" not in process.output


@pytest.mark.parametrize(
    "refused",
    [
        b"nonsense\r\n",
        b"GET /" + b"x" * 9_000 + b"\r\n",
        b"POST /pause HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /pause HTTP/1.1\r\nContent-Length: 99999\r\n\r\n",
        b"POST /pause HTTP/1.1\r\nContent-Length: x\r\nA: b\r\n",
        b"POST /pause HTTP/1.1\r\nA\x00: b\r\nC: d\r\n",
    ],
    ids=["no request", "a long line", "chunked", "a large body", "no length", "a bad header"],
)
def test_after_a_refusal_nothing_that_comes_in_later_records_is_carried_out(
    tmp_path: Path, endpoints: list[str], refused: bytes
) -> None:
    more = [b"POST /pause HTTP/1.1\r\n", f"Authorization: Bearer {TOKEN}\r\n".encode(), b"\r\n"]
    listen = endpoints[0], "tcp:0:interface=127.0.0.1"
    with alone(tmp_path, *listen) as process:
        secure, (_, plain) = addresses(process, *listen)
        for _ in range(3):
            with tls(secure) as connection:
                received = answer(connection, refused, *more, *more)
            assert len(re.findall(rb"HTTP/1\.1 [0-9]", received)) == 1
            assert received.startswith(b"HTTP/1.1 4")
        assert ask(f"http://127.0.0.1:{plain}/status").json()["creation"]["paused"] is False
        assert "Traceback" not in process.output


@pytest.mark.parametrize("broken", ["no key", "no certificate", "encrypted", "damaged", "missing"])
def test_what_cannot_be_presented_is_named_in_one_line(tmp_path: Path, authority: Authority, broken: str) -> None:
    key, certificate = authority.key_and_certificate(HOST)
    file = tmp_path / "site.pem"
    content = {
        "no key": certificate,
        "no certificate": key + authority.intermediate,
        "encrypted": certificate + key.replace(b"PRIVATE", b"ENCRYPTED PRIVATE"),
        "damaged": key + certificate.replace(b"M", b"N"),
    }
    if broken in content:
        file.write_bytes(content[broken])
    for description in (f"ssl:0:privateKey={file}", f"tls:{file}:0"):
        with alone(tmp_path, description) as process:
            assert process.ended() > 0
        assert str(file) in process.output.splitlines()[-1]
        assert "Traceback" not in process.output
