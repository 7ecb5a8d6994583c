"""Attacks on a connection hold nobody up and reach no further than they should; which one makes room for another."""

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
    MAX_CONNECTIONS,
    Channel,
    Connections,
    connection_limit,
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


# --- how many there may be


class StubConnection:
    def __init__(self) -> None:
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


def full() -> tuple[Connections, list[StubConnection]]:
    """As many connections as there may be, all idle."""
    connections, held = Connections(3), [StubConnection() for _ in range(3)]
    for connection in held:
        connections.idle(connection)
    return connections, held


def test_one_too_many_ends_the_longest_idle() -> None:
    connections, held = full()
    connections.busy(held[0])
    connections.idle(held[0])
    connections.idle(StubConnection())
    assert [connection.aborted for connection in held] == [False, True, False]


def test_an_answer_under_way_is_not_cut_while_somebody_is_idle() -> None:
    connections, held = full()
    for connection in held[1:]:
        connections.busy(connection)
    connections.idle(StubConnection())
    assert [connection.aborted for connection in held] == [True, False, False]


def test_where_all_are_busy_the_answer_longest_under_way_makes_room_for_a_newcomer() -> None:
    connections, held = full()
    for connection in (held[1], held[0], held[2]):
        connections.busy(connection)
    newcomer = StubConnection()
    connections.idle(newcomer)
    assert [connection.aborted for connection in (*held, newcomer)] == [False, True, False, False]


def test_a_tenth_may_be_idle_newcomers_so_that_each_has_the_time_to_ask() -> None:
    connections, held = Connections(20), [StubConnection() for _ in range(20)]
    for connection in held:
        connections.idle(connection)
        connections.busy(connection)
    newcomers = [StubConnection() for _ in range(3)]
    for newcomer in newcomers:
        connections.idle(newcomer)
    assert [newcomer.aborted for newcomer in newcomers] == [True, False, False]
    assert [connection.aborted for connection in held] == [True] * 2 + [False] * 18


def test_one_that_is_lost_makes_room() -> None:
    connections, held = full()
    connections.busy(held[1])
    for connection in held[:2]:
        connections.lost(connection)
    for newcomer in (StubConnection(), StubConnection()):
        connections.idle(newcomer)
        assert not newcomer.aborted
    assert not held[2].aborted


def test_all_can_be_aborted_at_once() -> None:
    connections, held = full()
    connections.busy(held[1])
    connections.abort_all()
    assert all(connection.aborted for connection in held)


@pytest.mark.parametrize(("files", "limit"), [(-1, MAX_CONNECTIONS), (1_024, MAX_CONNECTIONS), (256, 92), (64, 1)])
def test_there_are_fewer_connections_where_few_files_may_be_open(files: int, limit: int) -> None:
    assert connection_limit(files) == limit
