"""The limits of the two services, at the bound and beyond it."""

import pytest
from twisted.internet.task import Clock

from pipetest.domain.model import Reply
from pipetest.sandbox.world import World
from tests.support.sandbox_client import NOON_AT, Client, json

TOKEN = {"authorization": "Bearer good-token"}
LIST = "/users/ada/gists"
DEALS = "/api/v2/deals"
SEARCH = "/api/v2/organizations/search?term=ada"


@pytest.fixture(autouse=True)
def ada(world: World) -> None:
    world.accounts.open("ada")


def remaining(reply: Reply) -> int:
    return int(reply.headers["x-ratelimit-remaining"])


# --- GitHub's primary limit -------------------------------------------------------------------------------------------


def test_every_reply_tells_the_primary_limit(github: Client, world: World) -> None:
    world.github_limits.without_token, world.github_limits.with_token = 60, 5000
    headers = github.get(LIST).headers
    assert headers["x-ratelimit-limit"] == "60"
    assert headers["x-ratelimit-remaining"] == "59"
    assert headers["x-ratelimit-used"] == "1"
    assert headers["x-ratelimit-resource"] == "core"
    assert int(headers["x-ratelimit-reset"]) == NOON_AT + 3600
    assert github.get(LIST, TOKEN).headers["x-ratelimit-remaining"] == "4999"


def test_a_304_is_free_only_with_a_token(github: Client) -> None:
    for headers, price in (({}, 1), (TOKEN, 0)):
        first = github.get(LIST, headers)
        second = github.get(LIST, {**headers, "if-none-match": first.headers["etag"]})
        assert second.status == 304
        assert remaining(first) - remaining(second) == price


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize("retry_after", [False, True])
def test_beyond_the_primary_limit_everything_is_refused_until_the_reset(
    github: Client, world: World, clock: Clock, status: int, retry_after: bool
) -> None:
    limits = world.github_limits
    limits.without_token, limits.primary_status, limits.primary_retry_after = 2, status, retry_after
    assert [github.get(LIST).status for _ in range(2)] == [200, 200]
    clock.advance(600)
    reply = github.get(LIST)
    assert (reply.status, remaining(reply)) == (status, 0)
    assert "rate limit exceeded" in json(reply)["message"]
    assert reply.headers.get("retry-after") == ("3000" if retry_after else None)
    clock.advance(3000)
    assert github.get(LIST).status == 200


# --- GitHub's secondary limit -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize("retry_after", [False, True])
def test_too_many_points_in_a_minute_are_refused_though_requests_remain(
    github: Client, world: World, clock: Clock, status: int, retry_after: bool
) -> None:
    limits = world.github_limits
    limits.points, limits.secondary_status, limits.secondary_retry_after = 2, status, retry_after
    for _ in range(2):
        assert github.get(LIST, TOKEN).status == 200
    reply = github.get(LIST, TOKEN)
    assert reply.status == status
    assert remaining(reply) > 0
    assert "secondary rate limit" in json(reply)["message"]
    assert reply.headers.get("retry-after") == ("60" if retry_after else None)
    clock.advance(60)
    assert github.get(LIST, TOKEN).status == 200


# --- Pipedrive's burst ------------------------------------------------------------------------------------------------


def test_the_burst_is_counted_over_a_rolling_two_seconds(pipedrive: Client, world: World, clock: Clock) -> None:
    world.pipedrive_limits.burst = 2
    assert remaining(pipedrive.get(DEALS)) == 1
    clock.advance(1)
    headers = pipedrive.get(DEALS).headers
    assert (headers["x-ratelimit-limit"], headers["x-ratelimit-remaining"]) == ("2", "0")
    assert headers["x-ratelimit-reset"] == "1"
    assert pipedrive.get(DEALS).status == 429
    clock.advance(1)
    assert pipedrive.get(DEALS).status == 200
    assert pipedrive.get(DEALS).status == 429  # the one of a second ago still counts


