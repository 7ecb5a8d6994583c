"""The page's changes: what is sent to whom, and when."""

import re
from typing import Any

import msgspec
import pytest_twisted
from msgspec.structs import replace
from twisted.internet.task import Clock

from pipetest.domain.status import Scan
from pipetest.web.events import EVERY_S, KEEP_ALIVE_S, MAX_VIEWERS
from pipetest.web.page.layout import REGIONS
from tests.support.web.client import Client
from tests.support.web.sample import QUIET
from tests.support.web.serving import Connect, until
from tests.support.web.stub_daemon import StubDaemon


def events(client: Client) -> list[dict[str, Any]]:
    return [msgspec.json.decode(data) for data in re.findall(rb"data: (.*)\n\n", client.unread)]


async def follow(client: Client) -> None:
    client.send("GET /events HTTP/1.1")
    await until(lambda: len(events(client)) == 1)


@pytest_twisted.ensureDeferred
async def test_a_new_viewer_is_sent_every_region(client: Client) -> None:
    await follow(client)
    assert b"Content-Type: text/event-stream\r\n" in client.unread
    assert list(events(client)[0]) == list(REGIONS)


@pytest_twisted.ensureDeferred
async def test_from_then_on_only_what_has_changed_is_sent(
    client: Client, stub_daemon: StubDaemon, clock: Clock
) -> None:
    await follow(client)
    stub_daemon.status = replace(QUIET, scan=Scan(under_way=True, started_at=1.0, users=9, visited=3))
    clock.advance(EVERY_S)
    await until(lambda: len(events(client)) == 2)
    assert list(events(client)[1]) == ["figures"]
    assert "3 <small>of 9</small>" in events(client)[1]["figures"]


@pytest_twisted.ensureDeferred
async def test_something_is_sent_now_and_then_even_if_nothing_changes(client: Client, clock: Clock) -> None:
    await follow(client)
    clock.pump([EVERY_S] * int(KEEP_ALIVE_S / EVERY_S))
    await until(lambda: len(events(client)) == 2)
    assert events(client)[1] == {}


@pytest_twisted.ensureDeferred
async def test_too_many_viewers_are_refused_until_one_leaves(connect: Connect, clock: Clock) -> None:
    viewers = [await connect() for _ in range(MAX_VIEWERS)]
    for viewer in viewers:
        await follow(viewer)
    late = await connect()
    refused = await late.ask("GET /events HTTP/1.1")
    assert (refused.status, refused.headers["retry-after"]) == (503, "60")
    await viewers[0].hang_up()
    await late.ask("GET /health HTTP/1.1")
    clock.advance(EVERY_S)
    await follow(late)


@pytest_twisted.ensureDeferred
async def test_head_is_answered_at_once_with_the_headers_of_a_stream(client: Client) -> None:
    head = await client.ask("HEAD /events HTTP/1.1")
    assert head.headers["content-type"] == "text/event-stream"
    assert (await client.ask("GET /health HTTP/1.1")).status == 200
