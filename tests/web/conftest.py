"""The site on real sockets, its time in the hands of the test."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from time import monotonic
from typing import Any, Protocol, cast

import pytest
import pytest_twisted
from attrs import define, field, frozen
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import SSL4ServerEndpoint, TCP4ServerEndpoint
from twisted.internet.interfaces import IReactorSocket
from twisted.internet.protocol import Factory
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock, deferLater
from twisted.internet.tcp import Port
from twisted.protocols.tls import TLSMemoryBIOFactory

from pipetest.domain.interfaces import Time
from pipetest.domain.model import Secret
from pipetest.domain.status import Status
from pipetest.web.admin import Operations
from pipetest.web.site import WebSite, make_site
from tests.support.web.certificate import server_options
from tests.support.web.client import HOPELESS_S, Client
from tests.support.web.held import HeldStore
from tests.support.web.sample import QUIET

TOKEN = "open sesame"
YEAR_S = 365 * 86_400.0
TIGHT = 4_096  # bytes; the kernel doubles it, and both ends together still hold less than one slice of the feed


class Connect(Protocol):
    def __call__(self, *, tight: bool = False) -> Awaitable[Client]:
        """A new connection; a tight one whose client does not read stands still within one slice of the feed."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> HeldStore:
    store = HeldStore()
    store.scanned("antomer", ["a1", "b2"])
    store.scanned("Torvalds", ["c3"])
    return store


@define
class Backstage:
    """What the site shows, and what was done through it."""

    status: Status = QUIET
    done: list[tuple[str, object]] = field(factory=list)

    async def pause(self, paused: bool) -> None:
        self.done.append(("pause", paused))

    async def scan(self) -> None:
        self.done.append(("scan", None))

    async def retry(self, gist: str) -> bool:
        self.done.append(("retry", gist))
        return any(gist == quarantined.id for quarantined in self.status.quarantine)

    @property
    def operations(self) -> Operations:
        return Operations(self.scan, self.pause, self.retry)


@pytest.fixture
def backstage() -> Backstage:
    return Backstage()


@pytest.fixture
def site(store: HeldStore, clock: Clock, backstage: Backstage) -> WebSite:
    return make_site(
        store,
        ["antomer", "Torvalds"],
        Time(clock.seconds, clock.seconds),
        clock,
        YEAR_S,
        status=lambda: backstage.status,
        operations=backstage.operations,
        admin_token=Secret(TOKEN),
    )


@frozen
class Served:
    """The site behind one port, and who is connected to it."""

    port: Port
    tls: bool
    clients: list[Client]

    async def connect(self, *, tight: bool = False) -> Client:
        from twisted.internet import reactor

        buffer = TIGHT if tight else 1 << 20
        self.port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        client = Client()
        plain = Factory.forProtocol(lambda: client)
        factory: Any = (
            TLSMemoryBIOFactory(CertificateOptions(), isClient=True, wrappedFactory=plain) if self.tls else plain
        )
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)  # counts before connecting only
            connection.connect(self.port.socket.getsockname())
            connection.setblocking(False)
            cast(IReactorSocket, reactor).adoptStreamConnection(connection.fileno(), socket.AF_INET, factory)
        self.clients.append(client)
        return client

    async def stop(self) -> None:
        await maybeDeferred(self.port.stopListening)
        for client in self.clients:
            await client.hang_up()


async def serve(site: WebSite, *, tls: bool) -> Served:
    from twisted.internet import reactor

    plain = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    secure = SSL4ServerEndpoint(reactor, 0, server_options(), interface="127.0.0.1")
    return Served(cast(Port, await (secure if tls else plain).listen(site)), tls, [])


@pytest_twisted.async_yield_fixture
async def connect(site: WebSite) -> AsyncIterator[Connect]:
    served = await serve(site, tls=False)
    yield served.connect
    await served.stop()


@pytest_twisted.async_fixture
async def client(connect: Connect) -> Client:
    return await connect()


async def until(condition: Callable[[], bool]) -> None:
    """Let the reactor turn until this holds."""
    from twisted.internet import reactor

    hopeless = monotonic() + HOPELESS_S
    while not condition():
        assert monotonic() < hopeless
        await deferLater(reactor, 0)
