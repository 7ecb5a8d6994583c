"""Where the site listens: every endpoint at once, or not at all."""

from collections.abc import Mapping
from typing import Any, cast

from twisted.internet.defer import gatherResults, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IListeningPort,
    IOpenSSLContextFactory,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from pipetest.web.site import WebSite

DRAIN_S = 0.2
"""A request on an accepted connection is read and answered within so long, unless its answer is a big one."""


class WebServer:
    """``endpoints`` by their descriptions, all serving the same ``site``."""

    _log = Logger()

    def __init__(self, endpoints: Mapping[str, IStreamServerEndpoint], site: WebSite, clock: IReactorTime) -> None:
        self._endpoints = endpoints
        self._site = site
        self._clock = clock
        self._ports: dict[str, IListeningPort] = {}

    def listen(self) -> None:
        """Listen on all of them before this returns.

        :raises SystemExit: on one of them it cannot; the text names it.
        """
        for description, endpoint in self._endpoints.items():
            self._listen(description, endpoint)
            self._log.info("answering on {endpoint}", endpoint=description)

    def renew(self, certificates: Mapping[str, IOpenSSLContextFactory]) -> None:
        """Present these, by the descriptions of the endpoints, to whoever connects from now on.

        The sockets stay: whoever waited in the queue of one that is closed would be turned away.
        """
        for description, certificate in certificates.items():
            cast(Any, self._ports[description]).factory = TLSMemoryBIOFactory(certificate, False, self._site)

    def _listen(self, description: str, endpoint: IStreamServerEndpoint) -> None:
        ports: list[IListeningPort] = []
        failures: list[Failure] = []
        endpoint.listen(self._site).addCallbacks(ports.append, failures.append)
        for failure in failures:
            raise SystemExit(f"pipetest: cannot listen on {description}: {_reason(failure)}")
        self._ports[description] = ports[0]

    async def close(self) -> None:
        """Stop listening, answer what has arrived already, and end the connections that are still open."""
        stopping = [maybeDeferred(port.stopListening) for port in self._ports.values()]
        await gatherResults(stopping, consumeErrors=True)
        await deferLater(self._clock, DRAIN_S)
        self._site.end_connections()


def _reason(failure: Failure) -> object:
    if isinstance(failure.value, CannotListenError):
        return getattr(failure.value.socketError, "strerror", None) or failure.value.socketError
    return failure.value
