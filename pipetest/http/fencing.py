"""Blocks create requests once another instance may have taken over.

Checked when the body is written, and again just before the bytes leave: they may have waited for a TLS handshake or for
the reactor, or the whole process may have been frozen in between.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IReactorTime, IStreamClientEndpoint
from twisted.internet.main import CONNECTION_LOST
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory, IPolicyForHTTPS
from zope.interface import implementer

from pipetest.domain.model import Request


def always() -> bool:
    """For a service in which nobody else creates."""
    return True


class Fence:
    """Asks ``may_create`` before anything is sent while a create is in flight."""

    def __init__(self, may_create: Callable[[], bool] = always) -> None:
        self._may_create = may_create
        self._creates_in_flight = 0

    @contextmanager
    def in_flight(self, request: Request) -> Iterator[None]:
        """Know of ``request`` while its exchange lasts."""
        creates = request.body is not None
        self._creates_in_flight += creates
        try:
            yield
        finally:
            self._creates_in_flight -= creates

    def allows(self) -> bool:
        """Whether bytes may leave now. Encrypted ones of a read and of a create look the same: both are blocked."""
        return not self._creates_in_flight or self._may_create()


@implementer(IStreamClientEndpoint)
class _FencedEndpoint:
    """Connections that break rather than send what the fence blocks."""

    def __init__(self, endpoint: IStreamClientEndpoint, fence: Fence) -> None:
        self._endpoint = endpoint
        self._fence = fence

    def connect(self, factory: IProtocolFactory) -> "Deferred[IProtocol]":
        connected: Deferred[Any] = self._endpoint.connect(factory)
        return connected.addCallback(self._fenced)

    def _fenced(self, protocol: Any) -> IProtocol:
        """Twisted has no hook between its buffer and the system, so its method that sends is wrapped."""
        transport, fence = protocol.transport, self._fence
        send = transport.writeSomeData
        transport.writeSomeData = lambda data: send(data) if fence.allows() else CONNECTION_LOST
        fenced: IProtocol = protocol
        return fenced


@implementer(IAgentEndpointFactory)
class FencedEndpoints:
    """Where an agent connects to. The fence lies below TLS, so that bytes already encrypted are blocked too."""

    def __init__(self, reactor: IReactorTime, policy: IPolicyForHTTPS, fence: Fence) -> None:
        self._reactor = reactor
        self._policy = policy
        self._fence = fence

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        tcp = HostnameEndpoint(self._reactor, uri.host, uri.port)
        endpoint: IStreamClientEndpoint = _FencedEndpoint(tcp, self._fence)
        if uri.scheme != b"https":
            return endpoint
        tls: IStreamClientEndpoint = wrapClientTLS(self._policy.creatorForNetloc(uri.host, uri.port), endpoint)
        return tls
