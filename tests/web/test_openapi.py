"""/openapi.json is valid, has every route, and every answer is as it says."""

import json
from typing import Any

import pytest
import pytest_twisted
from openapi_core import Config, OpenAPI
from openapi_core.testing import MockRequest, MockResponse
from openapi_spec_validator import OpenAPIV31SpecValidator

from pipetest.web.openapi import document
from pipetest.web.responses import Problem
from pipetest.web.routing import Route
from tests.support.web.client import Answer, Client
from tests.support.web.sample import QUIET, WITH_PROBLEMS
from tests.support.web.serving import TOKEN
from tests.support.web.stub_daemon import StubDaemon

ADMIN = f"Authorization: Bearer {TOKEN}"
GIST = WITH_PROBLEMS.quarantine[0].id
ENDLESS = "/events"


async def description_of(client: Client) -> Any:
    return (await client.ask("GET /openapi.json HTTP/1.1")).json()


def validator(description: Any) -> OpenAPI:
    config = Config(extra_media_type_deserializers={Problem.MEDIA_TYPE: json.loads})
    return OpenAPI.from_dict({**description, "servers": [{"url": "http://pipetest"}]}, config=config)


def check(api: OpenAPI, method: str, target: str, answer: Answer) -> None:
    """
    :raises OpenAPIError: the answer is not as described.
    """
    path = target.partition("?")[0]
    request = MockRequest("http://pipetest", method.lower(), path)
    media_type = answer.headers["content-type"].partition(";")[0]
    api.validate_response(request, MockResponse(answer.body, answer.status, content_type=media_type))


@pytest_twisted.ensureDeferred
async def test_the_description_is_a_valid_one(client: Client) -> None:
    assert list(OpenAPIV31SpecValidator(await description_of(client)).iter_errors()) == []


@pytest_twisted.ensureDeferred
async def test_it_has_every_path(client: Client) -> None:
    assert set((await description_of(client))["paths"]) == {
        "/", "/events", "/static/{name}", "/health", "/ready", "/status", "/audit", "/metrics", "/openapi.json",
        "/getAllScannedUsers", "/getCurrentlyScannedUsers", "/getGists",
        "/admin", "/scan", "/pause", "/resume", "/users/{user}/backfill",
        "/quarantine/retry", "/quarantine/{gist}/retry",
    }  # fmt: skip


@pytest.mark.parametrize("status", [QUIET, WITH_PROBLEMS], ids=["quiet", "with problems"])
@pytest_twisted.ensureDeferred
async def test_every_answer_is_as_described(client: Client, stub_daemon: StubDaemon, status: Any) -> None:
    stub_daemon.status = status
    description = await description_of(client)
    api = validator(description)
    for path, item in description["paths"].items():
        for method in item:
            if path != ENDLESS:
                target = path.format(name="page.css", gist=GIST, user="torvalds")
                for header in (ADMIN, "X: y"):
                    check(api, method, target, await client.ask(f"{method.upper()} {target} HTTP/1.1\n{header}"))


@pytest.mark.parametrize("target", ["/getGists?limit=2", "/getGists?limit=0", "/static/nothing"])
@pytest_twisted.ensureDeferred
async def test_answers_to_particular_requests_are_as_described(client: Client, target: str) -> None:
    check(validator(await description_of(client)), "GET", target, await client.ask(f"GET {target} HTTP/1.1"))


def test_what_a_path_has_in_angle_brackets_is_described_in_braces() -> None:
    async def handler(_: object) -> bytes:
        return b""

    description = document("1", [Route("GET", "/a/<name>/b", handler, "…", {200: "text/plain"})])
    assert list(description["paths"]) == ["/a/{name}/b"]
