"""Attacks on a connection hold nobody up and reach no further than they should."""

from typing import cast

import pytest
import pytest_twisted
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from pipetest.web.connection import (
    ARRIVAL_S,
    IDLE_S,
    MAX_BODY,
    Channel,
)
from pipetest.web.site import WebSite
from tests.support.web.client import Client
from tests.support.web.serving import Connect
from tests.support.web.store import BlockableStore

HEALTH = "GET /health HTTP/1.1"


async def processed(connect: Connect) -> None:
    """Wait until the site has read whatever was sent to it so far."""
    await (await connect()).ask(HEALTH)


@pytest_twisted.ensureDeferred
async def test_a_request_that_trickles_in_ends_its_connection(client: Client, connect: Connect, clock: Clock) -> None:
    for byte in b"GET /health HTTP/1.1":  # 20 bytes
        client.send(bytes([byte]))
        await processed(connect)
        clock.advance(ARRIVAL_S / 20)
    await client.closed()


@pytest_twisted.ensureDeferred
async def test_between_requests_a_client_may_rest_longer_but_not_for_ever(client: Client, clock: Clock) -> None:
    await client.ask(HEALTH)
    clock.advance(IDLE_S - 1)
    await client.ask(HEALTH)
    clock.advance(IDLE_S)
    await client.closed()


@pytest_twisted.ensureDeferred
async def test_each_request_on_a_connection_has_to_arrive_in_time(
    client: Client, connect: Connect, clock: Clock
) -> None:
    await client.ask(HEALTH)
    client.send(b"GET /hea")
    await processed(connect)
    clock.advance(ARRIVAL_S)
    await client.closed()


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /" + b"x" * 20_000,
        b"GET /health HTTP/1.1\r\nX: " + b"x" * 20_000,
        b"GET /health HTTP/1.1\r\n" + b"X: y\r\n" * 101 + b"\r\n",
        b"GET /health HTTP/1.1\r\n" + (b"X: " + b"y" * 1_000 + b"\r\n") * 20 + b"\r\n",
    ],
    ids=["long URL", "long header", "many headers", "large headers"],
)
@pytest_twisted.ensureDeferred
async def test_a_request_too_large_is_refused(client: Client, request_: bytes) -> None:
    assert (await client.ask(request_)).status == 400
    await client.closed()


@pytest.mark.parametrize(
    "head",
    [
        "POST /health HTTP/1.1\nContent-Length: 5\nTransfer-Encoding: chunked",
        "POST /health HTTP/1.1\nTransfer-Encoding: chunked\nContent-Length: 5",
        "POST /health HTTP/1.1\nContent-Length: 5\nContent-Length: 6",
        "POST /health HTTP/1.1\nContent-Length: +5",
        "POST /health HTTP/1.1\nContent-Length: 5, 5",
        "POST /health HTTP/1.1\nContent-Length : 5",
        "POST /health HTTP/1.1\nTransfer-Encoding: xchunked",
        "POST /health HTTP/1.1\nTransfer-Encoding: chunked, identity",
        "POST /health HTTP/1.1\nTransfer-Encoding\u000b: chunked",
        "POST /health HTTP/1.1\nTransfer-Encoding: chunked",
        "GET /health HTTP/1.1 \nX: y",
        "GET  /health HTTP/1.1",
        "GET /health HTTP/2.0",
        "GET /health",
        "\u0016\u0003\u0001\u0002",
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_request_whose_end_could_be_read_in_two_ways_is_refused_with_all_after_it(
    client: Client, head: str
) -> None:
    smuggled = b"0\r\n\r\nGET /getGists HTTP/1.1\r\nHost: pipetest\r\n\r\n"
    client.send(head.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + smuggled)
    refused = await client.answer()
    assert (refused.status // 100, refused.headers["content-type"]) == (4, "application/problem+json")
    await client.closed()
    assert client.unread == b""


@pytest_twisted.ensureDeferred
async def test_a_large_body_is_refused_before_it_is_sent(client: Client) -> None:
    refused = await client.ask(f"POST /health HTTP/1.1\nContent-Length: {MAX_BODY + 1}\nExpect: 100-continue")
    assert refused.status == 413
    await client.closed()


@pytest_twisted.ensureDeferred
async def test_a_small_body_is_read_and_ignored(client: Client) -> None:
    client.send(f"POST /health HTTP/1.1\nContent-Length: {MAX_BODY}")
    client.send(b"x" * MAX_BODY)
    assert (await client.answer()).status == 405
    assert (await client.ask(HEALTH)).status == 200


@pytest_twisted.ensureDeferred
async def test_idle_connections_by_the_thousand_keep_nobody_out(connect: Connect) -> None:
    regular = await connect()
    for _ in range(50):
        for _ in range(40):  # fewer than the kernel queues for us
            await connect()
        assert (await regular.ask(HEALTH)).status == 200
    await processed(connect)


class FullSocket(StringTransport):
    """Takes nothing, like the socket of a client that does not read, and pauses its producer at each write."""

    def write(self, data: bytes) -> None:
        super().write(data)
        cast(IPushProducer, self.producer).pauseProducing()


@pytest.fixture
def transport() -> StringTransport:
    return FullSocket()


@pytest.fixture
def channel(site: WebSite, transport: StringTransport) -> Channel:
    channel = site.buildProtocol(None)
    assert isinstance(channel, Channel)
    channel.makeConnection(transport)
    return channel


def test_nothing_more_is_read_from_a_client_that_does_not_take_its_answers(
    channel: Channel, transport: StringTransport
) -> None:
    channel.dataReceived(b"GET /health HTTP/1.1\r\n\r\n")
    assert transport.producerState == "producing"
    channel.dataReceived(b"GET /health HTTP/1.1\r\n\r\n")
    assert transport.producerState == "paused"
    channel.resumeProducing()
    assert transport.producerState == "producing"


def test_an_answer_is_begun_when_the_one_before_it_has_left(
    channel: Channel, transport: StringTransport, store: BlockableStore
) -> None:
    """Over TLS, what is written reaches the socket only later: the end of the answer before must not count as the end
    of this one."""
    channel.dataReceived(b"GET /health HTTP/1.1\r\n\r\n")
    channel.dataReceived(b"GET /getGists HTTP/1.1\r\n\r\n")
    assert transport.value().count(b"HTTP/1.1") == 1
    channel.resumeProducing()
    assert transport.value().count(b"HTTP/1.1") == 2
    assert store.advances == []
    channel.resumeProducing()
    assert [position for _, position in store.advances] == [3]
