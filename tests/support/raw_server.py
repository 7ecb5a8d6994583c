"""A server that answers with whatever bytes a test gives it, and remembers every request."""

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from typing import Protocol as TypingProtocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IPullProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import PrivateCertificate
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.iweb import IAgent, IResponse
from zope.interface import implementer

from pipetest.domain.model import Request


def response(status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a well-formed response."""
    lines = [f"HTTP/1.1 {status} Reason", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@implementer(IPullProducer)
class Connection(Protocol):
    """One client's connection. ``lost`` fires when it is lost."""

    transport: Any

    def __init__(self, server: "RawServer") -> None:
        self._server = server
        self._received = b""
        self._more = b""
        self.lost: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self._received += data
        head, blank, rest = self._received.partition(b"\r\n\r\n")
        if not blank:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", "0"))
        if len(rest) >= length:
            self._received = rest[length:]
            method, path, _ = first.split(" ")
            self._server.receive(self, Request(method, self._server.root + path, headers, rest[:length] or None))

    def send_last(self, last: bytes) -> None:
        self.transport.write(last)
        self.transport.loseConnection()

    def send_forever(self, first: bytes, more: bytes = b" " * 2**16) -> None:
        self._more = more
        self.transport.write(first)
        self.transport.registerProducer(self, streaming=False)

    def resumeProducing(self) -> None:
        self.transport.write(self._more)

    def stopProducing(self) -> None:
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback(None)


Respond = Callable[[Connection, Request], bytes | None]


class RawServer(Factory):
    """``respond`` returns the bytes to send back, or None where it has sent them itself."""

    noisy = False

    def __init__(self, respond: Respond) -> None:
        self.root = ""
        self.connections: list[Connection] = []
        self.requests: list[Request] = []
        self._respond = respond
        self._first_request: Deferred[None] = Deferred()

    def buildProtocol(self, addr: object) -> Connection:
        self.connections.append(Connection(self))
        return self.connections[-1]

    def receive(self, connection: Connection, request: Request) -> None:
        self.requests.append(request)
        connection.transport.write(self._respond(connection, request) or b"")
        if not self._first_request.called:
            self._first_request.callback(None)

    def first_request(self) -> "Deferred[None]":
        """Fires when it has come."""
        return self._first_request

    def forget(self) -> None:
        """The requests and the connections that are gone."""
        self.requests.clear()
        self.connections = [connection for connection in self.connections if not connection.lost.called]

    async def abort_connections(self) -> None:
        for connection in self.connections:
            if not connection.lost.called:
                connection.transport.abortConnection()
        await DeferredList([connection.lost for connection in self.connections])


class Listen(TypingProtocol):
    """Starts a server on a free loopback port."""

    def __call__(self, respond: Respond, *, tls: bool = False) -> RawServer: ...


def self_signed() -> PrivateCertificate:
    """A certificate for localhost that no authority has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    certificate = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    signed = certificate.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    loaded: PrivateCertificate = PrivateCertificate.loadPEM(signed + secret)
    return loaded


CERTIFICATE = self_signed()


async def listening() -> AsyncIterator[Listen]:
    """For a fixture: what starts servers; they are stopped afterwards."""
    from twisted.internet import reactor as untyped_reactor

    reactor: Any = untyped_reactor
    started: list[tuple[RawServer, Any]] = []

    def listen(respond: Respond, *, tls: bool = False) -> RawServer:
        server = RawServer(respond)
        if tls:
            port = reactor.listenSSL(0, server, CERTIFICATE.options(), interface="127.0.0.1")
        else:
            port = reactor.listenTCP(0, server, interface="127.0.0.1")
        server.root = f"http{'s' * tls}://localhost:{port.getHost().port}"
        started.append((server, port))
        return server

    yield listen
    for server, port in started:
        await port.stopListening()
        await server.abort_connections()


@implementer(IAgent)
class WatchedAgent:
    """An agent whose ``answered`` fires when the head of a response has come, and its reader has begun to read."""

    def __init__(self, reactor: Any) -> None:
        self.pool = HTTPConnectionPool(reactor)
        self.answered: Deferred[None] = Deferred()
        self._reactor = reactor
        self._agent = Agent(reactor, pool=self.pool)

    def request(self, *arguments: Any) -> Deferred[IResponse]:
        return self._agent.request(*arguments).addCallback(self._report)

    def _report(self, response: IResponse) -> IResponse:
        self._reactor.callLater(0, self.answered.callback, None)
        return response
