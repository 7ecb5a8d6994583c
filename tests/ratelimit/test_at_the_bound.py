"""Through a limiter each limit is used up, and not one request exceeds it."""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock

from pipetest.domain.interfaces import Time
from pipetest.github.rate_limit import github_rate_limit
from pipetest.pipedrive.prices import CREATE
from pipetest.ratelimit.limiter import RateLimiter
from tests.support.ratelimit.models import (
    DAY,
    PAGE,
    POST,
    START,
    GitHubModel,
    Harness,
    PipedriveModel,
    ServiceModel,
    asked,
    succeeded,
)


@pytest.fixture
def harness() -> Harness:
    return Harness.of()


@settings(deadline=None, max_examples=30)
@given(st.integers(5, 60), st.floats(0.001, 0.15), st.integers(0, 2**32))
def test_a_backfill_uses_nine_tenths_of_the_burst_limit_without_one_refusal(
    burst: int, latency: float, seed: int
) -> None:
    harness = Harness.of(seed)
    service = PipedriveModel(harness.clock, harness.random, latency, burst=burst)
    creates = asked(harness.pipedrive(service), *[POST] * (burst * 12))
    harness.run_until(100)
    assert succeeded(creates) == len(creates)
    assert set(service.statuses) == {200}
    took = service.counted[-1] - service.counted[0]
    assert len(creates) >= 0.9 * burst * took / 2.0


def test_other_users_of_the_same_key_get_their_share_of_a_burst(harness: Harness) -> None:
    service = PipedriveModel(harness.clock, harness.random)
    service.counted += [0.0] * 8
    asked(harness.pipedrive(service), *[POST] * 60)
    harness.run_until(60)
    assert service.statuses == [200] * 60


@settings(deadline=None, max_examples=10)
@given(st.integers(1000, 3000), st.sampled_from([0.0, 5 * 3600.0, 20 * 3600.0]), st.integers(0, 2**32))
def test_a_day_leaves_a_fifth_and_uses_the_rest_whenever_it_begins(tokens: int, midnight: float, seed: int) -> None:
    harness = Harness.of(seed)
    service = PipedriveModel(harness.clock, harness.random, tokens=tokens, midnight=midnight)
    creates = asked(harness.pipedrive(service), *[POST] * 1500)
    harness.run_until(3 * DAY)
    assert 429 not in service.statuses
    left_over = 0.2 * tokens
    assert service.left >= left_over - 24 * CREATE.price  # a day that turns late is asked about every hour
    ours = 0.8 * tokens
    assert succeeded(creates) >= min(1500, 0.9 * 2 * ours / CREATE.price)


@given(st.integers(5, 400), st.integers(0, 2**32))
@settings(deadline=None, max_examples=20)
def test_our_own_ceiling_holds_over_restarts(ceiling: int, seed: int) -> None:
    harness = Harness.of(seed)
    service = ServiceModel(harness.clock, harness.random)
    limiter = harness.pipedrive(service, ceiling)
    for restart in range(1, 6):
        asked(limiter, *[POST] * 40)
        harness.run_until(restart * 100)
        saved = limiter.saved()
        limiter.close()
        limiter = harness.pipedrive(service, ceiling)
        limiter.restore(saved)
    assert len(service.counted) == min(ceiling // 5, 200)
    asked(limiter, *[POST] * 10)
    harness.run_until(DAY + 100)
    assert len(service.counted) == min(ceiling // 5, 200) + min(ceiling // 5, 10)


@pytest.mark.parametrize("hourly", [7, 60, 200])
def test_without_a_token_every_hour_is_used_up_and_none_is_overrun(harness: Harness, hourly: int) -> None:
    service = GitHubModel(harness.clock, harness.random, hourly=hourly)
    pages = asked(harness.github(service), *[PAGE] * (hourly * 3 + 1))
    harness.run_until(3 * 3600 - 0.1)
    assert set(service.statuses) == {200}
    assert succeeded(pages) >= 0.9 * 3 * hourly
    harness.run_until(3 * 3600 + 10)
    assert succeeded(pages) == len(pages)


def test_with_a_token_the_minute_is_the_bound(harness: Harness) -> None:
    service = GitHubModel(harness.clock, harness.random, latency=0.02, hourly=5000)
    asked(harness.github(service, token=True), *[PAGE] * 6000)
    harness.run_until(180)
    for start in range(0, 120, 5):
        assert sum(start < at <= start + 60 for at in service.counted) <= 900
    assert len(service.counted) >= 0.9 * 3 * 900
    assert set(service.statuses) == {200}


def test_a_clock_too_coarse_for_a_wait_is_not_asked_again_and_again() -> None:
    """Where both clocks count from the epoch, their sums are right to a quarter of a microsecond only."""

    class Counting(Clock):
        alarms = 0

        def callLater(self, delay: float, *args: Any, **kw: Any) -> IDelayedCall:
            self.alarms += 1
            assert self.alarms < 1000
            return super().callLater(delay, *args, **kw)

    clock = Counting()
    clock.rightNow = START + 0.1
    service = GitHubModel(clock, Random(0), hourly=35)
    service.epoch = 0.0
    time = Time(wall=clock.seconds, monotonic=clock.seconds)
    limiter = RateLimiter("Model", github_rate_limit(token=False, host="ghe.example"), service, time, clock, Random(0))
    pages = asked(limiter, *[PAGE] * 35)
    Harness(clock, Random(0)).run_until(START + 3600)
    assert succeeded(pages) == 35
