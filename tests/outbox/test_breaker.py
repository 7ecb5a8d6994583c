"""When creates go out freely, one at a time, or not at all."""

from collections.abc import Iterable

from pipetest.domain.errors import Denied, Malformed, RateLimited, Unanswered
from pipetest.domain.model import AccountRefuses, Created, NotNow, Outcome, RefusedForGood, Unknown
from pipetest.outbox.breaker import (
    FAILURE_THRESHOLD,
    LASTING_LONGEST_S,
    PROBE_FIRST_S,
    PROBE_LONGEST_S,
    CircuitBreaker,
)

REFUSES = AccountRefuses("wrong key")
CAPPED = AccountRefuses("too many open deals", capped=True, lasting=True)
LOST = Unknown("timed out")
REFUSED = RefusedForGood("no title", organization_in_doubt=False)
WRONG_KEY = Denied("Pipedrive", "wrong key")


def after(*outcomes: Outcome) -> CircuitBreaker:
    """A breaker after creates of gist a, each of which began as soon as it was allowed."""
    breaker = CircuitBreaker()
    let(breaker, *outcomes)
    return breaker


def let(breaker: CircuitBreaker, *outcomes: Outcome, key: str = "gist a") -> None:
    for outcome in outcomes:
        breaker.create_ended(key, outcome, breaker.epoch, breaker.not_before)


def waits_of(outcomes: Iterable[Outcome]) -> list[float]:
    breaker, waits = CircuitBreaker(), []
    for outcome in outcomes:
        before = breaker.not_before
        let(breaker, outcome)
        waits.append(breaker.not_before - before)
    return waits


def test_a_new_breaker_is_closed_and_allows_many_at_once() -> None:
    assert CircuitBreaker().closed
    assert CircuitBreaker().allows(under_way=39, now=0.0)


def test_a_refusal_by_the_account_opens_it_until_the_first_probe() -> None:
    breaker = CircuitBreaker()
    breaker.create_ended("gist a", REFUSES, 0, 100.0)
    assert breaker.refusal == "wrong key"
    assert not breaker.allows(under_way=0, now=100.0 + PROBE_FIRST_S - 0.1)
    assert breaker.allows(under_way=0, now=100.0 + PROBE_FIRST_S)
    assert not breaker.allows(under_way=1, now=100.0 + PROBE_FIRST_S)


def test_the_probe_stays_the_same_record() -> None:
    breaker = after(REFUSES)
    let(breaker, REFUSES, key="gist b")
    assert breaker.probe == "gist a"


def test_probes_come_after_ten_seconds_doubling_to_five_minutes() -> None:
    assert waits_of([REFUSES] * 7) == [10, 20, 40, 80, 160, PROBE_LONGEST_S, PROBE_LONGEST_S]


def test_probes_of_a_cap_or_a_block_come_as_rarely_as_once_an_hour() -> None:
    assert waits_of([CAPPED] * 12)[-1] == LASTING_LONGEST_S


def test_a_success_of_the_probe_closes_it() -> None:
    breaker = after(REFUSES, Created(1))
    assert breaker.closed
    assert breaker.allows(under_way=39, now=breaker.not_before)


def test_a_probe_refused_on_its_own_merits_shows_that_the_account_no_longer_refuses() -> None:
    assert after(REFUSES, REFUSED).refusal is None


def test_a_lost_answer_of_the_probe_leaves_it_open() -> None:
    breaker = after(REFUSES, LOST)
    assert breaker.refusal == "wrong key"
    assert not breaker.closed


def test_the_outcomes_of_what_was_under_way_when_it_opened_do_not_count() -> None:
    breaker = CircuitBreaker()
    breaker.create_ended("gist a", REFUSES, 0, 0.0)
    state = vars(breaker).copy()
    for outcome in (REFUSES, LOST, REFUSED, Created(1)):
        breaker.create_ended("gist b", outcome, 0, 1.0)
    assert vars(breaker) == state


def test_three_lost_answers_in_a_row_make_it_half_open() -> None:
    breaker = after(*[LOST] * (FAILURE_THRESHOLD - 1))
    assert breaker.closed
    let(breaker, LOST)
    assert breaker.half_open
    assert breaker.not_before == PROBE_FIRST_S
    assert not breaker.allows(under_way=1, now=PROBE_FIRST_S)
    assert breaker.allows(under_way=0, now=PROBE_FIRST_S)


def test_three_refusals_for_good_in_a_row_make_it_half_open() -> None:
    assert after(*[REFUSED] * FAILURE_THRESHOLD).half_open


def test_after_a_success_failures_are_counted_anew() -> None:
    assert after(LOST, LOST, Created(1), LOST, LOST, REFUSED, REFUSED, LOST).closed


def test_half_open_it_waits_longer_after_each_failure_and_closes_with_one_success() -> None:
    outcomes = [LOST] * (FAILURE_THRESHOLD + 1)
    assert waits_of(outcomes)[-1] == 2 * PROBE_FIRST_S
    assert after(*outcomes, Created(1)).closed


def test_not_now_only_makes_everybody_wait_as_long_as_told() -> None:
    breaker = CircuitBreaker()
    breaker.create_ended("gist a", NotNow("burst limit", 7.0), 0, 100.0)
    assert breaker.closed
    assert not breaker.allows(under_way=0, now=106.9)
    assert breaker.allows(under_way=5, now=107.0)


# --- searches ---------------------------------------------------------------------------------------------------------


def test_a_search_told_to_wait_makes_creates_wait_as_well() -> None:
    breaker = CircuitBreaker()
    breaker.search_failed(RateLimited("Pipedrive", "burst limit", 7.0), 0, 100.0)
    assert breaker.not_before == 107.0


def test_searches_whose_answers_are_lost_make_it_half_open_and_other_failures_do_not() -> None:
    breaker = CircuitBreaker()
    for _ in range(FAILURE_THRESHOLD):
        breaker.search_failed(Malformed("Pipedrive", "no JSON"), breaker.epoch, 100.0)
    assert breaker.closed
    for _ in range(FAILURE_THRESHOLD):
        breaker.search_failed(Unanswered("Pipedrive", "timed out"), breaker.epoch, 100.0)
    assert breaker.half_open


def test_a_refused_search_opens_it_without_a_probe_and_the_next_create_is_one() -> None:
    breaker = CircuitBreaker()
    breaker.search_failed(WRONG_KEY, 0, 0.0)
    assert (breaker.refusal, breaker.probe) == ("wrong key", None)
    let(breaker, REFUSES)
    assert breaker.probe == "gist a"


def test_a_refused_search_opens_it_and_an_answered_one_closes_it() -> None:
    breaker = CircuitBreaker()
    for _ in range(2):
        breaker.search_failed(WRONG_KEY, breaker.epoch, breaker.not_before)
    breaker.search_answered()
    assert breaker.closed


def test_an_answered_search_does_not_close_what_a_refused_create_has_opened() -> None:
    breaker = after(CAPPED)
    breaker.search_answered()
    assert breaker.open
    breaker.search_failed(WRONG_KEY, breaker.epoch, breaker.not_before)
    breaker.search_answered()
    assert breaker.open


def test_a_probe_that_cannot_be_searched_for_is_none_any_more() -> None:
    breaker = after(REFUSES)
    breaker.cannot_search(["gist b"])
    assert breaker.probe == "gist a"
    breaker.cannot_search(["gist a", "user ada"])
    assert breaker.probe is None
