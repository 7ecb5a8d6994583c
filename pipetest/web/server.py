"""Listens: on every endpoint at once, or not at all."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from socket import AF_UNIX, socket

from twisted.internet.defer import gatherResults, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorTime, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.protocols.policies import WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from pipetest.web.listen import refusal
from pipetest.web.site import WebSite
from pipetest.web.tls import TlsFactory

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

        :raises SystemExit: one of them cannot be listened on; the text names it.
        """
        for description, endpoint in self._endpoints.items():
            self._listen(description, endpoint)
        self._site.set_tls_only(all(_tls_of(port) is not None for port in self._ports.values()))

    def announce(self) -> None:
        """Say where answers are to be had from now on."""
        for description in self._endpoints:
            self._log.info("answering on {endpoint}", event="listening", endpoint=description)

    def _listen(self, description: str, endpoint: IStreamServerEndpoint) -> None:
        ports: list[IListeningPort] = []
        failures: list[Failure] = []
        endpoint.listen(self._site).addCallbacks(ports.append, failures.append)
        if failures and _remove_stale_lock(failures[0].value):
            failures.clear()
            endpoint.listen(self._site).addCallbacks(ports.append, failures.append)
        for failure in failures:
            reason, remedy = refusal(description, failure.value)
            raise SystemExit(f"pipetest: {reason}: {remedy}")
        (port,) = ports
        if not isinstance(_tls_of(port), TlsFactory | None):
            raise SystemExit(f"pipetest: cannot listen on {description}: expected TLS as ssl: or tls: has it")
        self._ports[description] = port
        self._site.listens_at(port.getHost())

    def read_certificates(self) -> Callable[[], None]:
        """Read all of them again. What this returns presents them on every connection from then on; the sockets stay
        open, as closing one would turn away whoever waits in its queue.

        :raises ConfigError: one of them cannot be used.
        """
        layers = map(_tls_of, self._ports.values())
        present = [layer.tls.read() for layer in layers if isinstance(layer, TlsFactory)]

        def present_all() -> None:
            for each in present:
                each()

        return present_all

    async def close(self) -> None:
        """Stop listening, answer what has arrived already, and end the connections that are still open."""
        stopping = [maybeDeferred(port.stopListening) for port in self._ports.values()]
        await gatherResults(stopping, consumeErrors=True)
        await deferLater(self._clock, DRAIN_S)
        self._site.abort_connections()


def _remove_stale_lock(error: object) -> bool:
    """Whether a UNIX socket was refused for the lock of a process that was killed, which is removed.

    Twisted believes the lock while any process has the killed one's number: in a container, always we have it.
    """
    if not (isinstance(error, CannotListenError) and isinstance(error.port, str)):
        return False
    lock = Path(f"{error.port}.lock")
    with socket(AF_UNIX) as client, suppress(OSError):
        client.settimeout(1.0)
        try:
            client.connect(error.port)
        except (ConnectionRefusedError, FileNotFoundError):
            lock.unlink()
            return True
    return False


def _tls_of(port: IListeningPort) -> TLSMemoryBIOFactory | None:
    """The TLS layer of what accepts its connections."""
    factory: Factory | None = getattr(port, "factory", None)
    while isinstance(factory, WrappingFactory):
        if isinstance(factory, TLSMemoryBIOFactory):
            return factory
        factory = factory.wrappedFactory
    return None
