"""The description of the API for programs: OpenAPI 3.1 (spec.openapis.org/oas/v3.1.0), made from the routes."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from msgspec.json import schema_components

from pipetest.web.request import ApiRequest
from pipetest.web.responses import Problem
from pipetest.web.routing import Parameter, Route

Json = dict[str, Any]
Schemas = Mapping[Any, Json]

_PROBLEM = {"$ref": "#/components/responses/Problem"}


def self_describing(routes: Sequence[Route]) -> Sequence[Route]:
    """These routes, and one more that describes all of them."""

    async def openapi(request: ApiRequest) -> bytes:
        return request.json(HTTPStatus.OK, description)

    routes = [*routes, Route("GET", "/openapi.json", openapi, "This description.", {200: dict[str, Any]})]
    description = document(version("pipetest"), routes)
    return routes


def document(release: str, routes: Sequence[Route]) -> Json:
    """The description of an API that has these routes."""
    schemas, components = _schemas(routes)
    paths: Json = {}
    for route in routes:
        item = paths.setdefault(re.sub(r"<(\w+)>", r"{\1}", route.path), {})
        item[route.method.lower()] = _operation(route, schemas)
    problem = {
        "description": "What is wrong, as RFC 9457 has it.",
        "content": _json(schemas[Problem], Problem.MEDIA_TYPE),
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "pipetest",
            "version": release,
            "summary": "Every public gist of the followed GitHub users becomes a deal in Pipedrive.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {"Problem": problem},
            "securitySchemes": {"admin": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schemas(routes: Sequence[Route]) -> tuple[Schemas, Json]:
    """The schema of each type that the routes take or answer, and the components that these refer to."""
    types: list[Any] = [Problem]
    for route in routes:
        types += [parameter.type for parameter in route.parameters]
        types += [answer for answer in route.answers.values() if not isinstance(answer, str)]
    schemas, components = schema_components(types, ref_template="#/components/schemas/{name}")
    return dict(zip(types, schemas, strict=True)), components


def _operation(route: Route, schemas: Schemas) -> Json:
    responses = {
        str(status): {"description": HTTPStatus(status).phrase, "content": _content(answer, schemas)}
        for status, answer in route.answers.items()
    }
    operation = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "parameters": [_parameter(parameter, schemas) for parameter in route.parameters],
        "responses": {**responses, "default": _PROBLEM},
    }
    return operation | {"security": [{"admin": []}]} if route.admin else operation


def _parameter(parameter: Parameter, schemas: Schemas) -> Json:
    return {
        "name": parameter.name,
        "in": parameter.where,
        "required": parameter.where == "path",
        "description": parameter.meaning,
        "schema": schemas[parameter.type],
    }


def _content(answer: Any, schemas: Schemas) -> Json:
    return {answer: {}} if isinstance(answer, str) else _json(schemas[answer])


def _json(schema: Json, media_type: str = "application/json") -> Json:
    return {media_type: {"schema": schema}}
