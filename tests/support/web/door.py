"""Strangers at the door: clients that send anything, over TCP or TLS, in pieces of any size, and leave in any way."""

import socket
import ssl
from collections.abc import Sequence
from contextlib import closing, suppress
from random import Random

from tests.support.processes import HOPELESS_S

PATHS = (
    "/health", "/getGists", "/getGists?limit=2", "/getGists?limit=\xff", "/status", "/events", "/metrics", "/",
    "/scan", "/pause", "/quarantine/%00/retry", "/quarantine/%ff/retry", "/quarantine/..%2f..%2fpause/retry",
    "/\xff\xfe", "/%ff", "/%", "//", "*", "", "health", "http://127.0.0.1/health", "HTTP://127.0.0.1", "http://",
    "/health?" + "x" * 9_000, "/\x00", "/openapi.json", "/getAllScannedUsers/", "/caf\xe9", "/static/x", "/a b",
)  # fmt: skip
METHODS = ("GET", "GET", "GET", "HEAD", "POST", "PUT", "OPTIONS", "TRACE", "CONNECT", "PRI", "get", "G\xcbT", "")
VERSIONS = ("HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "", "HTTP/1.1 x")
HEADERS = (
    "Host: localhost", "Host: evil.example", "Host: [::1]:8080", "Host: [", "Host:", "Host: a@b", "Connection: close",
    "Connection: keep-alive, close", "Connection: upgrade", "Upgrade: h2c", "Expect: 100-continue", "Content-Length: 3",
    "Content-Length: 3", "Content-Length: -1", "Content-Length: 99999999999999999999999", "Transfer-Encoding: chunked",
    "Transfer-Encoding: identity", "Cookie: pipetest_session=\xff", "Cookie: ;;==", "Cookie: " + "a=b; " * 500,
    "Authorization: Bearer \xe4", "Authorization: Basic eDp5", "Authorization", ": x", " folded", "X: " + "y" * 9_000,
    "X-Forwarded-Proto: https, \xff", "Accept-Encoding: gzip;q=x", "Content-Type: multipart/form-data", "A\x00B: c",
    "If-Modified-Since: \xff", "If-None-Match: \"\xff", "Range: bytes=0-1", "Last-Event-ID: \xff",
)  # fmt: skip
BODIES = (b"", b"", b"abc", b"abcGET /health HTTP/1.1\r\n\r\n", b"0\r\n\r\n", b"\x00" * 40, b"\x16\x03\x01\x02\x00")
STATUSES = {100, 200, 304, 400, 401, 404, 405, 411, 413, 421, 429, 503}


def trusting_anybody() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Strangers:
    """Of one seed: what they do, and what they were answered in ``statuses``."""

    def __init__(self, seed: int, plain: int, secure: int) -> None:
        self.statuses: set[int] = set()
        self.requests = 0
        self._random = Random(seed)
        self._ports = (plain, secure)
        self._context = trusting_anybody()

    def come(self) -> None:
        """One of them: a connection, some requests, and an end."""
        over_tls = self._random.random() < 0.6
        raw = socket.create_connection(("127.0.0.1", self._ports[over_tls]), timeout=HOPELESS_S)
        with closing(raw), suppress(OSError):  # it may hang up on them at any moment
            self._behave(self._context.wrap_socket(raw.dup()) if over_tls else raw)

    def _behave(self, connection: socket.socket) -> None:
        with closing(connection):
            for _ in range(self._random.choice((1, 1, 2, 5))):
                self.requests += 1
                for piece in self._pieces(self._request()):
                    connection.sendall(piece)
                if self._random.random() < 0.5:
                    self._look(connection)
            self._leave(connection)

    def _request(self) -> bytes:
        choose = self._random.choice
        first = f"{choose(METHODS)} {choose(PATHS)} {choose(VERSIONS)}"
        headers = [choose(HEADERS) for _ in range(choose((0, 1, 1, 2, 4)))]
        head = "\r\n".join([first, *headers, "", ""]).encode("latin-1")
        if self._random.random() < 0.2:
            place = self._random.randrange(len(head))
            head = head[:place] + self._random.randbytes(choose((1, 1, 5, 50))) + head[place + choose((0, 1, 9)) :]
        return head + choose(BODIES)

    def _pieces(self, request: bytes) -> Sequence[bytes]:
        """A record each, if over TLS: whole, by lines, or cut anywhere, and now and then not to the end."""
        cuts = sorted(self._random.choices(range(len(request) + 1), k=self._random.choice((0, 0, 1, 4))))
        pieces = [request[a:b] for a, b in zip([0, *cuts], [*cuts, len(request)], strict=True)]
        if self._random.random() < 0.3:
            pieces = request.splitlines(keepends=True)
        return pieces[: self._random.choice((-1, None, None, None))]

    def _look(self, connection: socket.socket) -> None:
        connection.settimeout(self._random.choice((0.001, 0.02)))
        with suppress(TimeoutError):
            received = connection.recv(65536)
            if received.startswith(b"HTTP/1.1 "):
                self.statuses.add(int(received[9:12]))
        connection.settimeout(HOPELESS_S)

    def _leave(self, connection: socket.socket) -> None:
        match self._random.randrange(4):
            case 0 if isinstance(connection, ssl.SSLSocket):
                connection.settimeout(0.0)
                connection.unwrap()  # sends a close_notify, and does not wait for the other one
            case 1:
                connection.shutdown(socket.SHUT_WR)
            case 2:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
