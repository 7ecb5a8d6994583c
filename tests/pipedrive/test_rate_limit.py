"""Pipedrive's prices, bursts and refusals."""

from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipetest.domain.model import Reply, Request
from pipetest.pipedrive.prices import CREATE, cost_of
from pipetest.pipedrive.rate_limit import pipedrive_rate_limit
from pipetest.ratelimit.cooldown import Cooldown
from pipetest.ratelimit.policy import Cost, Permit
from tests.support.ratelimit.client import DAY, MIDNIGHT, Client, reply

LIST = Cost(price=10)
GET = Cost(price=1)
SEARCH = Cost(price=20, searches=True)


@pytest.fixture
def client() -> Client:
    return Client(pipedrive_rate_limit(ceiling=None, reserve=0.2), CREATE)


@pytest.mark.parametrize(
    ("method", "path", "cost"),
    [
        ("POST", "/api/v2/deals", CREATE),
        ("PATCH", "/api/v2/deals/7", CREATE),
        ("DELETE", "/api/v2/deals/7", Cost(price=3)),
        ("GET", "/api/v2/organizations/7", GET),
        ("GET", "/api/v2/deals?org_id=7&limit=500", LIST),
        ("GET", "/api/v2/organizations?cursor=a/7", LIST),
        ("GET", "/api/v2/deals/archived?org_id=7", Cost(price=20)),
        ("GET", "/api/v2/organizations/search?term=ada", SEARCH),
    ],
)
def test_a_request_costs_what_the_price_list_says(method: str, path: str, cost: Cost) -> None:
    assert cost_of(Request(method, f"https://acme.pipedrive.com{path}", {})) == cost


# --- bursts -----------------------------------------------------------------------------------------------------------


def test_until_more_is_reported_twenty_go_in_two_seconds(client: Client) -> None:
    client.ask(reply(502))
    client.ask(reply(400, x_daily_ratelimit_token_remaining=1000))
    for _ in range(18):
        client.start()
    assert client.wait() == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("limit", [1, 10, 40, 120])
def test_the_limit_is_learnt_from_answers(client: Client, limit: int) -> None:
    client.ask(reply(x_ratelimit_limit=limit, x_ratelimit_remaining=limit - 1))
    assert client.rate_limit.burst.left(client.now) == limit - 1


@pytest.mark.parametrize(("cost", "burst"), [(CREATE, "burst"), (SEARCH, "searches")])
def test_what_others_have_used_of_the_burst_is_left_out_for_two_seconds(client: Client, cost: Cost, burst: str) -> None:
    client.ask(reply(x_ratelimit_limit=40, x_ratelimit_remaining=3), cost)
    assert getattr(client.rate_limit, burst).left(client.now) == 3
    for _ in range(3):
        client.start(cost)
    assert 1.9 < client.wait(cost) <= 2.0


def test_a_service_whose_answers_name_no_limit_has_none(client: Client) -> None:
    client.ask(reply())
    for _ in range(200):
        client.start()
    assert client.wait() == 0.0


def test_once_named_a_limit_stays_when_an_answer_leaves_it_out(client: Client) -> None:
    client.ask(reply(x_ratelimit_limit=40))
    client.ask(reply())
    assert client.rate_limit.burst.limit == 40


def test_a_refused_burst_shows_that_there_is_a_limit_after_all(client: Client) -> None:
    client.ask(reply())
    client.ask(reply(429))
    client.now += client.wait()
    client.ask(reply())
    assert client.rate_limit.burst.limit == 20


