"""One connection: what it may cost us, and when the operating system has taken what was written to it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from msgspec.json import encode
from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IPushProducer, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from twisted.web.http import RESPONSES, HTTPChannel, Request
from twisted.web.http_headers import Headers

from pipetest.web.connection_limit import Connections
from pipetest.web.responses import Problem

ARRIVAL_S = 20.0  # for a whole request, from the connection or its first byte on: a slow client cannot stretch it
IDLE_S = 75  # between requests; longer than a load balancer's usual 60 s, so that it is never us who hang up on it
STALL_S = 60.0  # for one chunk of an answer, or the end: a client that takes nothing for so long has stopped reading
MAX_BODY = 16 * 1024  # bytes; no request of ours needs one

DEFAULT_HEADERS = {  # of every answer, unless it sets its own
    b"Cache-Control": [b"no-store"],
    b"Content-Security-Policy": [b"default-src 'none'; frame-ancestors 'none'"],
    b"Cross-Origin-Opener-Policy": [b"same-origin"],
    b"Cross-Origin-Resource-Policy": [b"same-origin"],
    b"Referrer-Policy": [b"no-referrer"],
    b"X-Content-Type-Options": [b"nosniff"],
}
HSTS_HEADER = {b"Strict-Transport-Security": [b"max-age=31536000"]}
SERVER_HEADER = {b"Server": [b"pipetest"]}  # in place of Twisted's, which tells versions


class HeadersWithDefaults(Headers):
    """An answer's own headers, and those defaults that it does not set; only to be written."""

    def __init__(self, own: Headers, defaults: Mapping[bytes, Sequence[bytes]]) -> None:
        super().__init__()
        self._all = {**defaults, **dict(own.getAllRawHeaders()), **SERVER_HEADER}

    def getAllRawHeaders(self) -> Iterator[tuple[bytes, Sequence[bytes]]]:
        return iter(self._all.items())


class Channel(HTTPChannel):
    """An HTTP connection with bounds on what arrives, and a way to wait until what was written has left.

    Twisted tells a producer that everything has left only after it was paused, and it pauses it only when 64 KiB wait.
    So here the socket counts as full with the first byte that waits: each write pauses this channel, and it is resumed
    when the operating system has taken everything. (A smaller ``bufferSize`` would also make reads smaller.) TLS passes
    both on, once it has encrypted what was written.
    """

    MAX_LENGTH = 8 * 1024  # bytes of one line: the URL, or one header
    totalHeadersSize = 16 * 1024
    maxHeaders = 100
    _stall_timer: IDelayedCall | None = None
    _lost = False
    _ending = False
    _complete = False
    _secure = False

    def __init__(self, connections: Connections, default_headers: Mapping[bytes, Sequence[bytes]]) -> None:
        super().__init__()
        self._connections = connections
        self._default_headers = default_headers
        self._flushing: list[Deferred[None]] = []

    # --- what arrives -------------------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        _socket_of(self.transport)._isSendBufferFull = lambda: True  # type: ignore[method-assign]
        super().connectionMade()
        self._secure = super().isSecure()
        self._connections.idle(self)

    def isSecure(self) -> bool:
        """Asked several times for each request; remembered, as it never changes."""
        return self._secure

    def resetTimeout(self) -> None:
        """Do nothing: HTTPChannel calls this as bytes arrive, and each of them would renew the time of a request."""

    def dataReceived(self, data: bytes) -> None:
        if self._ending:  # TLS goes on to deliver until the other end agrees; nothing of it is a request any more
            return
        behind, self._complete = self.unflushed, False
        super().dataReceived(data)
        if not self._complete and self.timeOut == IDLE_S:  # the first bytes of a request start its time
            self.setTimeout(ARRIVAL_S)
        if behind:  # a client that sends requests without taking the answers would fill our memory with them
            cast(IPushProducer, self.transport).pauseProducing()

    def lineLengthExceeded(self, line: bytes) -> None:
        self.refuse(400, "a line of the request is too long")

    def allHeadersReceived(self) -> None:
        if self.length is None:
            self.refuse(411, "a request body needs a Content-Length")
        elif self.length > MAX_BODY:
            self.refuse(413, f"a request body may have {MAX_BODY} bytes")
        else:
            super().allHeadersReceived()

    def allContentReceived(self) -> None:
        self._connections.busy(self)
        self._complete = True
        self.timeOut = IDLE_S  # what HTTPChannel sets again once the answer is done
        super().allContentReceived()

    def requestDone(self, request: Request) -> None:
        self._connections.idle(self)
        super().requestDone(request)

    def _respondToBadRequestAndDisconnect(self) -> None:
        self.refuse(400, "this is not a request that HTTP/1.1 allows, or it is too large")

    def refuse(self, status: int, detail: str) -> None:
        """Answer a request that is not to be processed, and hang up. Nothing more of the connection is read."""
        if self._ending:
            return
        body = encode(Problem.of(status, detail))
        headers = Headers({"Content-Type": [Problem.MEDIA_TYPE], "Content-Length": [str(len(body))]})
        headers.setRawHeaders("Connection", ["close"])
        self.writeHeaders(b"HTTP/1.1", b"%d" % status, RESPONSES[status], headers)
        self.write(body)
        self.loseConnection()

    def loseConnection(self) -> None:
        """Hang up once what was written has left. TLS also waits for the other end to agree, which may never answer."""
        self._ending = True
        super().loseConnection()
        if not self._lost:
            self._start_stall_timer()

    def abort(self) -> None:
        """Hang up at once, whatever was still to be sent."""
        self._ending = True
        cast(ITCPTransport, self.transport).abortConnection()

    # --- what leaves --------------------------------------------------------------------------------------------------

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:
        super().writeHeaders(version, code, reason, HeadersWithDefaults(headers, self._default_headers))

    @property
    def unflushed(self) -> bool:
        """Whether the operating system has yet to take something that was written."""
        return self._stall_timer is not None

    def flushed(self) -> Deferred[None]:
        """Fires the next time that the operating system has taken everything that was written.

        Fails with a :class:`~twisted.internet.error.ConnectionClosed` when the connection ends before.
        """
        flushed: Deferred[None] = Deferred()
        if self._lost:
            flushed.errback(ConnectionDone())
        else:
            self._flushing.append(flushed)
        return flushed

    def pauseProducing(self) -> None:
        self._start_stall_timer()
        super().pauseProducing()

    def resumeProducing(self) -> None:
        self._stop_stall_timer()
        super().resumeProducing()
        flushing, self._flushing = self._flushing, []
        for flushed in flushing:
            flushed.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost = True
        self._stop_stall_timer()
        self._connections.lost(self)
        super().connectionLost(reason)
        flushing, self._flushing = self._flushing, []
        for flushed in flushing:
            flushed.errback(reason)

    def _start_stall_timer(self) -> None:
        if self._stall_timer is None:
            self._stall_timer = self.callLater(STALL_S, self.abort)

    def _stop_stall_timer(self) -> None:
        timer, self._stall_timer = self._stall_timer, None
        if timer is not None and timer.active():
            timer.cancel()


def _socket_of(transport: object) -> FileDescriptor:
    """The socket under whatever wraps it, TLS for one."""
    while isinstance(transport, ProtocolWrapper):
        transport = transport.transport
    return cast(FileDescriptor, transport)
