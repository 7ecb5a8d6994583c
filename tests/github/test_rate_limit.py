"""GitHub's hour, minute and refusals."""

from itertools import pairwise
from math import inf
from typing import Any

import pytest

from pipetest.domain.model import Reply
from pipetest.domain.status import Quota
from pipetest.github.rate_limit import MAX_CONCURRENT, SavedGitHubLimits, github_rate_limit, graphql_rate_limit
from pipetest.github.responses import Throttle, throttle
from pipetest.ratelimit.policy import Cost
from tests.support.ratelimit.client import MIDNIGHT, Client, reply

WALL = MIDNIGHT
"""The clocks of these tests begin at midnight."""


def hour(left: int, limit: int = 60, reset_in: float = 3600, **more: Any) -> Reply:
    return reply(
        x_ratelimit_limit=limit,
        x_ratelimit_remaining=left,
        x_ratelimit_reset=int(WALL + reset_in),
        **more,
    )


@pytest.fixture
def client() -> Client:
    return Client(github_rate_limit(token=True, host="api.github.com"), now=0.0)


@pytest.fixture
def poor() -> Client:
    return Client(github_rate_limit(token=False, host="api.github.com"), now=0.0)


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        (reply(200), None),
        (reply(429, retry_after=7), Throttle(7.0)),
        (reply(403, retry_after=7, x_ratelimit_remaining=0, x_ratelimit_reset=WALL + 90), Throttle(7.0)),
        (reply(403, x_ratelimit_remaining=0, x_ratelimit_reset=WALL + 90), Throttle(91.0)),
        (reply(403, x_ratelimit_remaining=0, x_ratelimit_reset=WALL - 90), Throttle(1.0)),
        (reply(403, x_ratelimit_remaining=0, x_ratelimit_reset=WALL + 9e9), Throttle(3601.0)),
        (
            reply(403, x_ratelimit_remaining=0, x_ratelimit_reset=WALL - 3600, date="Thu, 03 Oct 2024 22:50:00 GMT"),
            Throttle(601.0),
        ),
        (reply(403, b"You have exceeded a secondary rate limit."), Throttle(None)),
        (reply(429), Throttle(None)),
        (reply(429, retry_after="soon"), Throttle(None)),
        (reply(403, b"Request forbidden by administrative rules.", x_ratelimit_remaining=5), None),
        (reply(401, retry_after=7), None),
        (reply(500, retry_after=7), None),
    ],
)
def test_a_refusal_is_read_in_the_order_that_github_asks_for(answer: Reply, meaning: Throttle | None) -> None:
    assert throttle(answer, WALL) == meaning


def test_while_nothing_is_known_one_request_asks_alone(client: Client) -> None:
    first = client.start()
    assert (client.wait(), client.wait(ahead=1)) == (inf, inf)
    client.finish(first, hour(4999, 5000))
    assert client.wait(ahead=MAX_CONCURRENT - 1) == 0.0


def test_a_few_go_at_once(client: Client) -> None:
    client.ask(hour(4999, 5000))
    for under_way in range(MAX_CONCURRENT):
        left = MAX_CONCURRENT - under_way
        assert (client.wait(ahead=left - 1), client.wait(ahead=left)) == (0.0, inf)
        client.start()
    assert client.wait() == inf


@pytest.mark.parametrize("broken", [None, reply(500), reply(503, retry_after=7)])
def test_three_in_a_row_without_a_usable_answer_are_an_outage(client: Client, broken: Reply | None) -> None:
    client.ask(hour(4999, 5000))
    client.ask(broken)
    client.ask(broken)
    assert client.wait() == 0.0
    client.ask(broken)
    assert 0.9 < client.wait() <= 1.0
    client.now += client.wait()
    client.start()
    assert client.wait() == inf


def test_an_hour_used_up_is_waited_for(client: Client) -> None:
    client.ask(hour(1, 5000, reset_in=100))
    assert client.wait() == 0.0
    assert client.wait(ahead=1) == pytest.approx(100 + 1 - client.now)
    client.ask(hour(0, 5000, reset_in=100))
    client.now += client.wait()
    first = client.start()
    assert client.wait() == inf  # what the new hour allows is not known yet
    client.finish(first, hour(4999, 5000, reset_in=3700))
    assert client.wait() == 0.0


@pytest.mark.parametrize("back", [3600.0, 86400.0, 365 * 86400.0])
def test_a_clock_that_is_set_back_makes_no_hour_longer(client: Client, poor: Client, back: float) -> None:
    client.ask(hour(0, 5000))
    poor.ask(hour(59))
    client.wrong_by = poor.wrong_by = -back
    assert client.wait() <= 3601
    assert poor.wait() <= 3601
    poor.ask(hour(58))
    assert poor.wait() == 0.0


def test_what_is_under_way_may_use_up_the_hour(client: Client) -> None:
    client.ask(hour(2, 5000, reset_in=100))
    client.start()
    client.start()
    assert 99 < client.wait() < 101


