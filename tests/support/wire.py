"""A server without manners: it keeps every request it hears and answers with whatever bytes it is told to."""

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


def answer(status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """A well-formed answer."""
    lines = [f"HTTP/1.1 {status} As Told", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@implementer(IPullProducer)
class Connection(Protocol):
    """One client's connection. ``lost`` fires when it is gone."""

    transport: Any

    def __init__(self, wire: "Wire") -> None:
        self._wire = wire
        self._heard = b""
        self.lost: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self._heard += data
        head, blank, rest = self._heard.partition(b"\r\n\r\n")
        if not blank:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        length = int(headers.get("content-length", "0"))
        if len(rest) >= length:
            self._heard = rest[length:]
            method, path, _ = first.split(" ")
            self._wire.hear(self, Request(method, self._wire.root + path, headers, rest[:length] or None))

    def say_last(self, last: bytes) -> None:
        self.transport.write(last)
        self.transport.loseConnection()

    def say_forever(self, first: bytes) -> None:
        self.transport.write(first)
        self.transport.registerProducer(self, streaming=False)

    def resumeProducing(self) -> None:
        self.transport.write(b" " * 2**16)

    def stopProducing(self) -> None:
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback(None)


Replies = Callable[[Connection, Request], bytes | None]


class Wire(Factory):
    """``replies`` tells what to send back, or does it itself and returns None."""

    noisy = False

    def __init__(self, replies: Replies) -> None:
        self.root = ""
        self.connections: list[Connection] = []
        self.requests: list[Request] = []
        self._replies = replies
        self._first: Deferred[None] = Deferred()

    def buildProtocol(self, addr: object) -> Connection:
        self.connections.append(Connection(self))
        return self.connections[-1]

    def hear(self, connection: Connection, request: Request) -> None:
        self.requests.append(request)
        connection.transport.write(self._replies(connection, request) or b"")
        if not self._first.called:
            self._first.callback(None)

    def heard(self) -> "Deferred[None]":
        """Fires when the first request has come."""
        return self._first

    async def hang_up(self) -> None:
        for connection in self.connections:
            connection.transport.abortConnection()
        await DeferredList([connection.lost for connection in self.connections])


class Listen(TypingProtocol):
    """Starts a wire on a free port of the loopback."""

    def __call__(self, replies: Replies, *, tls: bool = False) -> Wire: ...


def self_signed() -> PrivateCertificate:
    """A certificate for localhost that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    certificate = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    signed = certificate.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    loaded: PrivateCertificate = PrivateCertificate.loadPEM(signed + secret)
    return loaded


async def listening() -> AsyncIterator[Listen]:
    """For a fixture: what starts wires; afterwards it takes them down."""
    from twisted.internet import reactor as untyped_reactor

    reactor: Any = untyped_reactor
    started: list[tuple[Wire, Any]] = []

    def listen(replies: Replies, *, tls: bool = False) -> Wire:
        wire = Wire(replies)
        if tls:
            port = reactor.listenSSL(0, wire, self_signed().options(), interface="127.0.0.1")
        else:
            port = reactor.listenTCP(0, wire, interface="127.0.0.1")
        wire.root = f"http{'s' * tls}://localhost:{port.getHost().port}"
        started.append((wire, port))
        return wire

    yield listen
    for wire, port in started:
        await port.stopListening()
        await wire.hang_up()


@implementer(IAgent)
class Watched:
    """An agent that tells when the head of an answer has come, and its reader has begun to read."""

    def __init__(self, reactor: Any) -> None:
        self.pool = HTTPConnectionPool(reactor)
        self.answered: Deferred[None] = Deferred()
        self._reactor = reactor
        self._agent = Agent(reactor, pool=self.pool)

    def request(self, *asked: Any) -> Deferred[IResponse]:
        return self._agent.request(*asked).addCallback(self._tell)

    def _tell(self, response: IResponse) -> IResponse:
        self._reactor.callLater(0, self.answered.callback, None)
        return response