def test_a_burst_refusal_names_no_wait_and_costs_nothing(pipedrive: Client, world: World) -> None:
    world.pipedrive_limits.burst = 1
    tokens = pipedrive.get(DEALS).headers["x-daily-ratelimit-token-remaining"]
    reply = pipedrive.post(DEALS, {"title": "a"})
    assert reply.status == 429
    assert "retry-after" not in reply.headers
    assert reply.headers["x-daily-ratelimit-token-remaining"] == tokens
    assert not world.crm.deals


def test_searches_have_a_burst_of_their_own(pipedrive: Client, world: World) -> None:
    world.pipedrive_limits.burst, world.pipedrive_limits.search_burst = 2, 1
    assert pipedrive.get(SEARCH).status == 200
    assert pipedrive.get(SEARCH).status == 429
    assert remaining(pipedrive.get(DEALS)) == 1


# --- Pipedrive's day --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "price"),
    [
        (DEALS, 10),
        (f"{DEALS}/archived", 20),
        (f"{DEALS}/1", 1),
        ("/api/v2/organizations", 10),
        ("/api/v2/organizations/1", 1),
        (SEARCH, 20),
    ],
)
def test_each_read_has_its_price(pipedrive: Client, world: World, path: str, price: int) -> None:
    world.pipedrive_limits.daily_tokens = 1000
    headers = pipedrive.get(path).headers
    assert headers["x-daily-ratelimit-token-limit"] == "1000"
    assert headers["x-daily-ratelimit-token-remaining"] == str(1000 - price)


def test_a_create_costs_five_tokens_and_one_write(pipedrive: Client, world: World) -> None:
    world.pipedrive_limits.daily_tokens, world.pipedrive_limits.daily_writes = 1000, 100
    headers = pipedrive.post("/api/v2/organizations", {"name": "ada"}).headers
    assert headers["x-daily-ratelimit-token-remaining"] == "995"
    assert headers["x-daily-requests-left"] == "99"
    assert pipedrive.get(DEALS).headers["x-daily-requests-left"] == "99"


@pytest.mark.parametrize("retry_after", [False, True])
def test_a_used_up_day_refuses_until_midnight(pipedrive: Client, world: World, clock: Clock, retry_after: bool) -> None:
    world.pipedrive_limits.daily_tokens, world.pipedrive_limits.daily_retry_after = 9, retry_after
    assert pipedrive.post(DEALS, {"title": "a"}).status == 200
    reply = pipedrive.post(DEALS, {"title": "b"})
    assert (reply.status, json(reply)["error"]) == (429, "daily request budget exceeded")
    assert reply.headers.get("retry-after") == ("43200" if retry_after else None)
    clock.advance(12 * 3600)
    assert pipedrive.post(DEALS, {"title": "b"}).status == 200


def test_used_up_writes_refuse_no_reads(pipedrive: Client, world: World) -> None:
    world.pipedrive_limits.daily_writes = 1
    assert pipedrive.post(DEALS, {"title": "a"}).status == 200
    assert pipedrive.post(DEALS, {"title": "b"}).status == 429
    assert pipedrive.get(DEALS).status == 200


def test_without_a_daily_limit_no_header_tells_of_one(pipedrive: Client, world: World) -> None:
    world.pipedrive_limits.daily_tokens = None
    assert not [name for name in pipedrive.get(DEALS).headers if name.startswith("x-daily")]


# --- the block --------------------------------------------------------------------------------------------------------


def test_ignored_refusals_end_in_a_block_with_a_web_page(pipedrive: Client, world: World, clock: Clock) -> None:
    limits = world.pipedrive_limits
    limits.burst, limits.block_after, limits.block_s = 1, 2, 300
    assert [pipedrive.get(DEALS).status for _ in range(4)] == [200, 429, 429, 429]
    clock.advance(299)
    reply = pipedrive.get(DEALS)
    assert reply.status == 403
    assert reply.headers["content-type"].startswith("text/html")
    clock.advance(1)
    assert pipedrive.get(DEALS).status == 200


def test_waiting_between_refusals_prevents_the_block(pipedrive: Client, world: World, clock: Clock) -> None:
    limits = world.pipedrive_limits
    limits.burst, limits.block_after = 1, 2
    for _ in range(10):
        assert [pipedrive.get(DEALS).status for _ in range(2)] == [200, 429]
        clock.advance(10)
