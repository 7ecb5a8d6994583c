"""Between a client and a server, to cut their connection at a moment of our choice."""

from attrs import define, field
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import ClientFactory, Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure


@define(eq=False)
class Relay(ServerFactory):
    """Passes on what comes until the client sends ``cut_at``; that still reaches the server, but the client hears no
    more of it: its connection ends when the answer comes. While it is to ``hold``, nothing of
    what the client sends arrives."""

    server_port: int
    cut_at: bytes | None = None
    cuts: int = 0
    hold: bool = False
    listening: IListeningPort = field(init=False)

    noisy = False

    def listen(self) -> None:
        from twisted.internet import reactor

        self.listening = reactor.listenTCP(0, self, interface="127.0.0.1")

    def through(self, url: str) -> str:
        """The URL of the same database by way of this."""
        return url.replace(f":{self.server_port}/", f":{self.listening.getHost().port}/")  # type: ignore[attr-defined]

    async def close(self) -> None:
        await maybeDeferred(self.listening.stopListening)

    def buildProtocol(self, addr: object) -> "Near":
        return Near(self)


class Near(Protocol):
    """The client's side."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.far: Far | None = None
        self.cut = False
        self._early = b""

    def connectionMade(self) -> None:
        from twisted.internet import reactor

        reactor.connectTCP("127.0.0.1", self.relay.server_port, ToServer(self))

    def dataReceived(self, data: bytes) -> None:
        if self.relay.cut_at is not None and self.relay.cut_at in data:
            self.cut, self.relay.cut_at = True, None
            self.relay.cuts += 1
        if not self.relay.hold:
            self.pass_on(data)

    def pass_on(self, data: bytes) -> None:
        if self.far is None:
            self._early += data
        else:
            self.far.transport.write(data)  # type: ignore[union-attr]

    def connected_to(self, far: "Far") -> None:
        self.far = far
        self.pass_on(self._early)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.far is not None:
            self.far.transport.loseConnection()  # type: ignore[union-attr]


class ToServer(ClientFactory):
    noisy = False

    def __init__(self, near: Near) -> None:
        self._near = near

    def buildProtocol(self, addr: object) -> "Far":
        return Far(self._near)


class Far(Protocol):
    """The server's side."""

    def __init__(self, near: Near) -> None:
        self._near = near

    def connectionMade(self) -> None:
        self._near.connected_to(self)

    def dataReceived(self, data: bytes) -> None:
        if self._near.cut:
            self._near.transport.abortConnection()  # type: ignore[union-attr]
        else:
            self._near.transport.write(data)  # type: ignore[union-attr]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._near.transport.loseConnection()  # type: ignore[union-attr]
