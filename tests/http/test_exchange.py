"""One exchange over real sockets: whole, bounded, sent once, and never a word of what it carried in an error."""

import gzip
from collections.abc import AsyncIterator, Callable
from itertools import chain, repeat

import pytest
import pytest_twisted
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.client import ResponseFailed

from pipetest.domain.errors import Stopping, Unanswered
from pipetest.domain.interfaces import Exchange
from pipetest.domain.model import Reply, Request
from pipetest.http.exchange import FAILURES, LARGEST_BODY, TIMEOUT_S, HttpExchange, connect, reason
from tests.support.raw_server import Listen, RawServer, WatchedAgent, listening, response

SECRET = "very-secret"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
ENDLESS = b"HTTP/1.1 200 OK\r\n\r\n"
GZIP = {"content-encoding": "gzip"}
STARTED = [b"", response(200, b"[]")[:-1]]


@pytest_twisted.async_yield_fixture
async def listen() -> AsyncIterator[Listen]:
    async for listen in listening():
        yield listen


@pytest_twisted.async_yield_fixture
async def exchange() -> AsyncIterator[HttpExchange]:
    from twisted.internet import reactor

    exchange = connect("GitHub", reactor)
    yield exchange
    await exchange.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watched() -> WatchedAgent:
    from twisted.internet import reactor

    return WatchedAgent(reactor)


@pytest.fixture
def timed(clock: Clock, watched: WatchedAgent) -> HttpExchange:
    """Real sockets, but time stands still until the test moves it."""
    return HttpExchange("GitHub", clock, watched.pool, watched)


def get(server: RawServer, **headers: str) -> Request:
    return Request("GET", f"{server.root}/?{SECRET}", headers)


def post(server: RawServer) -> Request:
    return Request("POST", f"{server.root}/", {"x-api-token": SECRET}, SECRET.encode())


async def reason_of(exchanged: "Deferred[Reply]") -> str:
    """Why no answer came; whatever was asked is no part of it."""
    with pytest.raises(Unanswered) as caught:
        await exchanged
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    return caught.value.reason


def start(exchange: Exchange, request: Request) -> "Deferred[Reply]":
    async def exchanged() -> Reply:
        return await exchange(request)

    return Deferred.fromCoroutine(exchanged())


# --- what goes out and what comes in ----------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_what_is_sent_is_what_was_asked(listen: Listen, exchange: HttpExchange) -> None:
    server = listen(lambda connection, request: response())
    await exchange(Request("POST", f"{server.root}/a%20b?c=d,e", {"x-api-token": "k", "if-none-match": 'W/"é"'}, b"{}"))
    [request] = server.requests
    assert (request.method, request.url, request.body) == ("POST", f"{server.root}/a%20b?c=d,e", b"{}")
    assert request.headers["x-api-token"] == "k"
    assert request.headers["if-none-match"] == 'W/"é"'


@pytest_twisted.ensureDeferred
async def test_a_reply_is_status_lower_case_headers_and_body(listen: Listen, exchange: HttpExchange) -> None:
    server = listen(lambda connection, request: response(418, b"[]", {"ETag": "old", "etag": 'W/"é"'}))
    reply = await exchange(get(server))
    assert (reply.status, reply.headers["etag"], reply.body) == (418, 'W/"é"', b"[]")


@pytest_twisted.ensureDeferred
async def test_several_lines_of_links_are_one_list(listen: Listen, exchange: HttpExchange) -> None:
    lines = {"Link": '</a>; rel="next"', "link": '</b>; rel="last"', "LINK": "</c>; rel=first"}
    server = listen(lambda connection, request: response(200, b"[]", lines))
    reply = await exchange(get(server))
    assert reply.headers["link"] == '</a>; rel="next", </b>; rel="last", </c>; rel=first'


@pytest_twisted.ensureDeferred
async def test_a_packed_body_comes_unpacked(listen: Listen, exchange: HttpExchange) -> None:
    server = listen(lambda connection, request: response(200, gzip.compress(b"[1]"), GZIP))
    assert (await exchange(get(server))).body == b"[1]"
    assert server.requests[0].headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize("sent", [response(304, headers=GZIP), CHUNKED + b"2\r\n[]\r\n0\r\n\r\n", ENDLESS + b"[]"])
