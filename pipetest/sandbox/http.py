"""A service over HTTP: a thin Klein app that asks the model and acts out its answer."""

from typing import Any

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.web.resource import IResource
from twisted.web.server import Request as WebRequest
from twisted.web.server import Site

from pipetest.domain.model import Reply, Request
from pipetest.sandbox.calls import Lost
from pipetest.sandbox.holds import Holds
from pipetest.sandbox.service import Service


class Web:
    """Serves every path of one service."""

    app = Klein()

    def __init__(self, service: Service, clock: IReactorTime, holds: Holds) -> None:
        self._service = service
        self._clock = clock
        self._holds = holds

    @app.route("/", branch=True)
    async def serve(self, request: WebRequest) -> bytes:
        answer = self._service.handle(_asked(request))
        if answer.delay > 0.0:
            await deferLater(self._clock, answer.delay)
        if answer.held:
            await self._holds.wait()
        if isinstance(answer.ending, Lost):
            _lose(request, answer.ending)
            return await Deferred[bytes]()  # until the connection ends: Klein cancels this then
        return _told(request, answer.ending)


def resource(service: Service, clock: IReactorTime, holds: Holds) -> IResource:
    resource: IResource = Web(service, clock, holds).app.resource()
    return resource


class QuietSite(Site):
    """Logs no line for each request: the story would drown."""

    displayTracebacks = False

    def log(self, request: Any) -> None:
        pass


def body(request: WebRequest) -> bytes:
    read: bytes = request.content.read() if request.content is not None else b""
    return read


def _asked(request: WebRequest) -> Request:
    headers = {name.decode().lower(): values[-1].decode() for name, values in request.requestHeaders.getAllRawHeaders()}
    url = f"http://{headers.get('host', 'localhost')}{request.uri.decode()}"
    return Request(request.method.decode(), url, headers, body(request) or None)


def _told(request: WebRequest, reply: Reply) -> bytes:
    request.setResponseCode(reply.status)
    for name, value in reply.headers.items():
        request.setHeader(name, value)
    request.setHeader("content-length", str(len(reply.body)))
    return reply.body


def _lose(request: WebRequest, lost: Lost) -> None:
    """A request has arrived already: a refused connection, too, can only be played by a reset."""
    if lost.how in {"torn", "stalled"}:
        request.setHeader("content-type", "application/json; charset=utf-8")
        request.setHeader("content-length", "4096")
        request.write(b'{"success": true, "data": {')
    if lost.how == "torn":
        request.loseConnection()
    elif not lost.endless:
        transport: Any = request.channel and request.channel.transport
        transport.abortConnection()
