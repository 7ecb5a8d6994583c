"""One whole HTTP exchange: sent once, within a time limit and size limits, without following redirects or keeping
cookies. Whatever goes wrong in it, its request may have been carried out."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import version
from urllib.parse import urlsplit

from hyperlink import EncodedURL
from OpenSSL import SSL
from service_identity import VerificationError
from treq.client import HTTPClient
from twisted.internet import defer, error
from twisted.internet.defer import CancelledError, Deferred, DeferredList, fail, succeed
from twisted.internet.interfaces import IConsumer, IReactorTime
from twisted.python.failure import Failure
from twisted.web.client import (
    Agent,
    BrowserLikePolicyForHTTPS,
    HTTPConnectionPool,
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from pipetest.domain.errors import Stopping, Unanswered
from pipetest.domain.model import Reply, Request
from pipetest.http.body_reader import (
    LARGEST_BODY,
    LARGEST_ERROR,
    BodyReader,
    OversizeBody,
    SizeBudget,
    UnreadableBody,
    encodings,
)
from pipetest.http.connection import LARGEST_HEAD, BoundedEndpoints, OversizeHead
from pipetest.http.fencing import Fence, FencedEndpoints, always

USER_AGENT = f"pipetest/{version('pipetest')}"
"""GitHub answers 403 without one (apis: GitHub docs, troubleshooting)."""

TIMEOUT_S = 20.0
"""The longest exchange, from the first byte sent to the last one received; GitHub itself gives up after 10 s."""

LISTS = frozenset({"link"})
"""Of the headers that somebody here reads, those that may come in several lines."""

PACKED = b"x-packed"
"""Where an answer's Content-Encoding is kept from treq."""

CONNECTIONS = 40
"""Idle connections kept per host: as many as creates run at once, so that none is closed only to be opened again a
moment later."""

IDLE_S = 30
"""How long an idle connection is kept: shorter than servers do (a minute or more), so that hardly any request is lost
because its connection is just being closed."""

DISCONNECT_S = 1.0
"""How long a stop waits for the other side to close an idle connection."""


class _LeaseLostError(Exception):
    """Another instance may have taken over, so a create was cut off before its body."""


_REASONS: Sequence[tuple[tuple[type[Exception], ...], str]] = (
    ((defer.TimeoutError, CancelledError, error.ConnectingCancelledError), "no whole answer in time"),
    ((UnreadableBody,), "an answer that is not packed as it says, or not as was asked for"),
    ((OversizeHead,), f"an answer with headers of more than {LARGEST_HEAD // 2**10} KiB"),
    ((_LeaseLostError,), "not sent, another instance may have taken over"),
    ((VerificationError, SSL.Error), "no TLS connection that can be trusted"),
    ((error.ConnectionRefusedError,), "connection refused"),
    ((error.ConnectError,), "no connection"),
    ((ResponseNeverReceived,), "connection lost before an answer"),
    ((ResponseFailed,), "an answer cut short or unreadable"),
    ((RequestGenerationFailed, RequestTransmissionFailed, error.ConnectionClosed), "connection lost while asking"),
)
"""Why no usable answer came back: the first row that fits the error, or what it wraps, counts."""


def reason(failed: Exception, host: str) -> str:
    """Our own words for the error of an exchange with ``host``: its text may hold a URL, a header or a body."""
    if isinstance(failed, error.DNSLookupError):
        return f"DNS lookup of {host} failed"
    if isinstance(failed, OversizeBody):
        return f"an answer of more than {_size(failed.limit)}"
    wrapped: Sequence[Failure] = getattr(failed, "reasons", ())
    causes = (failed, *(failure.value for failure in wrapped))
    named = (words for kinds, words in _REASONS for cause in causes if isinstance(cause, kinds))
    return next(named, f"the exchange failed ({type(failed).__name__})")


def _size(size: int) -> str:
    return f"{size // 2**20} MiB" if size >= 2**20 else f"{size // 2**10} KiB"


