"""On loopback it is asked by its own names only: a page of another site may have its name mean 127.0.0.1."""

import socket
from collections.abc import Sequence
from ipaddress import ip_network

import pytest
import pytest_twisted
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock

from pipetest.web.hosts import LoopbackHosts
from tests.support.web.serving import serve, site_of
from tests.support.web.store import BlockableStore
from tests.support.web.stub_daemon import StubDaemon

LOOPBACK = IPv4Address("TCP", "127.0.0.1", 8080)


def refused(*hosts: str, at: IPv4Address = LOOPBACK, listens_at: IPv4Address = LOOPBACK) -> bool:
    names = LoopbackHosts(["My.Name"])
    names.listens_at(listens_at)
    return names.refuses(at, [host.encode("latin-1") for host in hosts])


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8080", "localhost.", "a.localhost", "127.0.0.1", "127.0.0.1:1", "192.168.0.7:8080",
     "[::1]", "[fe80::1]:8080", "my.name", "MY.NAME:80", ""],
)  # fmt: skip
def test_its_own_names_and_addresses_are_answered(host: str) -> None:
    assert not refused(host)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8080", "localhost.evil.example", "evillocalhost", "127.0.0.1.evil.example", "::1",
     "localhost@evil.example", "127.0.0.1:x", "[evil.example]", "[::1", "my.name.evil.example", "2130706433x", "\xe4"],
)  # fmt: skip
def test_any_other_name_is_refused(host: str) -> None:
    assert refused(host)


def test_of_several_names_all_have_to_be_its_own() -> None:
    assert refused("localhost", "evil.example")
    assert refused("evil.example", "localhost")


def test_whoever_names_no_host_is_no_browser() -> None:
    assert not refused()


def test_where_others_can_connect_any_name_is_answered() -> None:
    anywhere = IPv4Address("TCP", "0.0.0.0", 8080)  # noqa: S104  # an address to compare
    assert not refused("evil.example", listens_at=anywhere)
    assert not refused("evil.example", at=IPv4Address("TCP", "192.168.0.7", 8080))


@pytest.mark.parametrize(
    ("trusted", "request_line", "host", "status"),
    [
        ((), "GET /status HTTP/1.1", "evil.example", 421),
        ((), "POST /health HTTP/1.1", "evil.example", 421),
        ((), "GET /status HTTP/1.1", "localhost", 200),
        (("127.0.0.1",), "GET /status HTTP/1.1", "evil.example", 200),
        (("10.0.0.1",), "GET /status HTTP/1.1", "evil.example", 421),
        ((), "GET http://localhost/status HTTP/1.1", "evil.example", 421),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_page_whose_name_is_rebound_reads_nothing_and_a_trusted_proxy_decides_for_itself(
    store: BlockableStore, clock: Clock, trusted: Sequence[str], request_line: str, host: str, status: int
) -> None:
    site = site_of(store, clock, StubDaemon(), trusted_proxies=list(map(ip_network, trusted)))
    served = await serve(site)
    site.listens_at(served.port.getHost())
    client = await served.connect()
    answered = await client.ask(f"{request_line}\r\nHost: {host}\r\n\r\n".encode())
    assert answered.status == status
    assert ("detail" in answered.json()) == (status == 421)
    await served.stop()


def test_the_kernels_other_loopback_addresses_count_as_well() -> None:
    with socket.create_server(("127.0.0.2", 0)) as server:
        address = IPv4Address("TCP", *server.getsockname())
    assert refused("evil.example", at=address, listens_at=address)
