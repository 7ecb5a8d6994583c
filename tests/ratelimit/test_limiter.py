"""Requests queue before an API: who goes first, who gives up, and what is logged meanwhile."""

from random import Random

import pytest

from pipetest.domain.model import Reply, Request
from pipetest.pipedrive.prices import CREATE
from pipetest.pipedrive.rate_limit import pipedrive_rate_limit
from tests.support.ratelimit.models import (
    DAY,
    LIST,
    POST,
    Harness,
    PipedriveModel,
    ServiceModel,
    asked,
    succeeded,
)
from tests.support.results import result_of


@pytest.fixture
def harness() -> Harness:
    return Harness.of()


# --- refusals and outages ---------------------------------------------------------------------------------------------


def test_an_outage_is_probed_one_request_at_a_time_and_ends_without_a_storm(harness: Harness) -> None:
    service = PipedriveModel(harness.clock, harness.random)
    limiter = harness.pipedrive(service)
    reads = asked(limiter, *[LIST] * 20)
    harness.run_until(10)
    service.down = True
    lost = asked(limiter, *[LIST] * 300)
    before = len(service.counted)
    harness.run_until(610)
    assert 600 / 6 <= len(service.counted) - before <= 20 + 600 / 2.5
    service.down = False
    harness.run_until(700)
    assert succeeded(reads + lost) == 320
    assert service.statuses == [200] * len(service.statuses)


def test_while_refused_nobody_asks_and_one_goes_first(harness: Harness) -> None:
    class Refusing(ServiceModel):
        def judge(self, request: Request) -> tuple[int, dict[str, float]]:
            if 10 < self.clock.seconds() < 100:
                return 429, {"retry-after": 90}
            return 200, {"x-ratelimit-limit": 20}

    service = Refusing(harness.clock, harness.random)
    limiter = harness.pipedrive(service)
    asked(limiter, LIST)
    harness.run_until(11)
    asked(limiter, LIST)
    harness.run_until(12)
    asked(limiter, *[LIST] * 10)
    harness.run_until(300)
    assert service.statuses.count(429) == 1
    first, second = service.counted[2:4]
    assert first >= 101
    assert second > first + 0.02


def test_creates_that_would_have_to_wait_for_long_are_dismissed_and_reads_are_not(harness: Harness) -> None:
    service = PipedriveModel(harness.clock, harness.random, tokens=100)
    limiter = harness.limiter(pipedrive_rate_limit(ceiling=None, reserve=0.0), service, longest_create_wait=5.0)
    creates = asked(limiter, *[POST] * 40)
    harness.run_until(600)
    reads = asked(limiter, LIST)
    harness.run_until(1200)
    assert service.statuses == [200] * 20
    assert (succeeded(creates), succeeded(reads)) == (40, 0)


def test_creates_that_are_taken_back_while_they_wait_do_not_go_and_reads_do(harness: Harness) -> None:
    service = PipedriveModel(harness.clock, harness.random, burst=1)
    limiter = harness.pipedrive(service)
    waiting = asked(limiter, POST, POST, POST, LIST)
    harness.run_until(1)
    limiter.take_back_creates()
    harness.run_until(60)
    assert succeeded(waiting) == 4
    assert [result_of(answer) is not None for answer in waiting] == [True, False, False, True]


def test_no_create_is_ready_before_a_read_that_waits(harness: Harness) -> None:
    service = PipedriveModel(harness.clock, harness.random, tokens=45)
    limiter = harness.limiter(pipedrive_rate_limit(ceiling=None, reserve=0.0), service)
    asked(limiter, LIST, LIST, LIST)
    harness.run_until(60)
    read = asked(limiter, Request("GET", "https://acme.pipedrive.com/api/v2/deals/archived", {}))
    harness.run_until(120)
    assert succeeded(read) == 0
    assert limiter.ready(CREATE) > 120 + 60


# --- the queue --------------------------------------------------------------------------------------------------------


def test_reads_go_before_creates_else_first_come_first_served(harness: Harness) -> None:
    order: list[str] = []

    class Noting(PipedriveModel):
        def judge(self, request: Request) -> tuple[int, dict[str, float]]:
            order.append(request.headers.get("n", "?"))
            return super().judge(request)

    limiter = harness.pipedrive(Noting(harness.clock, Random(0), latency=0.0, burst=1))
    asked(
        limiter,
        *[Request(m, POST.url, {"n": n}) for m, n in [("POST", "1"), ("POST", "2"), ("GET", "3"), ("GET", "4")]],
    )
    harness.run_until(60)
    assert order == ["1", "3", "4", "2"]


