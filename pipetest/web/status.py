"""How the daemon is, for people and for programs."""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Annotated

from msgspec import Meta
from twisted.internet.interfaces import IReactorTime

from pipetest.domain.interfaces import Store
from pipetest.domain.status import AuditState, QueriedUser, Status
from pipetest.web import metrics
from pipetest.web.admin import AdminRoutes
from pipetest.web.events import EventStream
from pipetest.web.page import files
from pipetest.web.page.layout import POLICY, page
from pipetest.web.page.users import LONGEST_SEARCH, SORTS, choice_of
from pipetest.web.request import ApiRequest
from pipetest.web.responses import Health, Readiness
from pipetest.web.routing import Parameter, Route

FILE_NAME = Annotated[str, Meta(extra_json_schema={"enum": sorted(files.FILES)})]
USERS = (  # a page for people: what makes no sense counts as not chosen, so each may be any text
    Parameter("user", "query", f"a part of the name of the users shown, {LONGEST_SEARCH} characters of it at most"),
    Parameter("sort", "query", f"their order: {', '.join(SORTS)}"),
    Parameter("page", "query", "which fifty of them, from 1 on"),
)
FILE = Parameter("name", "path", "the name of the file", FILE_NAME)


class StatusRoutes:
    """``admin``: what the page may ask for the admin token, if anything."""

    def __init__(
        self,
        store: Store,
        status: Callable[[], Status],
        all_users: Callable[[], Sequence[QueriedUser]],
        clock: IReactorTime,
        *,
        admin: AdminRoutes | None,
    ) -> None:
        self._store = store
        self._status = status
        self._all_users = all_users
        self._admin = admin is not None
        self._events = EventStream(status, clock)
        self._exposition = metrics.Exposition(status, lambda: 0 if admin is None else admin.refused)

    @property
    def routes(self) -> Sequence[Route]:
        ready = "Whether scans end well and deals can be created."
        return (
            Route("GET", "/", self.page, "One page for people.", {200: "text/html"}, USERS),
            Route("GET", "/events", self.events, "How its regions change.", {200: "text/event-stream"}),
            Route("GET", "/static/<name>", self.file, "What it is made with.", {200: "*/*"}, (FILE,)),
            Route("GET", "/health", self.health, "Whether the database can be written.", {200: Health, 503: Health}),
            Route("GET", "/ready", self.ready, ready, {200: Readiness, 503: Readiness}),
            Route("GET", "/status", self.status, "All there is to know.", {200: Status}),
            Route("GET", "/audit", self.audit, "What the last audit found.", {200: AuditState}),
            Route("GET", "/metrics", self.metrics, "The same for Prometheus.", {200: "text/plain"}),
        )

    async def page(self, request: ApiRequest) -> bytes:
        request.setHeader("Content-Security-Policy", POLICY)
        status, choice = self._status(), choice_of(request.args or {})
        users = self._all_users() if choice.made else None
        body = page(status, admin=self._admin, choice=choice, users=users)
        return request.whole(HTTPStatus.OK, "text/html; charset=utf-8", body)

    async def events(self, request: ApiRequest) -> bytes:
        await self._events.follow(request)
        return b""

    async def file(self, request: ApiRequest, name: str) -> bytes:
        return files.answer(request, name)

    async def health(self, request: ApiRequest) -> bytes:
        """From the store itself, not from a status: this is asked every few seconds."""
        problem = self._store.problem
        if problem is None:
            return request.json(HTTPStatus.OK, Health("UP"))
        return request.json(HTTPStatus.SERVICE_UNAVAILABLE, Health("DOWN", problem))

    async def ready(self, request: ApiRequest) -> bytes:
        reason = self._status().unready
        if reason is None:
            return request.json(HTTPStatus.OK, Readiness("READY"))
        return request.json(HTTPStatus.SERVICE_UNAVAILABLE, Readiness("UNREADY", reason))

    async def status(self, request: ApiRequest) -> bytes:
        return request.json(HTTPStatus.OK, self._status())

    async def audit(self, request: ApiRequest) -> bytes:
        return request.json(HTTPStatus.OK, self._status().audit)

    async def metrics(self, request: ApiRequest) -> bytes:
        return request.whole(HTTPStatus.OK, metrics.MEDIA_TYPE, self._exposition.text())
