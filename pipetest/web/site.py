"""The web site as a whole: what listens hands its connections to this."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.resource import IResource
from twisted.web.server import Site

from pipetest.domain.interfaces import Store, Time
from pipetest.domain.model import Secret
from pipetest.domain.status import Status
from pipetest.web.admin import AdminRoutes, Operations
from pipetest.web.connection import ARRIVAL_S, HEADERS, STRICT, Channel
from pipetest.web.connections import MOST, Connections
from pipetest.web.gists import GistRoutes
from pipetest.web.openapi import self_describing
from pipetest.web.request import ApiRequest, Network
from pipetest.web.routing import make_app
from pipetest.web.status import StatusRoutes

log = Logger()  # as a class attribute it would be made anew at each use


class WebSite(Site):
    """Twisted's, with our bounds, and a line at level debug for what is refused instead of an access log."""

    def __init__(
        self,
        resource: IResource,
        clock: IReactorTime,
        trusted_proxies: Sequence[Network],
        headers: Mapping[bytes, Sequence[bytes]],
        connections: Connections,
    ) -> None:
        visit = partial(ApiRequest, trusted_proxies=trusted_proxies)
        super().__init__(resource, visit, timeout=ARRIVAL_S, reactor=clock, parsePOSTFormSubmission=False)
        self._headers = headers
        self._connections = connections

    def protocol(self) -> Channel:  # type: ignore[override]
        """What :meth:`buildProtocol` calls for each connection."""
        return Channel(self._connections, self._headers)

    def end_connections(self) -> None:
        """Hang up on everybody; an answer cut short counts as not shown."""
        self._connections.end_all()

    def acceptableProtocols(self) -> list[bytes]:
        """HTTP/1.1 alone, whatever is installed: the bounds are those of a :class:`Channel`."""
        return [b"http/1.1"]

    def startFactory(self) -> None:
        """Nothing to start: Twisted's would keep a clock for its access log."""

    def log(self, request: ApiRequest) -> None:  # type: ignore[override]
        if request.code >= HTTPStatus.BAD_REQUEST:
            log.debug("{request} answered {status}", request=request.line, status=request.code)


def make_site(
    store: Store,
    users: Sequence[str],
    time: Time,
    clock: IReactorTime,
    session_lifetime_s: float,
    random_bytes: Callable[[int], bytes] = os.urandom,
    *,
    status: Callable[[], Status],
    operations: Operations,
    admin_token: Secret | None = None,
    trusted_proxies: Sequence[Network] = (),
    tls_only: bool = False,
    most_connections: int = MOST,
) -> WebSite:
    """The site that answers for this store; ``users`` are the queried ones, ``status`` is asked for each snapshot.

    ``operations`` are open to who has the ``admin_token``; without one there are none. ``tls_only`` tells browsers to
    come over TLS from now on, so it has to hold for every endpoint that the site is served on.
    """
    visitors = GistRoutes(store, users, time, session_lifetime_s, random_bytes)
    face = StatusRoutes(status, clock, controls=admin_token is not None)
    controls = () if admin_token is None else AdminRoutes(operations, admin_token).routes
    app = make_app(self_describing([*visitors.routes, *face.routes, *controls]))
    headers = HEADERS | STRICT if tls_only else HEADERS
    return WebSite(app.resource(), clock, trusted_proxies, headers, Connections(most_connections))
