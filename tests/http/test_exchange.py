"""One exchange over real sockets: whole, bounded, sent once, and never a word of what it carried in an error."""

import gzip
import tracemalloc
from collections.abc import AsyncIterator, Callable, Mapping
from itertools import chain, repeat
from typing import Any

import pytest
import pytest_twisted
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import error
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IProtocol
from twisted.internet.ssl import optionsForClientTLS, trustRootFromCertificates
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IPolicyForHTTPS, IResponse
from zope.interface import implementer

from pipetest.domain.errors import Stopping, Unanswered
from pipetest.domain.interfaces import Exchange
from pipetest.domain.model import Reply, Request
from pipetest.http.body_reader import LARGEST_BODY, LARGEST_ERROR
from pipetest.http.connection import BoundedEndpoints
from pipetest.http.exchange import TIMEOUT_S, HttpExchange, connect, reason
from pipetest.http.fencing import Fence, FencedEndpoints
from tests.support.raw_server import CERTIFICATE, Listen, RawServer, WatchedAgent, listening, response

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


@implementer(IPolicyForHTTPS)
class TrustsTheServer:
    def creatorForNetloc(self, hostname: bytes, port: int) -> IOpenSSLClientConnectionCreator:
        return optionsForClientTLS("localhost", trustRoot=trustRootFromCertificates([CERTIFICATE]))


def trusting_exchange() -> HttpExchange:
    """As :func:`connect` makes it, but it trusts the server's certificate."""
    from twisted.internet import reactor

    pool, endpoints = HTTPConnectionPool(reactor), FencedEndpoints(reactor, TrustsTheServer(), Fence())
    return HttpExchange(
        "GitHub", reactor, pool, Agent.usingEndpointFactory(reactor, BoundedEndpoints(endpoints), pool=pool)
    )


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


@pytest.mark.parametrize("name", ["x-gzip", "GZIP", " gzip ", "identity, gzip"])
@pytest_twisted.ensureDeferred
async def test_gzip_goes_by_any_of_its_names(listen: Listen, exchange: HttpExchange, name: str) -> None:
    server = listen(lambda connection, request: response(203, gzip.compress(b"[1]"), {"content-encoding": name}))
    assert await exchange(get(server)) == Reply(203, {"content-encoding": name.strip()}, b"[1]")


@pytest_twisted.ensureDeferred
async def test_no_cookie_is_kept_whatever_is_in_it(listen: Listen, exchange: HttpExchange) -> None:
    server = listen(lambda connection, request: response(201, b"{}", {"set-cookie": "a=\xe9; domain=localhost"}))
    for _ in range(2):
        assert (await exchange(post(server))).status == 201
    assert "cookie" not in server.requests[1].headers


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
    b"HTTP/1.1 600 OK\r\ncontent-length: 0\r\n\r\n": "an answer cut short or unreadable",
    b"HTTP/1.1 -1 OK\r\ncontent-length: 0\r\n\r\n": "an answer cut short or unreadable",
    response(200, b"[1, 2]")[:-1]: "an answer cut short or unreadable",
    CHUNKED + b"2\r\n[]\r\n": "an answer cut short or unreadable",
    CHUNKED + b"two\r\n[]\r\n0\r\n\r\n": "an answer cut short or unreadable",
}


PACKED = gzip.compress(b"[1]")
NOT_AS_PACKED = {
    "twice": (gzip.compress(PACKED), "gzip, gzip"),
    "many times": (PACKED, ", ".join(["gzip"] * 2_000)),
    "not asked for": (b"[1]", "br"),
    "not at all": (b"[1]", "gzip"),
    "cut short": (PACKED[:-1], "gzip"),
    "wrong checksum": (PACKED[:-8] + b"12345678", "gzip"),
    "more behind it": (PACKED + b"[2]", "gzip"),
    "too many members": (gzip.compress(b"") * 1_001, "gzip"),
}


@pytest.mark.parametrize("status", [200, 201, 404])
@pytest.mark.parametrize("packed", NOT_AS_PACKED)
@pytest_twisted.ensureDeferred
async def test_what_is_not_packed_once_as_it_says_is_no_answer(
    listen: Listen, exchange: HttpExchange, packed: str, status: int
) -> None:
    body, encoding = NOT_AS_PACKED[packed]
    server = listen(lambda connection, request: response(status, body, {"content-encoding": encoding}))
    unpacked = "an answer that is not packed as it says, or not as was asked for"
    assert await reason_of(start(exchange, post(server))) == unpacked


@pytest_twisted.ensureDeferred
async def test_two_thousand_lines_that_name_a_packing_are_no_answer(listen: Listen, exchange: HttpExchange) -> None:
    head = b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n" + b"Content-Encoding: gzip\r\n" * 2_000
    server = listen(lambda connection, request: head + b"\r\n{}")
    await reason_of(start(exchange, post(server)))


@implementer(IAgent)
class BrokenAgent:
    """Fails in a way that nobody foresaw: at once, or later."""

    def __init__(self, error: BaseException, *, at_once: bool) -> None:
        self._error = error
        self._at_once = at_once

    def request(self, *asked: object) -> Deferred[IResponse]:
        if self._at_once:
            raise self._error
        return fail(self._error)