def test_searches_have_a_limit_of_their_own(client: Client) -> None:
    client.ask(reply(), GET)
    for _ in range(10):
        client.start(SEARCH)
    assert client.wait(SEARCH) == inf
    assert client.wait(GET) == 0.0


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, 2.0),
        ({"retry_after": 7}, 7.0),
        ({"x_ratelimit_reset": 1.5}, 2.0),
        ({"x_ratelimit_reset": 4}, 4.0),
        ({"x_ratelimit_reset": MIDNIGHT}, 60.0),
        ({"retry_after": "1e99"}, DAY),
    ],
)
def test_a_refused_burst_waits_as_asked_two_seconds_at_least(
    client: Client, headers: dict[str, Any], wait: float
) -> None:
    client.ask(reply())
    client.ask(reply(429, **headers))
    assert client.wait() == pytest.approx(wait, abs=0.1)


def test_one_goes_first_after_a_refusal(client: Client) -> None:
    client.ask(reply())
    client.ask(reply(429))
    client.now += client.wait()
    probe = client.start()
    assert client.wait() == inf
    client.finish(probe, reply())
    assert client.wait() == 0.0


def test_refusals_in_a_row_lengthen_the_wait_up_to_a_minute(client: Client) -> None:
    client.ask(reply())
    waits = []
    for _ in range(7):
        client.ask(reply(429))
        waits.append(client.wait())
        client.now += waits[-1]
    assert waits == pytest.approx([2, 4, 8, 16, 32, 60, 60], abs=0.1)


@pytest.mark.parametrize("page", [b"<!DOCTYPE html>", b"error code: 1015", b""])
def test_the_firewall_page_after_a_refusal_stops_everything_for_long_and_longer(client: Client, page: bytes) -> None:
    client.ask(reply())
    client.ask(reply(429))
    waits = []
    for _ in range(4):
        client.now += client.wait()
        client.ask(reply(403, page))
        waits.append(client.wait())
    assert waits == pytest.approx([600, 1200, 2400, 3600], abs=0.1)


@pytest.mark.parametrize("body", [b'{"error":"feature_capping_deals_limit"}', b"<html>"])
def test_a_refusal_without_429s_before_is_not_about_limits(client: Client, body: bytes) -> None:
    client.ask(reply())
    client.ask(reply(403, body))
    assert client.wait() == 0.0


def test_three_failures_in_a_row_are_an_outage_and_a_probe_goes_every_few_seconds(client: Client) -> None:
    client.ask(reply())
    waits = []
    for answer in (None, reply(503), None, None, reply(500), None, None):
        client.ask(answer)
        waits.append(client.wait())
        client.now += waits[-1]
    assert waits == pytest.approx([0, 0, 1, 2, 4, 5, 5], abs=0.1)
    client.ask(reply())
    assert client.wait() == 0.0


def test_jitter_spreads_the_waits(client: Client) -> None:
    client.ask(reply())
    permit = client.start()
    refused = client.rate_limit.finished(permit, reply(429), client.at, 0.7)
    assert refused.wait(CREATE, 0, client.at) == pytest.approx(2.7)
    cooldown = Cooldown()
    for _ in range(3):
        cooldown = cooldown.started().failed(Permit(CREATE, 0.0, cooldown.waits), client.now, 0.5)
    assert cooldown.wait(0, client.now) == pytest.approx(0.75)


def test_usage_shows_nothing_where_nothing_is_known(client: Client) -> None:
    assert [usage.left for usage in client.rate_limit.usage(client.at)] == [20, None, None]


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "x-ratelimit-limit",
                "x-ratelimit-remaining",
                "x-ratelimit-reset",
                "retry-after",
                "x-daily-ratelimit-token-limit",
                "x-daily-ratelimit-token-remaining",
                "x-daily-requests-left",
            ]
        ),
        st.one_of(st.floats().map(str), st.integers().map(str), st.text(max_size=5)),
    ),
    st.sampled_from([200, 403, 429, 503]),
)
def test_whatever_headers_say_the_client_comes_back_within_a_day_or_so(headers: dict[str, str], status: int) -> None:
    client = Client(pipedrive_rate_limit(ceiling=None, reserve=0.2))
    client.ask(Reply(status, headers, b""), GET)
    for cost in (GET, LIST, CREATE, SEARCH):
        assert client.wait(cost) <= DAY + 2
