"""The site behind a real socket, and clients that connect to it."""

import socket
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any, Protocol, cast

from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IReactorSocket, IReactorTime
from twisted.internet.protocol import Factory
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import deferLater
from twisted.internet.tcp import Port
from twisted.protocols.tls import TLSMemoryBIOFactory

from pipetest.domain.interfaces import Store, Time
from pipetest.web.site import WebSite, make_site
from pipetest.web.tls import TlsEndpoint
from tests.support.web.certificate import server_tls
from tests.support.web.client import HOPELESS_S, Client
from tests.support.web.stub_daemon import StubDaemon

TOKEN = "open sesame"
YEAR_S = 365 * 86_400.0
SMALL_BUFFER = 4_096  # bytes; the kernel doubles it, and both ends together still hold less than one slice of the feed


class Connect(Protocol):
    def __call__(self, *, small_buffers: bool = False) -> Awaitable[Client]:
        """A new connection; with small buffers, a client that does not read holds it up within one slice of the
        feed."""


def site_of(
    store: Store, clock: IReactorTime, daemon: StubDaemon, users: Sequence[str] = (), **options: Any
) -> WebSite:
    """A site that shows this store and this daemon."""
    time = Time(clock.seconds, clock.seconds)

    async def scanned_users() -> Sequence[str]:
        return users

    return make_site(
        store,
        scanned_users,
        time,
        clock,
        YEAR_S,
        status=lambda: daemon.status,
        all_users=lambda: daemon.all_users or daemon.status.users,
        controls=daemon,
        **options,
    )


class Served:
    """A site behind one port, and who is connected to it."""

    def __init__(self, port: Port, *, tls: bool) -> None:
        self.port = port
        self._tls = tls
        self._clients: list[Client] = []

    async def connect(self, *, small_buffers: bool = False, tls: bool | None = None) -> Client:
        """A new client, which speaks TLS if the site does, unless ``tls`` says otherwise."""
        from twisted.internet import reactor

        buffer = SMALL_BUFFER if small_buffers else 1 << 20
        self.port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        client = Client()
        plain = Factory.forProtocol(lambda: client)
        secure = TLSMemoryBIOFactory(CertificateOptions(), isClient=True, wrappedFactory=plain)
        factory: Any = secure if (self._tls if tls is None else tls) else plain
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)  # counts before connecting only
            connection.connect(self.port.socket.getsockname())
            connection.setblocking(False)
            cast(IReactorSocket, reactor).adoptStreamConnection(connection.fileno(), socket.AF_INET, factory)
        self._clients.append(client)
        return client

    async def stop(self) -> None:
        await maybeDeferred(self.port.stopListening)
        for client in self._clients:
            await client.hang_up()


async def serve(site: WebSite, *, tls: bool = False) -> Served:
    from twisted.internet import reactor

    plain = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    listening = TlsEndpoint(server_tls(), plain) if tls else plain
    return Served(cast(Port, await listening.listen(site)), tls=tls)


async def until(condition: Callable[[], bool]) -> None:
    """Let the reactor run until this holds."""
    from twisted.internet import reactor

    deadline = monotonic() + HOPELESS_S
    while not condition():
        assert monotonic() < deadline
        await deferLater(reactor, 0)
