"""Daemons that serve on a port of their own."""

import socket

from benchmarks.support.sandbox import LONGEST_S
from tests.support.processes import Response, ask, until

ASK_EVERY_S = 0.01


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def endpoint(port: int) -> str:
    """For ``PIPETEST_LISTEN``."""
    return f"tcp:{port}:interface=127.0.0.1"


def wait_until_healthy(port: int) -> None:
    """Until ``/health`` is answered there."""
    until(lambda: _response(f"http://127.0.0.1:{port}/health"), LONGEST_S, ASK_EVERY_S)


def cookie_of_one_who_has_seen_all(url: str) -> str:
    """As a header of the next request for the feed, which is at ``url``."""
    response = ask(url)
    assert response.status == 200, response.status
    return f"Cookie: {response.headers['set-cookie'].partition(';')[0]}"


def _response(url: str) -> Response | None:
    """None while nobody listens."""
    try:
        return ask(url)
    except ConnectionRefusedError:
        return None