def test_with_a_token_an_unchanged_list_is_free(client: Client) -> None:
    client.ask(hour(1, 5000, reset_in=100))
    client.ask(reply(304))
    assert client.wait() == 0.0


def test_without_one_it_is_not(poor: Client) -> None:
    poor.ask(hour(1, reset_in=100))
    poor.ask(reply(304))
    assert poor.wait() > 99


def test_an_answer_of_another_resource_says_nothing(client: Client) -> None:
    client.ask(hour(10, 5000))
    client.ask(hour(0, 30, x_ratelimit_resource="search"))
    assert client.rate_limit.usage(client.at) == [
        Quota(service="GitHub", name="requests this hour", limit=5000, left=9, reset_at=WALL + 3600)
    ]


def test_a_late_answer_of_the_hour_before_changes_nothing(client: Client) -> None:
    client.ask(hour(100, 5000, reset_in=10))
    late = client.start()
    client.ask(hour(4999, 5000, reset_in=3600))
    client.finish(late, hour(0, 5000, reset_in=10))
    assert client.rate_limit.hour.left.available == 4999
    assert client.wait() == 0.0


def test_a_limit_that_is_raised_within_the_hour_is_told(client: Client) -> None:
    client.ask(hour(10, 5000))
    client.ask(hour(10_009, 15_000))
    assert client.rate_limit.usage(client.at) == [
        Quota(service="GitHub", name="requests this hour", limit=15_000, left=10_009, reset_at=WALL + 3600)
    ]


def test_resets_a_second_apart_are_one_hour(client: Client) -> None:
    client.ask(hour(10, 5000))
    slow = client.start()
    client.ask(hour(8, 5000))
    client.finish(slow, hour(9, 5000, reset_in=3601))
    assert client.rate_limit.hour.left.available == 8


def test_a_service_that_tells_nothing_has_no_limit() -> None:
    client = Client(github_rate_limit(token=False, host="ghe.example"), now=0.0)
    client.ask(reply(200))
    for _ in range(2000):
        client.ask(reply(304))
    assert client.wait() == 0.0
    assert client.rate_limit.usage(client.at) == [Quota(service="GitHub", name="requests this hour")]


def test_an_error_without_numbers_is_no_sign_of_having_no_limit(client: Client) -> None:
    client.ask(reply(502))
    client.start()
    assert client.wait() == inf


def test_no_more_than_900_points_go_in_a_minute(client: Client) -> None:
    client.rate_limit = client.rate_limit.restored(SavedGitHubLimits(), client.at)
    started: list[float] = []
    while client.now < 300:
        if (wait := client.wait()) > 0:
            client.now += wait
        started.append(client.now)
        client.finish(client.start(), reply(304))
    assert all(later - first > 60 for first, later in zip(started, started[900:], strict=False))
    assert len(started) >= 0.9 * 900 * 5


def test_without_a_token_half_of_the_hour_may_go_at_once_and_the_rest_is_spread(poor: Client) -> None:
    """A service that counts sixty an hour; requests are made as soon as they may be."""
    started: list[float] = []
    while True:
        if (wait := poor.wait()) > 0:
            poor.now += wait
        if poor.now >= 3600:
            break
        started.append(poor.now)
        poor.ask(hour(60 - len(started)))
    assert len(started) == 60
    assert started[29] < 10
    gaps = [later - first for first, later in pairwise(started[30:])]
    assert max(gaps) < 125
    assert min(gaps) > 115


def test_a_limit_of_nothing_with_something_left_is_waited_for_and_no_more(poor: Client) -> None:
    poor.ask(hour(5, limit=0))
    assert poor.wait() <= 3601.0


def test_with_a_token_nothing_is_spread(client: Client) -> None:
    client.ask(hour(10, 5000))
    assert client.wait() == 0.0


def test_throttled_the_whole_client_waits_and_one_goes_first(client: Client) -> None:
    client.ask(hour(4999, 5000))
    client.ask(reply(429, retry_after=30))
    assert client.wait() == pytest.approx(30.0, abs=0.1)
    client.now += 30
    probe = client.start()
    assert client.wait() == inf
    client.finish(probe, hour(4000, 5000))
    assert client.wait() == 0.0


def test_refusals_without_a_time_double_from_a_minute(client: Client) -> None:
    client.ask(hour(4999, 5000))
    waits = []
    for _ in range(8):
        client.ask(reply(403, b"secondary rate limit"))
        waits.append(client.wait())
        client.now += waits[-1]
    assert waits == pytest.approx([60, 120, 240, 480, 960, 1920, 3600, 3600], abs=0.1)


def test_what_was_under_way_when_a_refusal_came_does_not_count(client: Client) -> None:
    client.ask(hour(4999, 5000))
    permits = [client.start() for _ in range(4)]
    for permit in permits:
        client.finish(permit, reply(403, b"secondary rate limit"))
    assert client.rate_limit.cooldown.refusals == 1
    assert client.wait() == pytest.approx(60.0)


