"""Connections through which a broken or hostile server can neither fill the memory nor keep us busy for ever."""

from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, ISSLTransport, IStreamClientEndpoint
from twisted.python.failure import Failure
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

LARGEST_HEAD = 64 * 2**10
"""Bytes from a request to the end of its answer's headers, interim answers included. GitHub sends some 3 KB. Twisted
bounds the length of a line, not their number."""


class OversizeHead(Exception):
    """The headers of an answer do not end within :data:`LARGEST_HEAD` bytes."""


@implementer(IAgentEndpointFactory)
class BoundedEndpoints:
    """Makes an endpoint for each origin once, with ``endpoints``, and keeps it: an agent asks for one before every
    request, and making one may read all trusted certificates."""

    def __init__(self, endpoints: IAgentEndpointFactory) -> None:
        self._endpoints = endpoints
        self._known: dict[tuple[bytes, bytes, int], IStreamClientEndpoint] = {}

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        origin = (uri.scheme, uri.host, uri.port)
        if origin not in self._known:
            self._known[origin] = _BoundedEndpoint(self._endpoints.endpointForURI(uri))
        return self._known[origin]


@implementer(IStreamClientEndpoint)
class _BoundedEndpoint:
    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def connect(self, factory: IProtocolFactory) -> "Deferred[IProtocol]":
        connected: Deferred[Any] = self._endpoint.connect(factory)
        return connected.addCallback(_bounded)


def _hang_up(transport: Any) -> None:
    """TLS is closed only once the other side agrees: one that hangs, or sends without end, never does."""
    if transport.connected:
        transport.abortConnection()


def _bounded(connection: Any) -> Any:
    transport: Any = connection.transport
    if ISSLTransport.providedBy(transport):
        transport.loseConnection = partial(_hang_up, transport)  # type: ignore[method-assign]
    limit = _HeadLimit(connection)
    connection.request, connection.dataReceived = limit.request, limit.dataReceived
    return connection


class _HeadLimit:
    """Counts what comes in between a request and the end of its answer's headers."""

    def __init__(self, connection: Any) -> None:
        self._request = connection.request
        self._receive = connection.dataReceived
        self._answer: Deferred[Any] | None = None
        self._size = 0

    def request(self, request: Any) -> "Deferred[Any]":
        self._size = 0
        answer: Deferred[Any] = self._request(request)
        self._answer = answer
        return answer.addBoth(self._ended)

    def dataReceived(self, data: bytes) -> None:
        self._receive(data)
        if self._answer is not None:
            self._size += len(data)
            if self._size > LARGEST_HEAD:
                self._answer.cancel()

    def _ended(self, result: Any) -> Any:
        self._answer = None
        return Failure(OversizeHead()) if self._size > LARGEST_HEAD else result
