"""Pipedrive's day: tokens and writes, the reserve, our own ceiling, midnight and restarts."""

from math import ceil, inf
from typing import Any

import pytest

from pipetest.domain.model import Reply
from pipetest.domain.status import Quota
from pipetest.pipedrive.daily_budget import SavedPipedriveLimits
from pipetest.pipedrive.prices import CREATE
from pipetest.pipedrive.rate_limit import Budget, pipedrive_rate_limit
from pipetest.ratelimit.policy import Cost, Instant
from tests.support.ratelimit.client import DAY, MIDNIGHT, Client, reply

LIST = Cost(price=10)
GET = Cost(price=1)


def tokens(left: int, limit: int = 1000, **more: Any) -> Reply:
    return reply(
        x_daily_ratelimit_token_limit=limit,
        x_daily_ratelimit_token_remaining=left,
        x_ratelimit_limit=1000,
        **more,
    )


def new(ceiling: int | None = None, now: float = 36000.0) -> Client:
    return Client(pipedrive_rate_limit(ceiling=ceiling, reserve=0.2), CREATE, now)


@pytest.fixture
def client() -> Client:
    return new()


def test_while_the_budget_is_unknown_one_request_asks_alone(client: Client) -> None:
    first = client.start(GET)
    assert client.wait(GET) == inf
    client.finish(first, tokens(900))
    assert client.wait() == 0.0


def test_a_fifth_of_the_company_limit_is_left_to_others(client: Client) -> None:
    client.ask(tokens(209))
    client.ask(tokens(204))
    assert client.wait() == pytest.approx(DAY - client.now + 1)
    assert client.wait(Cost(price=4)) == 0.0
    client.ask(tokens(199), GET)
    assert client.wait(GET) == pytest.approx(DAY - client.now + 1)
    assert client.rate_limit.budget(client.at).left == 0.0


def test_tokens_under_way_count_as_used(client: Client) -> None:
    client.ask(tokens(220))
    for _ in range(4):
        client.start()
    assert client.wait() > 3600


def test_those_ahead_count_too(client: Client) -> None:
    client.ask(tokens(220))
    assert client.wait(ahead=3) == 0.0
    assert client.wait(ahead=4) > 3600


def test_our_own_ceiling_needs_no_header() -> None:
    client = new(20)
    for _ in range(4):
        client.ask(reply(x_ratelimit_limit=100))
    assert client.wait() == pytest.approx(DAY - client.now + 1)


def test_at_midnight_utc_the_budget_is_new() -> None:
    client = new(7, now=DAY - 10)
    client.ask(reply(x_ratelimit_limit=100))
    client.now += client.wait()
    assert client.now == pytest.approx(DAY + 1)
    client.ask(reply())
    assert client.wait() > 3600


def test_a_refused_request_costs_nothing() -> None:
    client = new(7)
    client.ask(reply(429))
    assert client.rate_limit.day.used == 0
    assert client.wait() == pytest.approx(2.0, abs=0.1)


def test_a_request_whose_answer_was_lost_counts() -> None:
    client = new(7)
    client.ask(None)
    assert client.rate_limit.day.used == 5


def test_without_writes_left_today_reads_go_on(client: Client) -> None:
    client.ask(reply(x_daily_requests_left=1))
    client.ask(reply(x_daily_requests_left=0))
    assert client.wait() == pytest.approx(DAY - client.now + 1)
    assert client.wait(LIST) == 0.0


def test_the_budget_tells_the_writes_left_today(client: Client) -> None:
    assert client.rate_limit.budget(client.at).writes == inf
    client.ask(reply(x_daily_requests_left=3))
    client.start()
    assert client.rate_limit.budget(client.at).writes == 2


def test_the_budget_tells_what_creation_may_use_and_when_it_may_go_on(client: Client) -> None:
    client.ask(tokens(900, x_daily_requests_left=77))
    assert client.rate_limit.budget(client.at) == Budget(
        left=700.0, a_day=800.0, next_day_at=MIDNIGHT + DAY + 1, per_second=500.0, resumes_at=0.0, writes=77.0
    )
    refusal = tokens(0, x_daily_requests_left=0, status=429, retry_after=5000, body=b"daily request budget")
    client.finish(client.start(), refusal)
    assert client.rate_limit.budget(client.at) == Budget(
        left=0.0,
        a_day=800.0,
        next_day_at=client.at.wall + 5000,
        per_second=500.0,
        resumes_at=ceil(client.at.wall) + 5000,  # whole seconds, so that it stays the same in the store
        writes=0.0,
    )


