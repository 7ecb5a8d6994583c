"""Between a client and a server, to cut their connection at a moment of our choice."""

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import ClientFactory, Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure


class Relay(ServerFactory):
    """Passes on what comes. ``cuts``: how many connections it has cut; ``holding``: nothing of what the client sends
    arrives any more, which was ``held`` so many times."""

    noisy = False
    _port: IListeningPort

    def __init__(self, server_port: int) -> None:
        self.server_port = server_port
        self.cuts = 0
        self.holding = False
        self.held = 0
        self._cut_at: bytes | None = None

    def listen(self) -> None:
        from twisted.internet import reactor

        self._port = reactor.listenTCP(0, self, interface="127.0.0.1")

    def through(self, url: str) -> str:
        """The URL of the same database by way of this."""
        return url.replace(f":{self.server_port}/", f":{self._port.getHost().port}/")  # type: ignore[attr-defined]

    async def close(self) -> None:
        await maybeDeferred(self._port.stopListening)

    def cut_at(self, statement: bytes) -> None:
        """Cut the next connection whose client sends this. It still reaches the server, but the client hears no more of
        it: its connection ends when the answer comes."""
        self._cut_at = statement

    def hold(self) -> None:
        self.holding = True

    def go_on(self) -> None:
        """New connections are passed on again; what was held back is lost."""
        self.holding = False

    def cuts_after(self, data: bytes) -> bool:
        """Whether the connection of the client that sends this is to be cut."""
        if self._cut_at is None or self._cut_at not in data:
            return False
        self._cut_at = None
        self.cuts += 1
        return True

    def buildProtocol(self, addr: object) -> "Near":
        return Near(self)


class Near(Protocol):
    """The client's side."""

    def __init__(self, relay: Relay) -> None:
        self.cut = False
        self._relay = relay
        self._far: Far | None = None
        self._early = b""

    def connectionMade(self) -> None:
        from twisted.internet import reactor

        reactor.connectTCP("127.0.0.1", self._relay.server_port, ToServer(self))

    def dataReceived(self, data: bytes) -> None:
        self.cut = self.cut or self._relay.cuts_after(data)
        if self._relay.holding:
            self._relay.held += 1
        else:
            self._pass_on(data)

    def _pass_on(self, data: bytes) -> None:
        if self._far is None:
            self._early += data
        else:
            self._far.transport.write(data)  # type: ignore[union-attr]

    def connected_to(self, far: "Far") -> None:
        self._far = far
        self._pass_on(self._early)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._far is not None:
            self._far.transport.loseConnection()  # type: ignore[union-attr]


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
