"""A client of the sandbox whose every request and reply is checked against the services' descriptions."""

from collections.abc import Mapping
from typing import Any

import msgspec

from pipetest.domain.model import Reply, Request
from pipetest.sandbox.service import Service
from tests.openapi import check_reply, check_request

NOON_AT = 1_795_435_200.0
"""2026-11-23, 12:00 UTC."""


class Client:
    """Sends requests to a service; ``wrong`` are those that contradict its description on purpose."""

    def __init__(self, service: Service, root: str, headers: Mapping[str, str]) -> None:
        self._service = service
        self._root = root
        self._headers = headers

    def get(self, path: str, headers: Mapping[str, str] | None = None, *, wrong: bool = False) -> Reply:
        url = path if path.startswith("https:") else self._root + path
        return self._ask(Request("GET", url, {**self._headers, **(headers or {})}), wrong=wrong)

    def post(self, path: str, body: object, headers: Mapping[str, str] | None = None, *, wrong: bool = False) -> Reply:
        return self._send("POST", path, body, headers, wrong=wrong)

    def patch(self, path: str, body: object, *, wrong: bool = False) -> Reply:
        return self._send("PATCH", path, body, None, wrong=wrong)

    def _send(self, method: str, path: str, body: object, headers: Mapping[str, str] | None, *, wrong: bool) -> Reply:
        every = {**self._headers, "content-type": "application/json", **(headers or {})}
        return self._ask(Request(method, self._root + path, every, msgspec.json.encode(body)), wrong=wrong)

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
