"""Limits that somebody else counts are respected, whenever he counts, and used up."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pipetest.ratelimit.policy import Cost, Permit, finite
from pipetest.ratelimit.windows import Remaining, SlidingWindow

SPAN = 2.0
COST = Cost()


class Bursts(RuleBasedStateMachine):
    """A service that counts each request at some time while it is under way; ``counted`` are those times."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.limit = 5
        self.window = SlidingWindow(self.limit, SPAN)
        self.under_way: list[float] = []
        self.counted: list[float] = []

    @rule(passed=st.floats(0, 3))
    def wait_a_while(self, passed: float) -> None:
        self.now += passed

    @rule(ahead=st.integers(0, 4))
    def start_as_soon_as_one_may(self, ahead: int) -> None:
        wait = self.window.wait(ahead, self.now)
        if wait < inf:
            self.now += wait + 1e-9
            assert self.window.wait(ahead, self.now) == 0.0
            self.window = self.window.started()
            self.under_way.append(self.now)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), early=st.floats(0, 1))
    def finish_one(self, data: st.DataObject, early: float) -> None:
        started_at = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        self.counted.append(started_at + (self.now - started_at) * early)
        self.window = self.window.finished(self.now)

    @invariant()
    def no_window_holds_more_than_the_limit(self) -> None:
        counted = sorted(self.counted)
        assert all(later - first > SPAN for first, later in zip(counted, counted[self.limit :], strict=False))

    @invariant()
    def whatever_is_under_way_or_free_adds_up(self) -> None:
        assert self.window.left(self.now) == self.limit - self.window.used_by_us(self.now) >= 0

    @invariant()
    def it_waits_for_nothing_only_while_something_is_under_way(self) -> None:
        assert self.under_way or self.window.wait(0, self.now) < inf

    @invariant()
    def a_free_slot_is_no_reason_to_wait(self) -> None:
        left = int(self.window.left(self.now))
        assert left == 0 or self.window.wait(left - 1, self.now) == 0.0
        assert self.window.wait(left, self.now) > 0.0


test_no_burst_is_too_big_however_it_is_counted = Bursts.TestCase


def test_without_a_limit_nobody_waits_and_nothing_piles_up() -> None:
    window = SlidingWindow(inf, SPAN)
    for now in range(100):
        assert window.wait(1000, now) == 0.0
        window = window.started().finished(now)
    assert (window.releases, window.under_way) == ((), 0)


def test_what_others_take_of_the_same_limit_is_left_to_them_for_one_span() -> None:
    unused = SlidingWindow(10, SPAN)
    ended = unused.started().finished(0.1)
    window = ended.reported(10, 4, unused.oldest_counted(0.0), 0.1)  # ours is one, so others took five
    assert window.left(0.1) == 4
    assert window.wait(3, 0.1) == 0.0
    assert window.wait(4, 0.1) == pytest.approx(SPAN)
    assert window.wait(8, 0.1 + SPAN) == 0.0


def test_a_limit_that_others_use_up_comes_back() -> None:
    window = SlidingWindow(10, SPAN).started().finished(0.1).reported(10, 0, 0, 0.1)
    assert window.wait(0, 0.1) == pytest.approx(SPAN)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 1), st.floats(0, 1)), max_size=40))
def test_our_own_requests_are_never_taken_for_those_of_others(requests: list[tuple[float, float, float]]) -> None:
    """A request is (pause before it, seconds it takes, after which part of them it is counted)."""
    window, events, now = SlidingWindow(1000, SPAN), [], 0.0
    for index, (pause, takes, early) in enumerate(requests):
        now += pause
        events += [(now, 0, index), (now + takes * early, 1, index), (now + takes, 2, index)]
    counted: list[float] = []
    oldest, left = dict[int, int](), dict[int, int]()
    for at, step, index in sorted(events):
        if step == 0:
            oldest[index] = window.oldest_counted(at)
            window = window.started()
        elif step == 1:
            counted.append(at)
            left[index] = 1000 - sum(at - SPAN < one for one in counted)
        else:
            window = window.finished(at).reported(1000, left[index], oldest[index], at)
            assert window.used_by_others == 0.0


class Countdown(RuleBasedStateMachine):
    """A service that counts down; it counts requests in any order and its answers arrive in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.true = 1000
        self.left = Remaining()
        self.sent: list[Permit] = []
        self.counted: list[tuple[Permit, float]] = []

    @rule(passed=st.sampled_from([0.0, 1.0]), price=st.integers(1, 20))
    def start(self, passed: float, price: int) -> None:
        self.now += passed
        self.left = self.left.started(price)
        self.sent.append(Permit(Cost(price), self.now, 0))

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def count(self, data: st.DataObject) -> None:
        permit = self.sent.pop(data.draw(st.integers(0, len(self.sent) - 1)))
        self.true -= permit.cost.price
        self.counted.append((permit, self.true))

    @precondition(lambda self: self.counted)
    @rule(data=st.data(), passed=st.sampled_from([0.0, 1.0]), silent=st.booleans())
    def answer(self, data: st.DataObject, passed: float, *, silent: bool) -> None:
        self.now += passed
        permit, left = self.counted.pop(data.draw(st.integers(0, len(self.counted) - 1)))
        price = permit.cost.price
        self.left = self.left.finished(permit, price, None if silent else left, self.now, taken=price)

    @invariant()
    def no_more_is_believed_than_there_is(self) -> None:
        pending = sum(permit.cost.price for permit in self.sent)
        assert self.left.reported is None or self.left.available <= self.true - pending

    @invariant()
    def what_is_under_way_is_known(self) -> None:
        under_way = [*self.sent, *(permit for permit, _ in self.counted)]
        assert self.left.under_way == sum(permit.cost.price for permit in under_way)

    @precondition(lambda self: not self.sent and not self.counted)
    @rule()
    def ask_alone(self) -> None:
        self.now += 1.0
        self.left = self.left.started(1).finished(Permit(COST, self.now, 0), 1, self.true, self.now + 1.0, taken=1)
        self.now += 1.0
        assert self.left.available == self.true


test_a_countdown_is_never_believed_to_be_higher_than_it_is = Countdown.TestCase


def test_a_later_request_may_tell_that_there_is_more_again() -> None:
    left = Remaining(reported=3.0, last_finished=10.0).started(1)
    assert left.finished(Permit(COST, 11.0, 0), 1, 500.0, 12.0, taken=1).available == 500.0


def test_without_a_limit_nothing_is_ever_used_up() -> None:
    assert Remaining(reported=inf).started(5).finished(Permit(COST, 0.0, 0), 5, None, 1.0, taken=5).available == inf


def test_people_are_shown_no_infinite_number() -> None:
    assert (finite(inf), finite(0.0), finite(20.0)) == (None, 0.0, 20.0)


def test_all_slots_are_free_one_span_after_the_last_request_has_ended() -> None:
    window = SlidingWindow(10, SPAN).started().started().finished(1.0)
    assert window.last_release(2.0) == 2.0 + SPAN  # one more is under way
    assert window.finished(4.0).last_release(5.0) == 4.0 + SPAN
    assert window.finished(4.0).last_release(50.0) == 50.0
