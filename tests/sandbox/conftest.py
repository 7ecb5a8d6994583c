"""A sandbox on a Clock, and clients whose every exchange is held against the services' descriptions."""

from collections.abc import Mapping
from random import Random
from typing import Any

import msgspec
import pytest
from attrs import frozen
from twisted.internet.task import Clock

from pipetest.domain.model import Reply, Request
from pipetest.sandbox.service import Service
from pipetest.sandbox.world import KEY, World
from tests.openapi import check_reply, check_request

NOON_AT = 1_795_435_200.0
"""2026-11-23, 12:00 UTC."""


@frozen
class Client:
    """Asks a service; ``wrong`` are requests that break its description on purpose."""

    _service: Service
    _root: str
    _headers: Mapping[str, str]

    def get(self, path: str, headers: Mapping[str, str] | None = None, *, wrong: bool = False) -> Reply:
        url = path if path.startswith("https:") else self._root + path
        return self._ask(Request("GET", url, {**self._headers, **(headers or {})}), wrong=wrong)

    def post(self, path: str, body: object, headers: Mapping[str, str] | None = None, *, wrong: bool = False) -> Reply:
        content = {"content-type": "application/json"}
        every = {**self._headers, **content, **(headers or {})}
        return self._ask(Request("POST", self._root + path, every, msgspec.json.encode(body)), wrong=wrong)

    def _ask(self, request: Request, *, wrong: bool) -> Reply:
        ending = self._service.handle(request).ending
        assert isinstance(ending, Reply)
        if not wrong:
            check_request(request)
        check_reply(request, ending)
        return ending


def json(reply: Reply) -> Any:
    return msgspec.json.decode(reply.body)


def data(client: Client, path: str) -> Any:
    return json(client.get(path))["data"]


def ids(client: Client, path: str) -> list[int]:
    return [row["id"] for row in data(client, path)]


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.advance(NOON_AT)
    return clock


@pytest.fixture
def world(clock: Clock) -> World:
    return World(clock.seconds, Random(1), tokens={"good-token": "reader"})


@pytest.fixture
def github(world: World) -> Client:
    return Client(world.github, "https://api.github.com", {"user-agent": "test"})


@pytest.fixture
def pipedrive(world: World) -> Client:
    return Client(world.pipedrive, "https://test.pipedrive.com", {"x-api-token": KEY})