@pytest_twisted.ensureDeferred
async def test_a_body_ends_where_its_framing_says(listen: Listen, exchange: HttpExchange, sent: bytes) -> None:
    server = listen(lambda connection, request: connection.send_last(sent))
    assert (await exchange(get(server))).body == (b"" if b"304" in sent else b"[]")


@pytest_twisted.ensureDeferred
async def test_connections_are_kept_and_used_again(listen: Listen, exchange: HttpExchange) -> None:
    server = listen(lambda connection, request: response())
    for _ in range(3):
        await exchange(get(server))
    assert len(server.connections) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest_twisted.ensureDeferred
async def test_a_redirect_is_just_a_reply_and_carries_nothing_on(
    listen: Listen, exchange: HttpExchange, status: int
) -> None:
    elsewhere = listen(lambda connection, request: response())
    server = listen(lambda connection, request: response(status, headers={"location": elsewhere.root}))
    assert (await exchange(post(server))).status == status
    assert not elsewhere.connections


# --- what goes wrong --------------------------------------------------------------------------------------------------

BROKEN = {
    b"": "connection lost before an answer",
    b"HTTP/1.1 200 OK\r\ncontent-le": "an answer cut short or unreadable",
    b"no such protocol\r\n\r\n": "an answer cut short or unreadable",
    b"HTTP/1.1 OK 200\r\n\r\n": "an answer cut short or unreadable",
    b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n": "an answer cut short or unreadable",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: pigeon\r\n\r\n": "an answer cut short or unreadable",
    response(200, b"[1, 2]")[:-1]: "an answer cut short or unreadable",
    CHUNKED + b"2\r\n[]\r\n": "an answer cut short or unreadable",
    CHUNKED + b"two\r\n[]\r\n0\r\n\r\n": "an answer cut short or unreadable",
}


@pytest.mark.parametrize("sent", BROKEN)
@pytest_twisted.ensureDeferred
async def test_a_broken_answer_is_no_answer(listen: Listen, exchange: HttpExchange, sent: bytes) -> None:
    server = listen(lambda connection, request: connection.send_last(sent))
    assert await reason_of(start(exchange, post(server))) == BROKEN[sent]
    assert len(server.requests) == 1


@pytest_twisted.ensureDeferred
async def test_a_reset_is_no_answer(listen: Listen, exchange: HttpExchange) -> None:
    server = listen(lambda connection, request: connection.transport.abortConnection())
    assert await reason_of(start(exchange, get(server))) == "connection lost before an answer"


@pytest_twisted.ensureDeferred
async def test_a_refused_connection_is_no_answer(listen: Listen, exchange: HttpExchange) -> None:
    gone = Request("GET", f"http://127.0.0.1:1/?{SECRET}", {})
    assert await reason_of(start(exchange, gone)) == "connection refused"


@pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")  # Twisted's server does
@pytest_twisted.ensureDeferred
async def test_whom_we_cannot_trust_is_sent_nothing(listen: Listen, exchange: HttpExchange) -> None:
    server = listen(lambda connection, request: response(), tls=True)
    assert await reason_of(start(exchange, post(server))) == "no TLS connection that can be trusted"
    assert not server.requests


@pytest.mark.parametrize("ask", [get, post])
@pytest_twisted.ensureDeferred
async def test_nothing_is_sent_twice_on_a_kept_connection_that_breaks(
    listen: Listen, exchange: HttpExchange, ask: Callable[[RawServer], Request]
) -> None:
    server = listen(lambda connection, request: response() if len(server.requests) == 1 else connection.send_last(b""))
    await exchange(ask(server))
    await reason_of(start(exchange, ask(server)))
    assert (len(server.requests), len(server.connections)) == (2, 1)


@pytest.mark.parametrize(
    "failed",
    [
        error.DNSLookupError(),
        error.TCPTimedOutError(),
        error.ConnectionLost(),
        ResponseFailed([Failure(SSL.Error())]),
        ResponseFailed([Failure(VerificationError([]))]),
    ],
)
def test_every_failure_has_words_of_ours(failed: Exception) -> None:
    assert isinstance(failed, FAILURES)
    assert reason(failed)


