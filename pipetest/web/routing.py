"""Routes, the Klein app made from them, and the JSON that answers whatever goes wrong in their handlers."""

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from functools import wraps
from http import HTTPStatus
from typing import Any, Literal, ParamSpec, cast

from klein import Klein
from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, ServiceUnavailable, TooManyRequests

from pipetest.domain.errors import Unavailable
from pipetest.web.request import ApiRequest

P = ParamSpec("P")
Body = Coroutine["Deferred[Any]", Any, bytes]

log = Logger()


class Parameter(Struct, frozen=True):
    """What a request may pass; ``type`` as msgspec reads it."""

    name: str
    where: Literal["path", "query", "cookie"]
    meaning: str
    type: Any = str


class Route(Struct, frozen=True):
    """GET answers HEAD too. The handler gets the request, then by name what the path has in angle brackets.

    ``answers`` are by status: types where the body is JSON, else media types. Any route may answer with a problem
    besides. ``admin``: only with the admin token.
    """

    method: str
    path: str
    handler: Callable[..., Body]
    summary: str
    answers: Mapping[int, Any]
    parameters: Sequence[Parameter] = ()
    admin: bool = False


def make_app(routes: Iterable[Route]) -> Klein:
    """Handlers raise werkzeug's exceptions for what HTTP has a status for."""
    app = Klein()
    app.url_map.strict_slashes = False  # a trailing slash is allowed,
    app.url_map.merge_slashes = False  # and no path is redirected
    for route in routes:
        app.route(route.path, methods=[route.method])(shielded(route.handler))
    app.handle_errors(HTTPException)(_refused)  # type: ignore[arg-type]
    app.handle_errors(Unavailable)(_unavailable)  # type: ignore[arg-type]
    app.handle_errors(Exception)(_failed)  # type: ignore[arg-type]
    return app


async def not_found(request: ApiRequest) -> bytes:
    """For a method that is closed, of a path that has another."""
    raise NotFound


def shielded(handler: Callable[P, Body]) -> "Callable[P, Deferred[bytes]]":
    """Let a handler run to its end. When a client hangs up, Klein cancels what the handler awaits, and that may be a
    commit which others await too; so Klein gets a Deferred of its own to cancel."""

    @wraps(handler)
    def start(*args: P.args, **kwargs: P.kwargs) -> "Deferred[bytes]":
        answer: Deferred[bytes] = Deferred()
        Deferred.fromCoroutine(handler(*args, **kwargs)).chainDeferred(answer)
        return answer

    return start


def _refused(request: ApiRequest, failure: Failure) -> bytes:
    error = cast(HTTPException, failure.value)
    detail = error.description or ""
    match error:
        case MethodNotAllowed(valid_methods=methods):
            allowed = ", ".join(sorted(methods or ()))  # werkzeug's order differs from run to run
            request.setHeader("Allow", allowed)
            detail = f"this path allows {allowed} only"
        case ServiceUnavailable(retry_after=wait) | TooManyRequests(retry_after=wait):
            request.setHeader("Retry-After", str(wait))
        case NotFound(description=NotFound.description):
            detail = "there is nothing at this path; /openapi.json tells what there is"
    return request.problem(error.code or HTTPStatus.INTERNAL_SERVER_ERROR, detail)


def _unavailable(request: ApiRequest, _: Failure) -> bytes:
    """Not logged: /health says why the database cannot be asked, and it is no fault of this request."""
    request.setHeader("Retry-After", "1")
    return _answer_or_abort(request, HTTPStatus.SERVICE_UNAVAILABLE, "the database cannot be asked just now")


def _failed(request: ApiRequest, failure: Failure) -> bytes:
    log.failure("{request} failed", failure, event="request_failed", request=request.line)
    return _answer_or_abort(request, HTTPStatus.INTERNAL_SERVER_ERROR, "this failed; the log says why")


def _answer_or_abort(request: ApiRequest, status: HTTPStatus, detail: str) -> bytes:
    if request.startedWriting and request.channel is not None:
        request.channel.abort()  # the only way left to say that the answer is not whole
        return b""
    return request.problem(status, detail)