class HttpExchange:
    """The exchanges with one service; implements :class:`~pipetest.domain.interfaces.Exchange`.

    ``agent`` may be anything that carries requests; it gets its connections from ``pool``. A create leaves only while
    ``fence`` allows it.
    """

    def __init__(
        self,
        service: str,
        clock: IReactorTime,
        pool: HTTPConnectionPool,
        agent: IAgent,
        fence: Fence | None = None,
    ) -> None:
        self._service = service
        self._clock = clock
        self._pool = pool
        self._treq = HTTPClient(_RawAgent(agent))
        self._fence = fence or Fence()
        self._budget = SizeBudget()
        self._under_way: set[Deferred[Reply]] = set()
        self._closing = False

    async def __call__(self, request: Request, /) -> Reply:
        if self._closing:
            raise Stopping(f"{self._service}: not asked, the daemon stops")
        with self._fence.in_flight(request):
            exchange = Deferred.fromCoroutine(self._exchange(request)).addTimeout(TIMEOUT_S, self._clock)
            self._under_way.add(exchange)
            try:
                return await exchange
            except Exception as e:  # no matter which: the request may have left
                raise Unanswered(self._service, reason(e, urlsplit(request.url).hostname or "")) from None
            finally:
                self._under_way.discard(exchange)

    async def _exchange(self, request: Request) -> Reply:
        response = await self._treq.request(
            request.method,
            _as_sent(request.url),
            headers=Headers(
                {name.encode("ascii"): [value.encode("latin-1")] for name, value in request.headers.items()}
            ),
            data=None if request.body is None else _BodyProducer(request.body, self._fence),
            allow_redirects=False,
            unbuffered=True,
        )
        packed = _shown_again(response.headers)
        limit = LARGEST_BODY if 200 <= response.code < 300 else LARGEST_ERROR
        reader = BodyReader(encodings(packed), limit, self._budget)
        response.deliverBody(reader)
        body = await reader.whole
        if not 200 <= response.code <= 599:
            raise ResponseFailed([])  # there is no such status
        return Reply(response.code, _flat(response.headers), body)

    async def close(self, grace_s: float = 7.0) -> None:
        """Send nothing more. What is under way may end within ``grace_s`` seconds, then it is cut off and ends
        :class:`~pipetest.domain.errors.Unanswered`. Returns when all of it has ended and the connections are closed."""
        self._closing = True
        await DeferredList([exchange.addTimeout(grace_s, self._clock) for exchange in self._under_way])
        with suppress(defer.TimeoutError):
            await self._pool.closeCachedConnections().addTimeout(DISCONNECT_S, self._clock)


class _UrlAsSent(EncodedURL):
    """A URL that is all ASCII already. treq would encode it once more, its host by IDNA, too: a sixth of what a request
    costs."""

    def to_uri(self) -> "_UrlAsSent":
        return self


@lru_cache(maxsize=8)
def _as_sent(url: str) -> EncodedURL:
    """Creates go to the same few URLs, and reading one takes a fiftieth of what a request costs."""
    return _UrlAsSent.from_text(url)


@implementer(IAgent)
class _RawAgent:
    """Keeps from treq what it would handle without limits: how a body is packed, and cookies."""

    def __init__(self, agent: IAgent) -> None:
        self._agent = agent

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, bodyProducer: IBodyProducer | None = None
    ) -> "Deferred[IResponse]":
        response: Deferred[IResponse] = self._agent.request(method, uri, headers, bodyProducer)
        return response.addCallback(self._raw)

    def _raw(self, response: IResponse) -> IResponse:
        headers = response.headers
        packed = headers.getRawHeaders(b"content-encoding")
        for name in (PACKED, b"content-encoding", b"set-cookie"):
            headers.removeHeader(name)
        if packed:
            headers.setRawHeaders(PACKED, packed)
        return response


def _shown_again(headers: Headers) -> Sequence[bytes]:
    """Put Content-Encoding back in its place; its lines."""
    packed = headers.getRawHeaders(PACKED, [])
    for name in (PACKED, b"content-encoding"):
        headers.removeHeader(name)
    if packed:
        headers.setRawHeaders(b"content-encoding", packed)
    return packed


def connect(service: str, reactor: IReactorTime, may_create: Callable[[], bool] = always) -> HttpExchange:
    """Exchanges over real sockets. A create leaves only while ``may_create`` says so."""
    pool = HTTPConnectionPool(reactor)
    pool.maxPersistentPerHost = CONNECTIONS
    pool.cachedConnectionTimeout = IDLE_S
    # Whether a request may be sent a second time is for its caller to decide.
    pool.retryAutomatically = False
    fence = Fence(may_create)
    endpoints = BoundedEndpoints(FencedEndpoints(reactor, BrowserLikePolicyForHTTPS(), fence))
    agent = Agent.usingEndpointFactory(reactor, endpoints, pool=pool)
    return HttpExchange(service, reactor, pool, agent, fence)


def _flat(headers: Headers) -> dict[str, str]:
    """One value for each name. Several lines of a list are one list (RFC 9110, 5.3); else the last line counts."""
    lines = {name.decode("latin-1").lower(): values for name, values in headers.getAllRawHeaders()}
    return {
        name: (b", ".join(values) if name in LISTS else values[-1]).decode("latin-1") for name, values in lines.items()
    }


@implementer(IBodyProducer)
class _BodyProducer:
    """A request body, written at once: that needs no reactor, so it works in memory too."""

    def __init__(self, body: bytes, fence: Fence) -> None:
        self._body = body
        self._fence = fence
        self.length = len(body)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        if not self._fence.allows():
            return fail(_LeaseLostError())
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...

    def stopProducing(self) -> None: ...