@pytest_twisted.ensureDeferred
async def test_what_would_create_is_cut_off_before_its_body_once_another_may(listen: Listen) -> None:
    from twisted.internet import reactor

    server = listen(lambda connection, request: response())
    replaced = connect("Pipedrive", reactor, may_create=lambda: False)
    assert await reason_of(start(replaced, post(server))) == "not sent, another instance may have taken over"
    await server.connections[0].lost
    assert not server.requests
    assert (await replaced(get(server))).status == 200
    await replaced.close()


@pytest_twisted.ensureDeferred
async def test_what_would_create_does_not_leave_once_another_may_though_its_body_is_written(listen: Listen) -> None:
    from twisted.internet import reactor

    server = listen(lambda connection, request: response())
    answers = chain([True], repeat(False))
    frozen = connect("Pipedrive", reactor, may_create=lambda: next(answers))
    assert await reason_of(start(frozen, post(server))) == "connection lost before an answer"
    await server.connections[0].lost
    assert not server.requests
    await frozen.close()


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_an_endless_body_is_cut_off_at_the_limit(listen: Listen, exchange: HttpExchange) -> None:
    server = listen(lambda connection, request: connection.send_forever(ENDLESS))
    assert await reason_of(start(exchange, get(server))) == "an answer of more than 32 MiB"
    await server.connections[0].lost


@pytest_twisted.ensureDeferred
async def test_a_packed_body_is_not_unpacked_beyond_the_limit(listen: Listen, exchange: HttpExchange) -> None:
    server = listen(lambda connection, request: response(200, gzip.compress(b" " * (LARGEST_BODY + 1)), GZIP))
    assert await reason_of(start(exchange, get(server))) == "an answer of more than 32 MiB"


@pytest_twisted.ensureDeferred
async def test_a_body_as_large_as_the_limit_is_read(listen: Listen, exchange: HttpExchange) -> None:
    server = listen(lambda connection, request: response(200, b" " * LARGEST_BODY))
    assert len((await exchange(get(server))).body) == LARGEST_BODY


@pytest.mark.parametrize("started", STARTED)
@pytest_twisted.ensureDeferred
async def test_the_time_limit_holds_to_the_last_byte(
    listen: Listen, watched: WatchedAgent, timed: HttpExchange, clock: Clock, started: bytes
) -> None:
    server = listen(lambda connection, request: started)
    exchanged = start(timed, post(server))
    await (watched.answered if started else server.first_request())
    clock.advance(TIMEOUT_S - 0.001)
    assert not exchanged.called
    clock.advance(0.001)
    assert await reason_of(exchanged) == "no whole answer in time"
    await server.connections[0].lost
    assert not clock.getDelayedCalls()


# --- stopping ---------------------------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_a_stop_sends_nothing_more_and_lets_what_is_under_way_end(
    listen: Listen, timed: HttpExchange, clock: Clock
) -> None:
    server = listen(lambda connection, request: None)
    exchanged = start(timed, post(server))
    await server.first_request()
    closed = Deferred.fromCoroutine(timed.close(grace_s=7.0))
    with pytest.raises(Stopping):
        await timed(get(server))
    clock.advance(6.9)
    assert not closed.called
    server.connections[0].transport.write(response(201))
    assert (await exchanged).status == 201
    await closed
    await server.connections[0].lost
    assert len(server.requests) == 1
    assert not clock.getDelayedCalls()


@pytest.mark.parametrize("started", STARTED)
@pytest_twisted.ensureDeferred
async def test_a_stop_cuts_off_what_outlives_the_grace_and_returns_after_it(
    listen: Listen, watched: WatchedAgent, timed: HttpExchange, clock: Clock, started: bytes
) -> None:
    server = listen(lambda connection, request: started)
    exchanged = start(timed, post(server))
    await (watched.answered if started else server.first_request())
    closed = Deferred.fromCoroutine(timed.close(grace_s=7.0))
    clock.advance(7.0)
    assert exchanged.called
    await reason_of(exchanged)
    await closed
    await server.connections[0].lost


@pytest_twisted.ensureDeferred
async def test_a_stop_closes_the_kept_connections(listen: Listen, exchange: HttpExchange) -> None:
    server = listen(lambda connection, request: response())
    await exchange(get(server))
    await exchange.close()
    await server.connections[0].lost
