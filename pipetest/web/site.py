"""The web site as a whole: every connection that is accepted is handed to it."""

import os
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from http import HTTPStatus

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.logger import Logger
from twisted.web.resource import IResource
from twisted.web.server import Site

from pipetest.config.parsers import Network
from pipetest.domain.interfaces import Controls, Store, Time
from pipetest.domain.model import Secret
from pipetest.domain.status import QueriedUser, Status
from pipetest.web.admin import AdminRoutes
from pipetest.web.connection import ARRIVAL_S, DEFAULT_HEADERS, HSTS_HEADER, Channel
from pipetest.web.connection_limit import MAX_CONNECTIONS, Connections
from pipetest.web.gists import GistRoutes
from pipetest.web.hosts import LoopbackHosts
from pipetest.web.openapi import self_describing
from pipetest.web.request import ApiRequest
from pipetest.web.routing import Route, make_app, not_found
from pipetest.web.status import StatusRoutes

log = Logger()  # as a class attribute it would be made anew at each use


class WebSite(Site):
    """Twisted's, with our bounds, and instead of an access log a debug line for each request that is refused."""

    def __init__(
        self,
        resource: IResource,
        clock: IReactorTime,
        trusted_proxies: Sequence[Network],
        hosts: LoopbackHosts,
        connections: Connections,
    ) -> None:
        make_request = partial(ApiRequest, trusted_proxies=trusted_proxies, hosts=hosts)
        super().__init__(resource, make_request, timeout=ARRIVAL_S, reactor=clock, parsePOSTFormSubmission=False)
        self._default_headers = DEFAULT_HEADERS
        self._hosts = hosts
        self._connections = connections

    def listens_at(self, address: IAddress) -> None:
        """Whoever may connect there decides which names may be asked for."""
        self._hosts.listens_at(address)

    def set_tls_only(self, tls_only: bool) -> None:
        """Whether browsers are told to come over TLS from now on: every endpoint that serves the site speaks it."""
        self._default_headers = DEFAULT_HEADERS | HSTS_HEADER if tls_only else DEFAULT_HEADERS

    def protocol(self) -> Channel:  # type: ignore[override]
        """What :meth:`buildProtocol` calls for each connection."""
        return Channel(self._connections, self._default_headers)

    def abort_connections(self) -> None:
        """Hang up on everybody; a session whose answer is cut short does not move on."""
        self._connections.abort_all()

    def acceptableProtocols(self) -> list[bytes]:
        """HTTP/1.1 alone, whatever is installed: only a :class:`Channel` has our bounds."""
        return [b"http/1.1"]

    def startFactory(self) -> None:
        """Do nothing: Twisted's starts a clock for its access log."""

    def log(self, request: ApiRequest) -> None:  # type: ignore[override]
        if request.code >= HTTPStatus.BAD_REQUEST:
            log.debug("{request} answered {status}", request=request.line, status=request.code)


def make_site(
    store: Store,
    scanned_users: Callable[[], Awaitable[Sequence[str]]],
    time: Time,
    clock: IReactorTime,
    session_lifetime_s: float,
    random_bytes: Callable[[int], bytes] = os.urandom,
    *,
    status: Callable[[], Status],
    all_users: Callable[[], Sequence[QueriedUser]],
    controls: Controls,
    admin_token: Secret | None = None,
    trusted_proxies: Sequence[Network] = (),
    hosts: Sequence[str] = (),
    max_connections: int = MAX_CONNECTIONS,
) -> WebSite:
    """The site that answers for this store; ``scanned_users`` tells who is scanned now, ``status`` is called for each
    snapshot, and ``all_users`` where that does not name those whom somebody looks for.

    Without an ``admin_token`` there are no admin routes. ``hosts`` are the names by which it may be asked on loopback.
    """
    gists = GistRoutes(store, scanned_users, time, session_lifetime_s, random_bytes).routes
    admin = None if admin_token is None else AdminRoutes(controls, all_users, admin_token, clock)
    shown = StatusRoutes(store, status, all_users, clock, admin=admin).routes
    closed = () if admin else (Route("POST", "/audit", not_found, "Without an admin token there is none.", {}),)
    app = make_app([*self_describing([*gists, *shown, *(admin.routes if admin else ())]), *closed])
    return WebSite(app.resource(), clock, trusted_proxies, LoopbackHosts(hosts), Connections(max_connections))
