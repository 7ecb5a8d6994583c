"""The forecast reckons with the day's tokens, the reserve and the pace of creating."""

from datetime import UTC, datetime
from math import inf

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pipetest.monitoring.forecast import forecast
from pipetest.pipedrive.rate_limit import Budget

NOW = datetime(2026, 11, 24, 14, 9, 30, tzinfo=UTC).timestamp()
MIDNIGHT = datetime(2026, 11, 25, tzinfo=UTC).timestamp()
BUDGET = Budget(left=2480.0, a_day=24_000.0, next_day_at=MIDNIGHT, per_second=10.0, resumes_at=0.0)


def test_what_fits_into_today_is_done_at_the_pace_of_the_burst_limit() -> None:
    text = str(forecast(312, 0, BUDGET, NOW))
    assert text == "312 deals wait, 1,560 tokens; 2,480 left today after the reserve; done about 14:10 UTC"


def test_organizations_cost_tokens_too() -> None:
    assert forecast(10, 2, BUDGET, NOW).tokens == 60


def test_what_does_not_fit_into_today_goes_on_after_midnight() -> None:
    text = str(forecast(1000, 0, BUDGET, NOW))
    assert text == (
        "1,000 deals wait, 5,000 tokens; 2,480 left today after the reserve; done about 2026-11-25 00:00 UTC"
    )


def test_a_big_backfill_takes_days() -> None:
    done_at = forecast(496 + 4800 * 2 + 100, 0, BUDGET, NOW).done_at
    assert done_at == MIDNIGHT + 2 * 86400 + 10


def test_a_cooldown_is_waited_for() -> None:
    assert forecast(10, 0, replace(BUDGET, resumes_at=NOW + 3600), NOW).done_at == NOW + 3601
    assert forecast(10, 0, replace(BUDGET, resumes_at=MIDNIGHT + 60), NOW).done_at == MIDNIGHT + 61


def test_a_cooldown_beyond_midnight_leaves_nothing_of_today() -> None:
    budget = replace(BUDGET, a_day=2500.0, resumes_at=MIDNIGHT + 60)
    assert forecast(600, 0, budget, NOW).done_at == MIDNIGHT + 60 + 86400 + 10


def test_without_limits_it_is_done_at_once() -> None:
    unlimited = Budget(left=inf, a_day=inf, next_day_at=MIDNIGHT, per_second=inf, resumes_at=0.0)
    assert str(forecast(1, 0, unlimited, NOW)) == "1 deal waits, 5 tokens; done about 14:09 UTC"


def test_with_a_limit_known_for_today_alone_the_rest_is_done_tomorrow() -> None:
    assert forecast(1000, 0, replace(BUDGET, a_day=inf), NOW).done_at == MIDNIGHT + 50.4


def test_a_budget_too_small_for_one_create_is_said() -> None:
    text = str(forecast(3, 0, replace(BUDGET, left=0.0, a_day=4.0), NOW))
    assert text == "3 deals wait, 15 tokens; 0 left today after the reserve; the daily budget allows none"


def test_writes_used_up_for_today_leave_the_rest_to_tomorrow() -> None:
    assert forecast(100, 0, replace(BUDGET, writes=40), NOW).done_at == MIDNIGHT + 6
    assert forecast(40, 0, replace(BUDGET, writes=40), NOW).done_at == NOW + 4


def test_while_nothing_is_created_no_end_is_promised() -> None:
    paused = forecast(312, 0, BUDGET, NOW, "creation is paused by an operator")
    assert paused.done_at is None
    assert str(paused) == (
        "312 deals wait, 1,560 tokens; 2,480 left today after the reserve; creation is paused by an operator"
    )


def test_nothing_to_do_is_said_shortly() -> None:
    assert str(forecast(0, 0, BUDGET, NOW)) == "no deal waits"


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.integers(0, 10**5), st.integers(5, 10**6))
def test_more_work_is_never_done_sooner(deals: int, more: int, left: int, a_day: int) -> None:
    budget = replace(BUDGET, left=float(left), a_day=float(a_day))
    sooner, later = (forecast(n, 0, budget, NOW).done_at for n in (deals, deals + more))
    assert sooner is not None
    assert later is not None
    assert NOW <= sooner <= later
