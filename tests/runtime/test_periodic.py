"""A function called again and again."""

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent

from pipetest.runtime.periodic import Periodic
from tests.support.results import result_of


class Calls:
    """What is called; a call takes until ``under_way`` fires."""

    def __init__(self) -> None:
        self.count = 0
        self.under_way: Deferred[None] | None = None

    def __call__(self) -> "Deferred[None] | None":
        self.count += 1
        return self.under_way


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def periodic(calls: Calls, clock: Clock) -> Periodic:
    return Periodic("counting", calls, 10.0, clock)


def test_the_first_call_comes_at_once_and_the_others_after_each_interval(
    periodic: Periodic, calls: Calls, clock: Clock
) -> None:
    periodic.start()
    assert calls.count == 1
    clock.pump([9.9, 0.1, 10.0])
    assert calls.count == 3


def test_the_first_call_can_wait_for_an_interval(periodic: Periodic, calls: Calls, clock: Clock) -> None:
    periodic.start(now=False)
    assert calls.count == 0
    clock.advance(10.0)
    assert calls.count == 1


def test_calls_never_overlap(periodic: Periodic, calls: Calls, clock: Clock) -> None:
    calls.under_way = Deferred()
    periodic.start()
    clock.pump([10.0] * 3)
    assert (calls.count, periodic.waiting) == (1, False)
    calls.under_way.callback(None)
    clock.advance(10.0)
    assert calls.count == 2


def test_run_now_calls_at_once_and_then_after_each_interval(periodic: Periodic, calls: Calls, clock: Clock) -> None:
    periodic.start()
    clock.advance(4.0)
    periodic.run_now()
    assert calls.count == 2
    clock.advance(9.9)
    assert calls.count == 2
    clock.advance(0.1)
    assert calls.count == 3


def test_run_now_leaves_it_at_the_call_under_way(periodic: Periodic, calls: Calls, clock: Clock) -> None:
    calls.under_way = Deferred()
    periodic.start()
    clock.advance(4.0)
    periodic.run_now()
    calls.under_way.callback(None)
    assert calls.count == 1
    clock.advance(6.0)
    assert calls.count == 2


def test_run_now_does_not_start_what_rests(periodic: Periodic, calls: Calls) -> None:
    periodic.run_now()
    periodic.start()
    result_of(periodic.stop())
    periodic.run_now()
    assert calls.count == 1


def test_a_call_that_fails_is_logged_and_the_next_one_comes(
    clock: Clock, no_failure_is_logged_unseen: list[LogEvent]
) -> None:
    attempts: list[float] = []

    def fail() -> None:
        attempts.append(clock.seconds())
        raise ValueError("no")

    Periodic("failing", fail, 10.0, clock).start()
    clock.advance(10.0)
    assert attempts == [0.0, 10.0]
    assert [event["what"] for event in no_failure_is_logged_unseen] == ["failing", "failing"]
    no_failure_is_logged_unseen.clear()


def test_the_stop_waits_for_the_call_under_way(periodic: Periodic, calls: Calls, clock: Clock) -> None:
    calls.under_way = Deferred()
    periodic.start()
    stopped = Deferred.fromCoroutine(periodic.stop())
    ended_at: list[float] = []
    stopped.addCallback(lambda _: ended_at.append(clock.seconds()))
    clock.advance(3.0)
    assert not ended_at
    calls.under_way.callback(None)
    assert ended_at == [3.0]
    clock.advance(100.0)
    assert calls.count == 1


def test_what_never_started_stops_at_once(periodic: Periodic) -> None:
    result_of(periodic.stop())


def test_it_can_be_started_again(periodic: Periodic, calls: Calls, clock: Clock) -> None:
    periodic.start()
    result_of(periodic.stop())
    periodic.start()
    clock.advance(10.0)
    assert calls.count == 3
