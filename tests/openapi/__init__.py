"""Checks requests and replies against the services' OpenAPI descriptions, with openapi-core.

``check`` takes a request with its reply; ``check_request`` and ``check_reply`` check one of the two.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import msgspec
from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.exceptions import OpenAPIError
from werkzeug.datastructures import Headers, ImmutableMultiDict

from pipetest.domain.model import Reply, Request

_HOSTS = {"github": "https://api.github.com", "pipedrive": "https://api.pipedrive.com"}


class _OpenApiRequest:
    """A request as openapi-core takes it, sent to the host that the description names."""

    def __init__(self, request: Request, service: str) -> None:
        url = urlsplit(request.url)
        self.host_url = _HOSTS[service]
        self.path = url.path
        self.method = request.method.lower()
        self.body = request.body
        self.content_type = request.headers.get("content-type", "")
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(parse_qsl(url.query, keep_blank_values=True)),
            header=Headers(dict(request.headers)),
        )


class _OpenApiResponse:
    """A reply as openapi-core takes it."""

    def __init__(self, reply: Reply) -> None:
        self.status_code = reply.status
        self.headers = Headers(dict(reply.headers))
        self.content_type = reply.headers.get("content-type", "")
        self.data = reply.body


def check(request: Request, reply: Reply) -> None:
    """:raises AssertionError: one of the two contradicts the description."""
    check_request(request)
    check_reply(request, reply)


def check_request(request: Request) -> None:
    service = _service(request)
    try:
        _openapi(service).validate_request(_OpenApiRequest(request, service))
    except OpenAPIError as e:
        raise AssertionError(f"{request.method} {request.url} contradicts the description: {_reason(e)}") from e
    url = urlsplit(request.url)
    unknown = set(parse_qs(url.query, keep_blank_values=True)) - _query_parameters(service, request.method, url.path)
    assert not unknown, f"{request.url} has parameters that the description does not know: {sorted(unknown)}"


def check_reply(request: Request, reply: Reply) -> None:
    service = _service(request)
    try:
        _openapi(service).validate_response(_OpenApiRequest(request, service), _OpenApiResponse(reply))
    except OpenAPIError as e:
        answered = f"the {reply.status} for {request.method} {request.url}"
        raise AssertionError(f"{answered} contradicts the description: {_reason(e)}") from e


def _service(request: Request) -> str:
    return "pipedrive" if urlsplit(request.url).path.startswith("/api/") else "github"


@cache
def description(service: str) -> dict[str, Any]:
    """The OpenAPI file of ``github`` or ``pipedrive``."""
    whole: dict[str, Any] = msgspec.json.decode(Path(__file__).with_name(f"{service}.json").read_bytes())
    return whole


@cache
def _openapi(service: str) -> OpenAPI:
    return OpenAPI.from_dict(description(service))


def _query_parameters(service: str, method: str, path: str) -> set[str]:
    """The names that the query may have. OpenAPI allows any others, too; the services do not."""
    paths = description(service)["paths"]
    fitting = [known for known in paths if re.fullmatch(re.sub(r"{\w+}", "[^/]+", known), path)]
    operation = paths[min(fitting, key=lambda known: known.count("{"))][method.lower()]
    shared = description(service)["components"].get("parameters", {})
    parameters = [shared[p["$ref"].rpartition("/")[2]] if "$ref" in p else p for p in operation.get("parameters", [])]
    return {parameter["name"] for parameter in parameters if parameter["in"] == "query"}


def _reason(error: BaseException) -> str:
    """What openapi-core found. It keeps the schema's own words in the causes of its error."""
    found = [str(error)]
    cause = error.__cause__
    while cause is not None:
        found += [str(cause), *(schema_error.message for schema_error in getattr(cause, "schema_errors", ()))]
        cause = cause.__cause__
    return "; ".join(dict.fromkeys(found))
