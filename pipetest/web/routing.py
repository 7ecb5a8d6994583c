"""From routes to a Klein app, and from whatever goes wrong in them to JSON."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import cast

from klein import Klein
from twisted.logger import Logger
from twisted.python.failure import Failure
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, ServiceUnavailable

from pipetest.domain.errors import Unavailable
from pipetest.web.outliving import outliving
from pipetest.web.request import ApiRequest
from pipetest.web.routes import Route

log = Logger()


def make_app(routes: Iterable[Route]) -> Klein:
    """Each handler reads, asks and answers; it raises werkzeug's exceptions for what HTTP has a status for."""
    app = Klein()
    app.url_map.strict_slashes = False  # a trailing slash is allowed,
    app.url_map.merge_slashes = False  # and no path is redirected
    for route in routes:
        app.route(route.path, methods=[route.method])(outliving(route.handler))
    app.handle_errors(HTTPException)(_refused)  # type: ignore[arg-type]
    app.handle_errors(Unavailable)(_later)  # type: ignore[arg-type]
    app.handle_errors(Exception)(_failed)  # type: ignore[arg-type]
    return app


def _refused(visit: ApiRequest, failure: Failure) -> bytes:
    error = cast(HTTPException, failure.value)
    detail = error.description or ""
    match error:
        case MethodNotAllowed(valid_methods=methods):
            allowed = ", ".join(sorted(methods or ()))  # whose order is chance
            visit.setHeader("Allow", allowed)
            detail = f"this path allows {allowed} only"
        case ServiceUnavailable(retry_after=wait):
            visit.setHeader("Retry-After", str(wait))
        case NotFound(description=NotFound.description):
            detail = "there is nothing at this path; /openapi.json tells what there is"
    return visit.problem(error.code or HTTPStatus.INTERNAL_SERVER_ERROR, detail)


def _later(visit: ApiRequest, _: Failure) -> bytes:
    """The database cannot be asked: /health says why, and it is no fault of this request."""
    visit.setHeader("Retry-After", "1")
    return _told(visit, HTTPStatus.SERVICE_UNAVAILABLE, "the database cannot be asked just now")


def _failed(visit: ApiRequest, failure: Failure) -> bytes:
    log.failure("{request} failed", failure, request=visit.line)
    return _told(visit, HTTPStatus.INTERNAL_SERVER_ERROR, "this failed; the log says why")


def _told(visit: ApiRequest, status: HTTPStatus, detail: str) -> bytes:
    if visit.startedWriting and visit.channel is not None:
        visit.channel.end()  # a cut is the only way left to say that the answer is not whole
        return b""
    return visit.problem(status, detail)
