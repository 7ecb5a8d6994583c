"""The page as it changes: what is told to whom, and when."""

import re
from typing import Any

import msgspec
import pytest_twisted
from msgspec.structs import replace
from twisted.internet.task import Clock

from pipetest.domain.status import Scan
from pipetest.web.events import EVERY_S, MOST_VIEWERS, QUIET_S
from pipetest.web.page.sections import REGIONS
from tests.support.web.client import Client
from tests.support.web.sample import QUIET
from tests.web.conftest import Backstage, Connect, until


def told(client: Client) -> list[dict[str, Any]]:
    return [msgspec.json.decode(data) for data in re.findall(rb"data: (.*)\n\n", client.unread)]


async def followed(client: Client) -> None:
    client.say("GET /events HTTP/1.1")
    await until(lambda: len(told(client)) == 1)


@pytest_twisted.ensureDeferred
async def test_whoever_begins_to_follow_is_told_all(client: Client) -> None:
    await followed(client)
    assert b"Content-Type: text/event-stream\r\n" in client.unread
    assert list(told(client)[0]) == list(REGIONS)


@pytest_twisted.ensureDeferred
async def test_from_then_on_only_what_has_changed_is_told(client: Client, backstage: Backstage, clock: Clock) -> None:
    await followed(client)
    backstage.status = replace(QUIET, scan=Scan(under_way=True, started_at=1.0, users=9, visited=3))
    clock.advance(EVERY_S)
    await until(lambda: len(told(client)) == 2)
    assert list(told(client)[1]) == ["scan"]
    assert "3 of 9 users" in told(client)[1]["scan"]


@pytest_twisted.ensureDeferred
async def test_a_sign_of_life_comes_where_nothing_changes(client: Client, clock: Clock) -> None:
    await followed(client)
    clock.pump([EVERY_S] * int(QUIET_S / EVERY_S))
    await until(lambda: len(told(client)) == 2)
    assert told(client)[1] == {}


@pytest_twisted.ensureDeferred
async def test_too_many_followers_are_turned_away_until_one_leaves(connect: Connect, clock: Clock) -> None:
    followers = [await connect() for _ in range(MOST_VIEWERS)]
    for follower in followers:
        await followed(follower)
    late = await connect()
    refused = await late.ask("GET /events HTTP/1.1")
    assert (refused.status, refused.headers["retry-after"]) == (503, "60")
    await followers[0].hang_up()
    await late.ask("GET /health HTTP/1.1")
    clock.advance(EVERY_S)
    await followed(late)


@pytest_twisted.ensureDeferred
async def test_head_is_told_what_would_come_and_keeps_nobody_waiting(client: Client) -> None:
    head = await client.ask("HEAD /events HTTP/1.1")
    assert head.headers["content-type"] == "text/event-stream"
    assert (await client.ask("GET /health HTTP/1.1")).status == 200
