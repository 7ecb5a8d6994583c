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

from pipetest.web.connections import Connections
from pipetest.web.problem import Problem

ARRIVAL_S = 20.0  # for a whole request, from the connection or its first byte on: a slow client cannot stretch it
IDLE_S = 75  # between requests; longer than a load balancer's usual 60 s, so that it is never us who hang up on it
STALL_S = 60.0  # for one piece of an answer: whoever takes nothing for so long has stopped reading
MAX_BODY = 16 * 1024  # bytes; no request of ours needs one

HEADERS = {  # of every answer, where it does not bring its own
    b"Cache-Control": [b"no-store"],
    b"Content-Security-Policy": [b"default-src 'none'; frame-ancestors 'none'"],
    b"Cross-Origin-Opener-Policy": [b"same-origin"],
    b"Cross-Origin-Resource-Policy": [b"same-origin"],
    b"Referrer-Policy": [b"no-referrer"],
    b"X-Content-Type-Options": [b"nosniff"],
}
STRICT = {b"Strict-Transport-Security": [b"max-age=31536000"]}
SERVER = {b"Server": [b"pipetest"]}  # without the versions that Twisted tells


class Completed(Headers):
    """An answer's own headers, and those of every answer that it does not bring; to be written, not changed."""

    def __init__(self, own: Headers, standing: Mapping[bytes, Sequence[bytes]]) -> None:
        super().__init__()
        self._all = {**standing, **dict(own.getAllRawHeaders()), **SERVER}

    def getAllRawHeaders(self) -> Iterator[tuple[bytes, Sequence[bytes]]]:
        return iter(self._all.items())


class Channel(HTTPChannel):
    """An HTTP connection with bounds on what arrives, and a way to wait until an answer has left.

    Twisted tells a producer that everything has left only after it was paused, which it is not before 64 KiB wait. So
    the socket is made to see any byte as a full buffer (``bufferSize`` would not do, it also bounds what is read): each
    write pauses this channel, and it is resumed when the operating system has taken all. TLS passes both on, once it
    has encrypted what was written.
    """

    MAX_LENGTH = 8 * 1024  # bytes of one line: the URL, or one header
    totalHeadersSize = 16 * 1024
    maxHeaders = 100
    _stalled: IDelayedCall | None = None
    _lost = False
    _complete = False
    _secure = False

    def __init__(self, connections: Connections, headers: Mapping[bytes, Sequence[bytes]]) -> None:
        super().__init__()
        self._connections = connections
        self._headers = headers
        self._taken: list[Deferred[None]] = []

    # --- what arrives

    def connectionMade(self) -> None:
        _socket_of(self.transport)._isSendBufferFull = lambda: True  # type: ignore[method-assign]
        super().connectionMade()
        self._secure = super().isSecure()
        self._connections.idle(self)

    def isSecure(self) -> bool:
        """Asked several times for each request, and always the same."""
        return self._secure

    def resetTimeout(self) -> None:
        """Called as bytes arrive, which would renew the time of a request with each of them."""

    def dataReceived(self, data: bytes) -> None:
        behind, self._complete = self.full, False
        super().dataReceived(data)
        if not self._complete and self.timeOut == IDLE_S:  # the first bytes of a request start its time
            self.setTimeout(ARRIVAL_S)
        if behind:  # whoever asks on without taking the answers waits, and does not fill our memory with them
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
        self.timeOut = IDLE_S  # what HTTPChannel restores once the answer is done
        super().allContentReceived()

    def requestDone(self, request: Request) -> None:
        self._connections.idle(self)
        super().requestDone(request)

    def _respondToBadRequestAndDisconnect(self) -> None:
        self.refuse(400, "this is not a request that HTTP/1.1 allows, or it is too large")

    def refuse(self, status: int, detail: str) -> None:
        """Answer a request that is not to be processed, and hang up."""
        problem = Problem.of(status, detail)
        body = encode(problem)
        headers = Headers({"Content-Type": [Problem.MEDIA_TYPE], "Content-Length": [str(len(body))]})
        headers.setRawHeaders("Connection", ["close"])
        self.writeHeaders(b"HTTP/1.1", b"%d" % status, RESPONSES[status], headers)
        self.write(body)
        self.loseConnection()

    def end(self) -> None:
        """Hang up at once, whatever was still to be sent."""
        cast(ITCPTransport, self.transport).abortConnection()

    # --- what leaves

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:
        super().writeHeaders(version, code, reason, Completed(headers, self._headers))

    @property
    def full(self) -> bool:
        """Whether the operating system has yet to take something that was written."""
        return self._stalled is not None

    def taken(self) -> Deferred[None]:
        """Fires the next time that the operating system has taken all that was written.

        Fails with a :class:`~twisted.internet.error.ConnectionClosed` when the connection ends before.
        """
        taken: Deferred[None] = Deferred()
        if self._lost:
            taken.errback(ConnectionDone())
        else:
            self._taken.append(taken)
        return taken

    def pauseProducing(self) -> None:
        if self._stalled is None:
            self._stalled = self.callLater(STALL_S, self.end)
        super().pauseProducing()

    def resumeProducing(self) -> None:
        self._flows()
        super().resumeProducing()
        waiting, self._taken = self._taken, []
        for taken in waiting:
            taken.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost = True
        self._flows()
        self._connections.gone(self)
        super().connectionLost(reason)
        waiting, self._taken = self._taken, []
        for taken in waiting:
            taken.errback(reason)

    def _flows(self) -> None:
        stalled, self._stalled = self._stalled, None
        if stalled is not None and stalled.active():
            stalled.cancel()


def _socket_of(transport: object) -> FileDescriptor:
    """The socket under whatever wraps it, TLS for one."""
    while isinstance(transport, ProtocolWrapper):
        transport = transport.transport
    return cast(FileDescriptor, transport)
