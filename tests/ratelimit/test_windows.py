"""Bounds that somebody else counts are kept, whenever he counts, and used up."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pipetest.ratelimit.policy import Cost, Permit
from pipetest.ratelimit.windows import Remaining, SlidingWindow

SPAN = 2.0
KIND = Cost()


class Bursts(RuleBasedStateMachine):
    """A service that notes each request at some time while it is under way; ``noted`` are those times."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.limit = 5
        self.rolling = SlidingWindow(self.limit, SPAN)
        self.under_way: list[float] = []
        self.noted: list[float] = []
        self.place = 0

    @rule(passed=st.floats(0, 3))
    def wait_a_while(self, passed: float) -> None:
        self.now += passed

    @rule(ahead=st.integers(0, 4))
    def begin_as_soon_as_one_may(self, ahead: int) -> None:
        wait = self.rolling.wait(ahead, self.now)
        if wait < inf:
            self.now += wait + 1e-9
            assert self.rolling.wait(ahead, self.now) == 0.0
            self.rolling = self.rolling.begun()
            self.under_way.append(self.now)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), early=st.floats(0, 1))
    def end_one(self, data: st.DataObject, early: float) -> None:
        begun = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        self.noted.append(begun + (self.now - begun) * early)
        self.rolling = self.rolling.ended(self.now)

    @invariant()
    def no_window_holds_more_than_the_limit(self) -> None:
        noted = sorted(self.noted)
        assert all(later - first > SPAN for first, later in zip(noted, noted[self.limit :], strict=False))

    @invariant()
    def whatever_is_under_way_or_free_adds_up(self) -> None:
        assert self.rolling.left(self.now) == self.limit - self.rolling.taken(self.now) >= 0

    @invariant()
    def it_waits_for_nothing_only_while_something_is_under_way(self) -> None:
        assert self.under_way or self.rolling.wait(0, self.now) < inf

    @invariant()
    def a_free_slot_is_no_reason_to_wait(self) -> None:
        left = int(self.rolling.left(self.now))
        assert left == 0 or self.rolling.wait(left - 1, self.now) == 0.0
        assert self.rolling.wait(left, self.now) > 0.0


test_no_burst_is_too_big_however_it_is_counted = Bursts.TestCase


def test_without_a_limit_nobody_waits_and_nothing_piles_up() -> None:
    rolling = SlidingWindow(inf, SPAN)
    for now in range(100):
        assert rolling.wait(1000, now) == 0.0
        rolling = rolling.begun().ended(now)
    assert rolling.frees == ()


def test_what_others_take_of_the_same_limit_is_left_to_them_for_one_span() -> None:
    place = SlidingWindow(10, SPAN).place(0.0)
    rolling = SlidingWindow(10, SPAN).begun().ended(0.1).told(10, 4, place, 0.1)  # ours is one, so others took five
    assert rolling.left(0.1) == 4
    assert rolling.wait(3, 0.1) == 0.0
    assert rolling.wait(4, 0.1) == pytest.approx(SPAN)
    assert rolling.wait(8, 0.1 + SPAN) == 0.0


def test_a_limit_that_others_use_up_comes_back() -> None:
    rolling = SlidingWindow(10, SPAN).begun().ended(0.1).told(10, 0, 0, 0.1)
    assert rolling.wait(0, 0.1) == pytest.approx(SPAN)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 1), st.floats(0, 1)), max_size=40))
def test_our_own_requests_are_never_taken_for_those_of_others(requests: list[tuple[float, float, float]]) -> None:
    """Each request is (pause before it, seconds it takes, when of these it is noted); answers tell what is left."""
    rolling, events, now = SlidingWindow(1000, SPAN), [], 0.0
    for index, (pause, takes, early) in enumerate(requests):
        now += pause
        events += [(now, 0, index), (now + takes * early, 1, index), (now + takes, 2, index)]
    noted: list[float] = []
    places, left = {}, {}
    for at, step, index in sorted(events):
        if step == 0:
            places[index] = rolling.place(at)
            rolling = rolling.begun()
        elif step == 1:
            noted.append(at)
            left[index] = 1000 - sum(at - SPAN < one for one in noted)
        else:
            rolling = rolling.ended(at).told(1000, left[index], places[index], at)
            assert rolling.foreign == 0.0


class Counter(RuleBasedStateMachine):
    """A service that counts down; it notes requests in any order and its answers arrive in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.true = 1000
        self.left = Remaining()
        self.sent: list[Permit] = []
        self.noted: list[tuple[Permit, float]] = []

    @rule(passed=st.sampled_from([0.0, 1.0]), price=st.integers(1, 20))
    def begin(self, passed: float, price: int) -> None:
        self.now += passed
        self.left = self.left.begun(price)
        self.sent.append(Permit(Cost(price), self.now, 0))

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def note(self, data: st.DataObject) -> None:
        ticket = self.sent.pop(data.draw(st.integers(0, len(self.sent) - 1)))
        self.true -= ticket.kind.price
        self.noted.append((ticket, self.true))

    @precondition(lambda self: self.noted)
    @rule(data=st.data(), passed=st.sampled_from([0.0, 1.0]), silent=st.booleans())
    def answer(self, data: st.DataObject, passed: float, *, silent: bool) -> None:
        self.now += passed
        ticket, left = self.noted.pop(data.draw(st.integers(0, len(self.noted) - 1)))
        price = ticket.kind.price
        self.left = self.left.ended(ticket, price, None if silent else left, self.now, taken=price)

    @invariant()
    def no_more_is_believed_than_there_is(self) -> None:
        pending = sum(ticket.kind.price for ticket in self.sent)
        assert self.left.said is None or self.left.sure <= self.true - pending

    @invariant()
    def what_is_under_way_is_known(self) -> None:
        assert self.left.under_way == sum(t.kind.price for t in [*self.sent, *(t for t, _ in self.noted)])

    @precondition(lambda self: not self.sent and not self.noted)
    @rule()
    def ask_alone(self) -> None:
        self.now += 1.0
        self.left = self.left.begun(1).ended(Permit(KIND, self.now, 0), 1, self.true, self.now + 1.0, taken=1)
        self.now += 1.0
        assert self.left.sure == self.true


test_a_countdown_is_never_believed_to_be_higher_than_it_is = Counter.TestCase


def test_a_later_request_may_tell_that_there_is_more_again() -> None:
    left = Remaining(said=3.0, ended_at=10.0).begun(1)
    assert left.ended(Permit(KIND, 11.0, 0), 1, 500.0, 12.0, taken=1).sure == 500.0


def test_without_a_limit_nothing_is_ever_used_up() -> None:
    assert Remaining(said=inf).begun(5).ended(Permit(KIND, 0.0, 0), 5, None, 1.0, taken=5).sure == inf


def test_all_slots_are_free_one_span_after_the_last_request_has_ended() -> None:
    rolling = SlidingWindow(10, SPAN).begun().begun().ended(1.0)
    assert rolling.free_at(2.0) == 2.0 + SPAN  # one more is under way
    assert rolling.ended(4.0).free_at(5.0) == 4.0 + SPAN
    assert rolling.ended(4.0).free_at(50.0) == 50.0
