"""The site behind TLS and proxies: when a client counts as having come over TLS."""

from ipaddress import ip_network
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock

from pipetest.web.connection import ARRIVAL_S
from pipetest.web.listen import endpoint
from pipetest.web.site import WebSite
from tests.support.web.client import Answer, Client
from tests.support.web.serving import serve, site_of
from tests.support.web.store import BlockableStore
from tests.support.web.stub_daemon import StubDaemon


async def answer_to(store: BlockableStore, clock: Clock, proxy: str, proto: str, *, tls_only: bool = False) -> Answer:
    """The answer to a client on 127.0.0.1 that claims this protocol, where this proxy is trusted."""
    trusted = [ip_network(proxy)]
    site = site_of(store, clock, StubDaemon(), trusted_proxies=trusted)
    site.set_tls_only(tls_only)
    served = await serve(site)
    try:
        client = await served.connect()
        return await client.ask(f"GET /getGists HTTP/1.1\nX-Forwarded-Proto: {proto}")
    finally:
        await served.stop()


@pytest.mark.parametrize(
    ("proxy", "proto", "secure"),
    [
        ("127.0.0.1", "https", True),
        ("127.0.0.0/8", "https", True),
        ("127.0.0.1", "http", False),
        ("127.0.0.2", "https", False),
        ("::1", "https", False),
        ("127.0.0.1", "HTTPS", True),
        ("127.0.0.1", "https,http", True),
        ("127.0.0.1", "Https , http", True),
        ("127.0.0.1", "http, https", False),
        ("127.0.0.1", "https\nX-Forwarded-Proto: http", True),
        ("127.0.0.1", "http\nX-Forwarded-Proto: https", False),
        ("127.0.0.1", "httpsx", False),
        ("127.0.0.1", "", False),
        ("127.0.0.2", "https,https", False),
    ],
)
@pytest_twisted.ensureDeferred
async def test_only_a_trusted_proxy_is_believed_that_the_client_came_over_tls(
    store: BlockableStore, clock: Clock, proxy: str, proto: str, secure: bool
) -> None:
    shown = await answer_to(store, clock, proxy, proto)
    assert ("Secure" in shown.headers["set-cookie"].split("; ")) == secure


@pytest.mark.parametrize(("proto", "secure"), [("https", True), ("http", False)])
@pytest_twisted.ensureDeferred
async def test_what_comes_over_a_unix_socket_comes_from_a_proxy(
    site: WebSite, tmp_path: Path, proto: str, secure: bool
) -> None:
    from twisted.internet import reactor

    path = str(tmp_path / "socket")
    port = await endpoint(f"unix:{path}", reactor).listen(site)
    client = await UNIXClientEndpoint(reactor, path).connect(Factory.forProtocol(Client))
    shown = await client.ask(f"GET /getGists HTTP/1.1\nX-Forwarded-Proto: {proto}")
    assert ("Secure" in shown.headers["set-cookie"].split("; ")) == secure
    await client.hang_up()
    await maybeDeferred(port.stopListening)


@pytest.mark.parametrize("tls_only", [True, False])
@pytest_twisted.ensureDeferred
async def test_browsers_are_told_to_stay_with_tls_where_there_is_nothing_else(
    store: BlockableStore, clock: Clock, tls_only: bool
) -> None:
    shown = await answer_to(store, clock, "127.0.0.1", "http", tls_only=tls_only)
    assert ("strict-transport-security" in shown.headers) == tls_only


@pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")  # Twisted's way
@pytest_twisted.ensureDeferred
async def test_a_tls_handshake_has_to_end_in_time(site: WebSite, clock: Clock) -> None:
    served = await serve(site, tls=True)
    try:
        silent, halfway = [await served.connect(tls=False) for _ in range(2)]
        halfway.send(b"\x16\x03\x01\x02\x00\x01")
        await (await served.connect()).ask("GET /health HTTP/1.1")
        clock.advance(ARRIVAL_S)
        await silent.closed()
        await halfway.closed()
    finally:
        await served.stop()
