"""When the whole client waits, for how long, and which answers are news."""

from math import inf

import pytest

from pipetest.domain.backoff import LONGEST_WAIT_S
from pipetest.ratelimit.cooldown import Cooldown
from pipetest.ratelimit.policy import Cost, Instant, Permit

BEFORE, NOW = 6, 7
"""So many waits had begun when a request started: one less than now, or as many."""


def permit(waits: int) -> Permit:
    return Permit(Cost(), 0.0, waits)


def cooldown(*, until: float = -inf, refusals: int = 0, failures: int = 0, probing: bool = False) -> Cooldown:
    return Cooldown(until, probing, refusals, failures, waits=NOW, under_way=3)


def ended(cooldown: Cooldown) -> Cooldown:
    """One request less is under way, and nothing else has changed."""
    return Cooldown(cooldown.until, cooldown.probing, cooldown.refusals, cooldown.failures, cooldown.waits, under_way=2)


@pytest.mark.parametrize("before", [cooldown(), cooldown(until=5.0, refusals=2, failures=1, probing=True)])
def test_what_was_under_way_when_a_wait_began_is_no_news(before: Cooldown) -> None:
    assert before.answered(permit(BEFORE)) == ended(before)
    assert before.failed(permit(BEFORE), 100.0, 0.5) == ended(before)
    assert before.attempts(permit(BEFORE)) == before.refusals


def test_an_answer_ends_all_waiting_but_not_what_is_under_way() -> None:
    waiting = cooldown(until=5.0, refusals=2, failures=1, probing=True)
    assert waiting.answered(permit(NOW)) == Cooldown(waits=NOW, under_way=2)


def test_a_refusal_is_waited_out_even_where_it_is_no_news() -> None:
    before = cooldown(refusals=1, failures=2)
    assert before.attempts(permit(NOW)) == 2
    assert before.refused(permit(NOW), 10.0, 100.0, 0.5) == Cooldown(110.5, True, 2, 0, NOW + 1, under_way=2)
    assert before.refused(permit(BEFORE), 10.0, 100.0, 0.5) == Cooldown(110.5, False, 1, 2, NOW, under_way=2)
    longer = cooldown(until=200.0)
    assert longer.refused(permit(BEFORE), 10.0, 100.0, 0.5) == ended(longer)


@pytest.mark.parametrize(
    ("failures", "probing", "waits"),
    [
        (0, False, None),
        (1, False, None),
        (2, False, 1.0),
        (3, True, 2.0),
        (4, True, 4.0),
        (5, True, 5.0),
        (50, True, 5.0),
        (0, True, 1.0),  # the probe after a refusal
    ],
)
def test_after_the_third_failure_it_waits_from_one_second_to_five_and_up_to_half_less(
    failures: int, *, probing: bool, waits: float | None
) -> None:
    after = cooldown(failures=failures, probing=probing).failed(permit(NOW), 100.0, 0.5)
    if waits is None:
        assert after == ended(cooldown(failures=failures + 1))
    else:
        assert after == Cooldown(100.0 + waits * 0.75, True, 0, failures + 1, NOW + 1, under_way=2)


@pytest.mark.parametrize(
    ("before", "under_way", "ahead", "wait"),
    [
        (Cooldown(), 5, 5, 0.0),
        (Cooldown(until=103.0), 1, 1, 3.0),
        (Cooldown(until=97.0), 0, 0, 0.0),
        (Cooldown(until=103.0, probing=True), 0, 0, 3.0),
        (Cooldown(until=97.0, probing=True), 0, 0, 0.0),
        (Cooldown(until=97.0, probing=True), 1, 0, inf),
        (Cooldown(until=97.0, probing=True), 0, 1, inf),
        (Cooldown(until=97.0, probing=True), 1, 1, inf),
    ],
)
def test_a_probe_goes_alone(before: Cooldown, under_way: int, ahead: int, wait: float) -> None:
    for _ in range(under_way):
        before = before.started()
    assert before.wait(ahead, 100.0) == wait


AT = Instant(monotonic=100.0, wall=5000.25)


@pytest.mark.parametrize(("until", "resumes_at"), [(-inf, 0.0), (105.0, 0.0), (105.5, 5006.0), (110.0, 5011.0)])
def test_only_a_wait_longer_than_an_outages_is_stored(until: float, resumes_at: float) -> None:
    assert Cooldown(until, probing=True).resumes_at(AT) == resumes_at


@pytest.mark.parametrize(
    ("resumes_at", "until"),
    [
        (0.0, None),
        (AT.wall, None),
        (AT.wall + 0.5, 100.5),
        (AT.wall + LONGEST_WAIT_S, 100.0 + LONGEST_WAIT_S),
        (AT.wall + LONGEST_WAIT_S + 1.0, None),
    ],
)
def test_a_stored_wait_holds_for_a_day_at_most_and_ends_with_a_probe(resumes_at: float, until: float | None) -> None:
    fresh = Cooldown(waits=2)
    assert fresh.restored(resumes_at, AT) == (fresh if until is None else Cooldown(until, probing=True, waits=2))