def test_a_day_that_begins_with_enough_for_one_create_lasts_to_midnight(client: Client) -> None:
    client.ask(tokens(205), GET)
    client.ask(tokens(200))
    assert client.wait() == pytest.approx(DAY - client.now + 1)


def test_a_day_that_begins_with_nothing_left_is_asked_about_again_in_an_hour(client: Client) -> None:
    """Pipedrive's day may begin hours after ours; it would be lost if midnight UTC alone were waited for."""
    client.ask(tokens(100))
    assert client.wait() == pytest.approx(3600, abs=1)
    client.now += client.wait()
    client.ask(tokens(1000))
    assert client.wait() == 0.0


@pytest.mark.parametrize("asked", [3939.0, 60000.0])
def test_a_daily_refusal_stops_everything_for_as_long_as_asked(client: Client, asked: float) -> None:
    client.ask(tokens(900))
    client.ask(tokens(0, retry_after=asked, body=b'{"error":"daily request budget exceeded"}', status=429))
    assert client.wait(GET) == pytest.approx(asked, abs=1)
    client.now += client.wait(GET)
    client.ask(tokens(1000), GET)
    assert client.wait() == 0.0


def test_what_was_known_of_the_day_holds_until_the_wait_that_a_daily_refusal_asks_for_is_over(client: Client) -> None:
    refusal = tokens(0, retry_after=3939, body=b'{"error":"daily request budget exceeded"}', status=429)
    client.ask(tokens(900))
    client.finish(client.start(), refusal)
    day = client.rate_limit.day
    assert (day.ends_at, day.tokens.reported) == (client.at.wall + 3939, 0.0)
    assert client.rate_limit.saved(client.at).ends_at == client.at.wall + 3939


def test_a_daily_refusal_that_tells_no_time_is_asked_about_in_an_hour(client: Client) -> None:
    client.ask(tokens(900))
    client.ask(reply(429, b'{"error":"daily request budget exceeded"}'))
    assert client.wait(GET) == pytest.approx(3600, abs=1)


def test_the_count_outlives_a_restart_but_not_the_day() -> None:
    client = new(100)
    client.ask(reply())
    client.ask(reply(), LIST)
    assert client.restarted(new().rate_limit).rate_limit.day.used == 15
    assert client.restarted(new().rate_limit, later=DAY).rate_limit.day.used == 0


def test_a_clock_that_was_a_year_ahead_leaves_no_day_that_lasts_a_year() -> None:
    client = new(20)
    client.wrong_by = 365 * DAY
    for _ in range(4):
        client.ask(reply(x_ratelimit_limit=100))
    client.wrong_by = 0.0
    assert client.wait() == 0.0


def test_a_clock_that_was_ahead_when_the_company_had_used_up_its_day_is_no_reason_to_wait(client: Client) -> None:
    client.wrong_by = 2 * DAY
    client.ask(tokens(300))
    client.ask(tokens(204))
    client.wrong_by = 0.0
    client.ask(tokens(900))
    assert client.wait() == 0.0


def test_a_clock_that_steps_back_over_midnight_forgets_no_count() -> None:
    client = new(20, now=DAY + 2)
    client.ask(reply())
    client.wrong_by = -10.0
    client.ask(reply())
    client.wrong_by = 0.0
    client.ask(reply())
    assert client.rate_limit.day.used == 15


def test_the_count_outlives_a_restart_after_which_the_clock_is_behind_until_it_is_set() -> None:
    client = new(100)
    client.ask(reply())
    again = client.restarted(new(100).rate_limit, wrong_by=-30 * DAY)
    again.ask(reply())
    again.wrong_by = 0.0
    again.ask(reply())
    assert again.rate_limit.day.used == 15


def test_a_long_wait_outlives_a_restart(client: Client) -> None:
    client.ask(reply())
    client.ask(reply(429, retry_after=5000))
    assert client.restarted(new().rate_limit, later=1000).wait(GET) == pytest.approx(4000, abs=1)
    assert client.restarted(new().rate_limit, later=6000).wait(GET) == 0.0


