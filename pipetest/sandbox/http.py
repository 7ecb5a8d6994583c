"""A service over HTTP: a thin Klein app that asks the service and does as it has planned."""

from typing import Any

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.web.resource import IResource
from twisted.web.server import Request as WebRequest
from twisted.web.server import Site

from pipetest.domain.model import Reply, Request
from pipetest.sandbox.calls import HeldReplies, LostReply
from pipetest.sandbox.service import Service


class ServiceApp:
    """Serves every path of one service."""

    app = Klein()

    def __init__(self, service: Service, clock: IReactorTime, held_replies: HeldReplies) -> None:
        self._service = service
        self._clock = clock
        self._held_replies = held_replies

    @app.route("/", branch=True)
    async def serve(self, request: WebRequest) -> bytes:
        planned = self._service.handle(_received(request))
        if planned.delay > 0.0:
            await deferLater(self._clock, planned.delay)
        if planned.held:
            await self._held_replies.wait()
        if isinstance(planned.ending, LostReply):
            _lose(request, planned.ending)
            return await Deferred[bytes]()  # until the connection ends: Klein cancels this then
        return _written(request, planned.ending)


def resource(service: Service, clock: IReactorTime, held_replies: HeldReplies) -> IResource:
    made: IResource = ServiceApp(service, clock, held_replies).app.resource()
    return made


class QuietSite(Site):
    """Logs no line for each request: they would hide what people do."""

    displayTracebacks = False

    def log(self, request: Any) -> None:
        pass


def body_of(request: WebRequest) -> bytes:
    read: bytes = request.content.read() if request.content is not None else b""
    return read


def _received(request: WebRequest) -> Request:
    """What is no text in it counts as U+FFFD."""
    raw = request.requestHeaders.getAllRawHeaders()
    headers = {name.decode().lower(): values[-1].decode(errors="replace") for name, values in raw}
    url = f"http://{headers.get('host', 'localhost')}{request.uri.decode(errors='replace')}"
    return Request(request.method.decode(), url, headers, body_of(request) or None)


def _written(request: WebRequest, reply: Reply) -> bytes:
    """The reply's body, once its status and headers are set. A header of several lines is as many headers."""
    request.setResponseCode(reply.status)
    for name, value in reply.headers.items():
        request.responseHeaders.setRawHeaders(name, value.split("\n"))
    request.setHeader("content-length", str(len(reply.body)))
    return reply.body


def _lose(request: WebRequest, lost: LostReply) -> None:
    """The request is here, so its connection can no longer be refused: that is a reset, too."""
    if lost.how in {"torn", "stalled"}:
        request.setHeader("content-type", "application/json; charset=utf-8")
        request.setHeader("content-length", "4096")
        request.write(b'{"success": true, "data": {')
    if lost.how == "torn":
        request.loseConnection()
    elif not lost.hangs:
        transport: Any = request.channel and request.channel.transport
        transport.abortConnection()