def test_without_anything_to_wait_for_a_request_goes_at_once(harness: Harness) -> None:
    service = ServiceModel(harness.clock, harness.random, latency=0.0)
    limiter = harness.pipedrive(service)
    asked(limiter, LIST)
    harness.run_until(0.0)
    assert len(service.counted) == 1


def test_many_that_are_answered_at_once_do_not_pile_up_on_the_stack(harness: Harness) -> None:
    class Instant(ServiceModel):
        async def __call__(self, request: Request) -> Reply:
            if not self.counted:
                return await super().__call__(request)
            return Reply(200, {}, b"{}")

    requests = asked(harness.pipedrive(Instant(harness.clock, harness.random)), *[LIST] * 3000)
    harness.run_until(1)
    assert succeeded(requests) == 3000


def test_nothing_is_scheduled_while_nothing_waits(harness: Harness) -> None:
    limiter = harness.pipedrive(PipedriveModel(harness.clock, harness.random))
    asked(limiter, *[POST] * 30)
    harness.run_until(60)
    assert harness.clock.getDelayedCalls() == []


def test_who_gives_up_leaves_the_queue(harness: Harness) -> None:
    service = PipedriveModel(harness.clock, harness.random, burst=1)
    limiter = harness.pipedrive(service)
    first, second, third = asked(limiter, LIST, LIST, LIST)
    second.addErrback(lambda failure: None)
    second.cancel()
    harness.run_until(3)
    assert third.called  # two seconds after the first: the place before it is empty
    harness.run_until(10)
    assert len(service.counted) == 2
    assert (first.called, third.called) == (True, True)


def test_an_exchange_given_up_ends_too(harness: Harness) -> None:
    limiter = harness.pipedrive(PipedriveModel(harness.clock, harness.random))
    (request,) = asked(limiter, LIST)
    request.addErrback(lambda failure: None)
    request.cancel()
    assert limiter.rate_limit.cooldown.under_way == 0


def test_closing_sends_nothing_more_and_lets_what_is_under_way_end(harness: Harness) -> None:
    service = PipedriveModel(harness.clock, harness.random)
    limiter = harness.pipedrive(service)
    first, second = asked(limiter, LIST, LIST)
    limiter.close()
    (late,) = asked(limiter, LIST)
    assert (first.called, second.called, late.called) == (False, True, True)
    harness.run_until(100)
    assert first.called
    assert len(service.counted) == 1


# --- who plans ahead --------------------------------------------------------------------------------------------------


def test_who_creates_can_ask_when_a_create_could_go(harness: Harness) -> None:
    limiter = harness.pipedrive(PipedriveModel(harness.clock, harness.random, latency=0.05))
    asked(limiter, LIST)
    assert limiter.ready(CREATE) == float("inf")  # the first answer is awaited
    harness.run_until(1)
    assert limiter.ready(CREATE, ahead=18) == 1.0
    assert limiter.ready(CREATE, ahead=19) == pytest.approx(2.05, abs=0.01)
    assert limiter.ready(CREATE, ahead=20) == float("inf")


def test_those_in_the_queue_go_before(harness: Harness) -> None:
    limiter = harness.pipedrive(PipedriveModel(harness.clock, harness.random, burst=2))
    asked(limiter, LIST)
    harness.run_until(0.1)
    asked(limiter, POST)
    harness.run_until(0.2)
    asked(limiter, POST)
    assert limiter.ready(CREATE) == pytest.approx(2.15, abs=0.01)


def test_its_usage_shows_how_things_stand(harness: Harness) -> None:
    limiter = harness.pipedrive(PipedriveModel(harness.clock, harness.random, tokens=100))
    creates = asked(limiter, *[POST] * 20)
    harness.run_until(10)
    assert (limiter.rate_limit.cooldown.under_way, len(creates) - succeeded(creates)) == (0, 4)
    assert limiter.ready(CREATE) == DAY + 1
    tokens = limiter.usage()[1]
    assert (tokens.limit, tokens.left, tokens.used) == (80, 0, 80)