def test_a_budget_used_up_outlives_a_restart(client: Client) -> None:
    client.ask(tokens(300))
    client.ask(tokens(204))
    again = client.restarted(new().rate_limit)
    assert again.wait() == pytest.approx(DAY - client.now + 1)
    assert again.wait(GET) == 0.0
    assert client.restarted(new().rate_limit, later=DAY).wait() == 0.0


def test_a_day_that_began_with_nothing_left_is_asked_about_in_the_same_hour_after_a_restart(client: Client) -> None:
    client.ask(tokens(100))
    assert client.restarted(new().rate_limit, later=1000).wait() == pytest.approx(2600, abs=1)


def test_a_raised_ceiling_holds_from_the_next_start() -> None:
    client = new(20)
    for _ in range(4):
        client.ask(reply(x_ratelimit_limit=100))
    assert client.restarted(new(20).rate_limit).wait() == pytest.approx(DAY - client.now + 1)
    assert client.restarted(new(100_000).rate_limit).wait() == 0.0


def test_a_lowered_reserve_holds_from_the_next_start(client: Client) -> None:
    client.ask(tokens(300))
    client.ask(tokens(204))
    assert client.restarted(pipedrive_rate_limit(ceiling=None, reserve=0.1)).wait() == 0.0


def test_writes_left_today_outlive_a_restart_but_not_the_day(client: Client) -> None:
    client.ask(reply(x_daily_requests_left=1))
    client.ask(reply(x_daily_requests_left=0))
    again = client.restarted(new().rate_limit)
    assert again.wait() == pytest.approx(DAY - client.now + 1)
    assert again.wait(LIST) == 0.0
    assert client.restarted(new().rate_limit, later=DAY).wait() == 0.0


def test_a_wait_stays_the_same_however_often_it_is_saved(client: Client) -> None:
    client.ask(reply())
    client.ask(reply(429, retry_after=36000))
    saved = client.rate_limit.saved(client.at)
    for minute in range(1, 500):
        at = Instant(client.now + 60.0 * minute, client.at.wall + 60.0 * minute + 1e-6 * minute)
        assert client.rate_limit.saved(at) == saved


def test_an_outage_is_not_worth_saving(client: Client) -> None:
    client.ask(reply())
    for _ in range(3):
        client.ask(None)
    assert client.rate_limit.saved(client.at).resumes_at == 0.0


@pytest.mark.parametrize("left", [900, 205])
def test_with_nothing_used_up_the_count_alone_is_saved(client: Client, left: int) -> None:
    client.ask(tokens(left))
    assert client.rate_limit.saved(client.at) == SavedPipedriveLimits(day=20_000, used=5)


@pytest.mark.parametrize("left", [204, 0])
def test_a_budget_used_up_is_saved_as_it_was_reported(client: Client, left: int) -> None:
    client.ask(tokens(900))
    client.ask(tokens(left, x_daily_requests_left=0))
    assert client.rate_limit.saved(client.at) == SavedPipedriveLimits(
        day=20_000, used=10, writes=0.0, limit=1000.0, left=left, ends_at=MIDNIGHT + DAY + 1
    )


def test_the_count_is_stored_ahead_and_again_only_once_it_has_come_up_to_that() -> None:
    def saved(used: int, day: int = 20_000) -> SavedPipedriveLimits:
        return SavedPipedriveLimits(day=day, used=used)

    assert saved(5).counted_ahead(100, saved(0)) == saved(100)
    assert saved(99).counted_ahead(100, saved(100)) == saved(100)
    assert saved(150).counted_ahead(100, saved(150)) == saved(150)
    assert saved(101).counted_ahead(100, saved(100)) == saved(200)
    assert saved(101).counted_ahead(100, saved(300)) == saved(300)
    assert saved(5, day=20_001).counted_ahead(100, saved(300)) == saved(100, day=20_001)


def test_usage_shows_what_is_left_after_the_reserve(client: Client) -> None:
    client.ask(tokens(900, x_ratelimit_remaining=999, x_daily_requests_left=77))
    assert client.rate_limit.usage(client.at) == [
        Quota(service="Pipedrive", name="requests in 2 s", limit=1000, left=999),
        Quota(service="Pipedrive", name="tokens today", limit=800, left=700, used=5, reset_at=MIDNIGHT + DAY + 1),
        Quota(service="Pipedrive", name="writes today", left=77, reset_at=MIDNIGHT + DAY + 1),
    ]
