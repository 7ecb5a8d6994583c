"""What the daemon shows of itself, to people and to programs: all of it from one snapshot."""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Annotated

from attrs import field, frozen
from msgspec import Meta
from twisted.internet.interfaces import IReactorTime

from pipetest.domain.status import Status
from pipetest.web import metrics, static
from pipetest.web.events import EventStream
from pipetest.web.page.layout import POLICY, page
from pipetest.web.request import ApiRequest
from pipetest.web.responses import Readiness
from pipetest.web.routes import Parameter, Route

NAMES = Annotated[str, Meta(extra_json_schema={"enum": sorted(static.FILES)})]
FILE = Parameter("name", "path", "the name of the file", NAMES)


@frozen
class StatusRoutes:
    """``controls`` tells whether the page may ask for the admin token."""

    _status: Callable[[], Status]
    _clock: IReactorTime
    _controls: bool = field(kw_only=True)
    _live: EventStream = field(init=False)
    _exposition: metrics.Exposition = field(init=False)

    @_live.default
    def _make_live(self) -> EventStream:
        return EventStream(self._status, self._clock)

    @_exposition.default
    def _make_exposition(self) -> metrics.Exposition:
        return metrics.Exposition(self._status)

    @property
    def routes(self) -> Sequence[Route]:
        ready = "Whether scans end well and deals can be created."
        return (
            Route("GET", "/", self.page, "One page for people.", {200: "text/html"}),
            Route("GET", "/events", self.events, "How its regions change.", {200: "text/event-stream"}),
            Route("GET", "/static/<name>", self.file, "What it is made with.", {200: "*/*"}, (FILE,)),
            Route("GET", "/ready", self.ready, ready, {200: Readiness, 503: Readiness}),
            Route("GET", "/status", self.status, "All there is to know.", {200: Status}),
            Route("GET", "/metrics", self.metrics, "The same for Prometheus.", {200: "text/plain"}),
        )

    async def page(self, visit: ApiRequest) -> bytes:
        visit.setHeader("Content-Security-Policy", POLICY)
        body = await page(self._status(), controls=self._controls)
        return visit.whole(HTTPStatus.OK, "text/html; charset=utf-8", body)

    async def events(self, visit: ApiRequest) -> bytes:
        await self._live.follow(visit)
        return b""

    async def file(self, visit: ApiRequest, name: str) -> bytes:
        return static.answer(visit, name)

    async def ready(self, visit: ApiRequest) -> bytes:
        reason = self._status().unready
        if reason is None:
            return visit.json(HTTPStatus.OK, Readiness("READY"))
        return visit.json(HTTPStatus.SERVICE_UNAVAILABLE, Readiness("UNREADY", reason))

    async def status(self, visit: ApiRequest) -> bytes:
        return visit.json(HTTPStatus.OK, self._status())

    async def metrics(self, visit: ApiRequest) -> bytes:
        return visit.whole(HTTPStatus.OK, metrics.MEDIA_TYPE, self._exposition.text())
