"""The site behind TLS and proxies: when a visitor counts as having come over TLS."""

from ipaddress import ip_network

import pytest
import pytest_twisted
from attrs import evolve
from twisted.internet.task import Clock

from pipetest.domain.interfaces import Time
from pipetest.web.connection import ARRIVAL_S
from pipetest.web.site import WebSite, make_site
from tests.support.web.client import Answer
from tests.support.web.held import HeldStore
from tests.support.web.sample import QUIET
from tests.web.conftest import YEAR_S, Backstage, serve


async def asked(store: HeldStore, clock: Clock, proxy: str, proto: str, *, tls_only: bool = False) -> Answer:
    """The answer to a visitor on 127.0.0.1, where this proxy is trusted and this protocol claimed."""
    time = Time(clock.seconds, clock.seconds)
    trusted = [ip_network(proxy)]
    site = make_site(
        store,
        [],
        time,
        clock,
        YEAR_S,
        status=lambda: QUIET,
        operations=Backstage().operations,
        trusted_proxies=trusted,
        tls_only=tls_only,
    )
    served = await serve(site, tls=False)
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
    ],
)
@pytest_twisted.ensureDeferred
async def test_only_a_trusted_proxy_is_believed_that_the_visitor_came_over_tls(
    store: HeldStore, clock: Clock, proxy: str, proto: str, secure: bool
) -> None:
    shown = await asked(store, clock, proxy, proto)
    assert ("Secure" in shown.headers["set-cookie"].split("; ")) == secure


@pytest.mark.parametrize("tls_only", [True, False])
@pytest_twisted.ensureDeferred
async def test_browsers_are_told_to_stay_with_tls_where_there_is_nothing_else(
    store: HeldStore, clock: Clock, tls_only: bool
) -> None:
    shown = await asked(store, clock, "127.0.0.1", "http", tls_only=tls_only)
    assert ("strict-transport-security" in shown.headers) == tls_only


@pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")  # Twisted's way
@pytest_twisted.ensureDeferred
async def test_a_tls_handshake_has_to_end_in_time(site: WebSite, clock: Clock) -> None:
    served = await serve(site, tls=True)
    try:
        silent, halfway = [await evolve(served, tls=False).connect() for _ in range(2)]
        halfway.say(b"\x16\x03\x01\x02\x00\x01")
        await (await served.connect()).ask("GET /health HTTP/1.1")
        clock.advance(ARRIVAL_S)
        await silent.gone()
        await halfway.gone()
    finally:
        await served.stop()