UNFORESEEN = [ValueError(SECRET), KeyError(SECRET), AttributeError(SECRET), MemoryError(SECRET), RecursionError(SECRET)]


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("failed", UNFORESEEN, ids=lambda failed: type(failed).__name__)
@pytest_twisted.ensureDeferred
async def test_an_exception_that_nobody_foresaw_is_no_answer(
    clock: Clock, watched: WatchedAgent, failed: Exception, at_once: bool
) -> None:
    broken = HttpExchange("Pipedrive", clock, watched.pool, BrokenAgent(failed, at_once=at_once))
    request = Request("POST", f"http://localhost/?{SECRET}", {}, b"{}")
    assert await reason_of(start(broken, request)) == f"the exchange failed ({type(failed).__name__})"
    assert not clock.getDelayedCalls()


@pytest.mark.parametrize(
    "request_", [Request("GET", "http://localhost/\u1234", {}), Request("GET", "http://localhost/", {"if": "\u1234"})]
)
@pytest_twisted.ensureDeferred
async def test_what_cannot_be_sent_is_no_answer(exchange: HttpExchange, request_: Request) -> None:
    assert await reason_of(start(exchange, request_)) == "the exchange failed (UnicodeEncodeError)"


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


def test_a_host_that_dns_does_not_know_is_named() -> None:
    assert reason(error.DNSLookupError(), "api.example") == "DNS lookup of api.example failed"


@pytest.mark.parametrize(
    "failed",
    [
        error.DNSLookupError(),
        error.TCPTimedOutError(),
        error.ConnectionLost(),
        ResponseFailed([Failure(SSL.Error())]),
        ResponseFailed([Failure(VerificationError([]))]),
        *(MemoryError(SECRET), RecursionError(SECRET), UnicodeEncodeError("ascii", SECRET, 0, 1, SECRET)),
    ],
)
def test_every_failure_has_words_of_ours(failed: Exception) -> None:
    assert reason(failed, "api.example")
    assert SECRET not in reason(failed, "api.example")


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


@implementer(IAgent)
class DrippingAgent:
    """Each answer's body comes in so many pieces of two bytes."""

    code = 200

    def __init__(self, pieces: int) -> None:
        self._pieces = pieces
        self.headers = Headers()

    def request(self, *asked: object) -> Deferred[Any]:
        return succeed(self)

    def deliverBody(self, reader: IProtocol) -> None:
        reader.makeConnection(StringTransport())
        for _ in range(self._pieces):
            reader.dataReceived(bytes(2))
        reader.connectionLost(Failure(ResponseDone()))


@pytest_twisted.ensureDeferred
async def test_the_pieces_of_a_body_are_not_kept_besides_it(clock: Clock, watched: WatchedAgent) -> None:
    exchange = HttpExchange("GitHub", clock, watched.pool, DrippingAgent(20_000))
    tracemalloc.start()
    reply = await exchange(Request("GET", "http://localhost/", {}))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(reply.body) == 40_000
    assert peak < 500_000


@pytest.mark.parametrize("headers", [{}, GZIP])
@pytest_twisted.ensureDeferred
async def test_the_body_of_an_error_is_small(
    listen: Listen, exchange: HttpExchange, headers: Mapping[str, str]
) -> None:
    sizes = iter([LARGEST_ERROR, LARGEST_ERROR + 1])
    pack = gzip.compress if headers else bytes
    server = listen(lambda connection, request: response(422, pack(b" " * next(sizes)), headers))
    assert len((await exchange(post(server))).body) == LARGEST_ERROR
    assert await reason_of(start(exchange, post(server))) == "an answer of more than 64 KiB"
    await server.connections[0].lost


HEADS = {
    "headers": (b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"),
    "a folded header": (b"HTTP/1.1 200 OK\r\nLink: a\r\n", b" b\r\n"),
    "interim answers": (b"", b"HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n"),
}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")  # Twisted's server does
@pytest.mark.parametrize("tls", [False, True])
@pytest_twisted.ensureDeferred
async def test_headers_without_end_are_cut_off_at_the_limit(listen: Listen, head: str, tls: bool) -> None:
    first, more = HEADS[head]
    server = listen(lambda connection, request: connection.send_forever(first, more * 1_000), tls=tls)
    trusting = trusting_exchange()
    assert await reason_of(start(trusting, post(server))) == "an answer with headers of more than 64 KiB"
    await server.connections[0].lost
    await trusting.close()


@pytest_twisted.ensureDeferred
async def test_headers_as_large_as_the_limit_are_read(listen: Listen, exchange: HttpExchange) -> None:
    many = {f"x-{number}": "x" * 1_000 for number in range(60)}
    server = listen(lambda connection, request: response(200, b"[]", many))
    reply = await exchange(get(server))
    assert (len(reply.headers), reply.body) == (60, b"[]")


@pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")
@pytest_twisted.ensureDeferred
async def test_who_hangs_or_floods_over_tls_is_hung_up_on_without_being_asked(listen: Listen) -> None:
    server = listen(lambda connection, request: connection.send_forever(ENDLESS), tls=True)
    trusting = trusting_exchange()
    assert await reason_of(start(trusting, get(server))) == "an answer of more than 32 MiB"
    await server.connections[0].lost
    await trusting.close()


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