def test_a_real_refusal_holds_nobody_up(client: Client) -> None:
    client.ask(hour(4999, 5000))
    client.ask(reply(403, b"blocked"))
    assert client.wait() == 0.0


def test_an_hour_used_up_outlives_a_restart(client: Client) -> None:
    client.ask(hour(0, 5000, reset_in=100))
    saved = client.rate_limit.saved(client.at)
    again = Client(github_rate_limit(token=True, host="api.github.com"), now=0.0)
    again.rate_limit = again.rate_limit.restored(saved, again.at)
    assert again.wait() == pytest.approx(101.0)
    assert again.rate_limit.usage(again.at) == [
        Quota(service="GitHub", name="requests this hour", limit=5000, left=0, reset_at=WALL + 100)
    ]


def test_what_was_known_without_a_token_does_not_hold_with_one(poor: Client) -> None:
    poor.ask(hour(0, retry_after=1000, status=429))
    assert poor.restarted(github_rate_limit(token=False, host="api.github.com")).wait() > 3000
    assert poor.restarted(github_rate_limit(token=True, host="api.github.com")).wait() == 0.0


def test_the_minute_outlives_a_restart(client: Client) -> None:
    client.ask(hour(4999, 5000))
    for _ in range(899):
        client.ask(reply(304))
    again = client.restarted(github_rate_limit(token=True, host="api.github.com"), later=3.0)
    assert again.wait() == pytest.approx(57.0, abs=0.1)
    third = again.restarted(github_rate_limit(token=True, host="api.github.com"), later=3.0)
    assert third.wait() == pytest.approx(54.0, abs=0.1)
    third.now += third.wait() + 1e-6
    assert third.wait() == 0.0


def test_a_few_points_are_not_worth_saving(client: Client) -> None:
    for _ in range(90):
        client.ask(hour(4999, 5000))
    assert client.rate_limit.saved(client.at) == SavedGitHubLimits()


def test_a_minute_that_cannot_be_true_is_one(client: Client) -> None:
    client.rate_limit = client.rate_limit.restored(
        SavedGitHubLimits(points=900, points_end_at=client.at.wall + 9000.0), client.at
    )
    assert client.wait() == pytest.approx(60.0)


@pytest.mark.parametrize(("ends_in", "wait"), [(3600.0, 3601.0), (3601.0, 0.0), (7200.0, 0.0)])
def test_an_hour_that_cannot_be_true_does_not_count(client: Client, ends_in: float, wait: float) -> None:
    client.rate_limit = client.rate_limit.restored(
        SavedGitHubLimits(left=0.0, limit=60.0, ends_at=client.at.wall + ends_in), client.at
    )
    assert client.wait() == wait


def test_a_wait_of_more_than_a_day_that_was_stored_tells_of_a_wrong_clock_and_does_not_count(client: Client) -> None:
    client.rate_limit = client.rate_limit.restored(
        SavedGitHubLimits(resumes_at=client.at.wall + 25 * 3600.0), client.at
    )
    assert client.wait() == 0.0


def test_with_nothing_used_up_there_is_nothing_to_keep(client: Client) -> None:
    assert client.rate_limit.saved(client.at) == SavedGitHubLimits()
    client.ask(hour(4999, 5000))
    assert client.rate_limit.saved(client.at) == SavedGitHubLimits()


# --- GraphQL ----------------------------------------------------------------------------------------------------------


def graphql_hour(left: int) -> Reply:
    return hour(left, 5000, x_ratelimit_resource="graphql")


def test_graphql_has_points_of_its_own_one_query_at_a_time() -> None:
    client = Client(graphql_rate_limit("api.github.com"), now=0.0)
    client.ask(hour(0, x_ratelimit_resource="core"))
    client.ask(graphql_hour(2))
    first = client.start()
    assert client.wait() == inf
    client.finish(first, graphql_hour(1))
    client.ask(graphql_hour(0))
    assert client.wait() == pytest.approx(3601 - client.now)
    (quota,) = client.rate_limit.usage(client.at)
    assert (quota.name, quota.limit, quota.left) == ("GraphQL points this hour", 5000, 0)


@pytest.mark.parametrize(("host", "waits"), [("api.github.com", True), ("github.example.com", False)])
def test_no_more_than_2000_graphql_points_go_in_a_minute_to_github_itself(host: str, waits: bool) -> None:
    client = Client(graphql_rate_limit(host), now=0.0)
    for _ in range(2000):
        assert client.wait() == 0
        client.finish(client.start(), graphql_hour(4000))
    assert (client.now + client.wait() > 60) is waits


def test_used_up_points_are_used_up_after_a_restart_too() -> None:
    client = Client(graphql_rate_limit("api.github.com"), now=0.0)
    client.ask(graphql_hour(0))
    saved = client.rate_limit.saved(client.at)
    restarted = graphql_rate_limit("api.github.com").restored(saved, client.at)
    assert restarted.wait(Cost(), 0, client.at) == pytest.approx(3601 - client.now)
