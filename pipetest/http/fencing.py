"""Keeps in what would create something once it may not: to the last moment, as a process may stand still at any.

A body that was written may wait for its connection's TLS handshake, or for the reactor's next turn. So it is asked once
more just before the bytes are given to the system.
"""

from collections.abc import Callable
from typing import Any

from attrs import define, frozen
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IReactorTime, IStreamClientEndpoint
from twisted.internet.main import CONNECTION_LOST
from twisted.web.client import URI
from twisted.web.iweb import IAgentEndpointFactory, IPolicyForHTTPS
from zope.interface import implementer


def always() -> bool:
    """Nobody else ever creates."""
    return True


@define
class Fence:
    """``creates`` is how many requests under way would create something."""

    _may_create: Callable[[], bool] = always
    creates: int = 0

    def lets_out(self) -> bool:
        return not self.creates or self._may_create()


@implementer(IStreamClientEndpoint)
@frozen
class _Fenced:
    """Connections that break rather than let out what they may not."""

    _endpoint: IStreamClientEndpoint
    _fence: Fence

    def connect(self, factory: IProtocolFactory) -> "Deferred[IProtocol]":
        connected: Deferred[Any] = self._endpoint.connect(factory)
        return connected.addCallback(self._put_up)

    def _put_up(self, protocol: Any) -> IProtocol:
        transport, fence = protocol.transport, self._fence
        send = transport.writeSomeData
        transport.writeSomeData = lambda data: send(data) if fence.lets_out() else CONNECTION_LOST
        fenced: IProtocol = protocol
        return fenced


@implementer(IAgentEndpointFactory)
@frozen
class FencedEndpoints:
    """Where an agent connects to, behind the fence; TLS is outside of it, so that what is encrypted is kept in too."""

    _reactor: IReactorTime
    _policy: IPolicyForHTTPS
    _fence: Fence

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        endpoint: IStreamClientEndpoint = _Fenced(HostnameEndpoint(self._reactor, uri.host, uri.port), self._fence)
        if uri.scheme != b"https":
            return endpoint
        tls: IStreamClientEndpoint = wrapClientTLS(self._policy.creatorForNetloc(uri.host, uri.port), endpoint)
        return tls
