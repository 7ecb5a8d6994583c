"""When creates go out freely, one at a time, or not at all."""

from pipetest.domain.model import AccountRefuses, Created, NotNow, Outcome, RefusedForGood, Unknown
from pipetest.outbox.breaker_state import (
    FAILURE_THRESHOLD,
    LASTING_LONGEST_S,
    PROBE_FIRST_S,
    PROBE_LONGEST_S,
    BreakerState,
)

REFUSES = AccountRefuses("wrong key")
CAPPED = AccountRefuses("too many open deals", capped=True, lasting=True)
LOST = Unknown("timed out")
REFUSED = RefusedForGood("no title", organization_in_doubt=False)


def tried(breaker: BreakerState, outcome: Outcome, key: str = "gist a") -> BreakerState:
    """The breaker after one create that began as soon as it allowed one."""
    return breaker.after_create(key, outcome, breaker.epoch, breaker.retry_at)


def test_a_new_breaker_is_closed_and_allows_many_at_once() -> None:
    assert BreakerState().closed
    assert BreakerState().allows(under_way=39, now=0.0)


def test_a_refusal_by_the_account_opens_it_until_the_first_probe() -> None:
    breaker = BreakerState().after_create("gist a", REFUSES, 0, 100.0)
    assert breaker.refusal == "wrong key"
    assert not breaker.allows(under_way=0, now=100.0 + PROBE_FIRST_S - 0.1)
    assert breaker.allows(under_way=0, now=100.0 + PROBE_FIRST_S)
    assert not breaker.allows(under_way=1, now=100.0 + PROBE_FIRST_S)


def test_the_probe_stays_the_same_record() -> None:
    breaker = tried(BreakerState(), REFUSES, "gist a")
    assert tried(breaker, REFUSES, "gist b").probe == "gist a"


def test_probes_come_after_ten_seconds_doubling_to_five_minutes() -> None:
    breaker, waits = BreakerState(), list[float]()
    for _ in range(7):
        before = breaker.retry_at
        breaker = tried(breaker, REFUSES)
        waits.append(breaker.retry_at - before)
    assert waits == [10, 20, 40, 80, 160, PROBE_LONGEST_S, PROBE_LONGEST_S]


def test_probes_of_a_cap_or_a_block_come_as_rarely_as_once_an_hour() -> None:
    breaker = BreakerState()
    for _ in range(12):
        before = breaker.retry_at
        breaker = tried(breaker, CAPPED)
    assert breaker.retry_at - before == LASTING_LONGEST_S


def test_a_success_of_the_probe_closes_it() -> None:
    breaker = tried(tried(BreakerState(), REFUSES), Created(1))
    assert breaker.closed
    assert breaker.allows(under_way=39, now=breaker.retry_at)


def test_a_probe_refused_on_its_own_merits_shows_that_the_account_no_longer_refuses() -> None:
    assert tried(tried(BreakerState(), REFUSES), REFUSED).refusal is None


def test_a_lost_answer_of_the_probe_leaves_it_open() -> None:
    breaker = tried(tried(BreakerState(), REFUSES), LOST)
    assert breaker.refusal == "wrong key"
    assert not breaker.closed


def test_the_outcomes_of_what_was_under_way_when_it_opened_do_not_count() -> None:
    breaker = BreakerState().after_create("gist a", REFUSES, 0, 0.0)
    for outcome in (REFUSES, LOST, REFUSED, Created(1)):
        assert breaker.after_create("gist b", outcome, 0, 1.0) == breaker


def test_three_lost_answers_in_a_row_make_it_half_open() -> None:
    breaker = BreakerState()
    for _ in range(FAILURE_THRESHOLD - 1):
        breaker = tried(breaker, LOST)
    assert breaker.closed
    breaker = tried(breaker, LOST)
    assert breaker.half_open
    assert breaker.retry_at == PROBE_FIRST_S
    assert not breaker.allows(under_way=1, now=PROBE_FIRST_S)


def test_three_refusals_for_good_in_a_row_make_it_half_open() -> None:
    breaker = BreakerState()
    for _ in range(FAILURE_THRESHOLD):
        breaker = tried(breaker, REFUSED)
    assert breaker.half_open


def test_after_a_success_failures_are_counted_anew() -> None:
    breaker = BreakerState()
    for outcome in (LOST, LOST, Created(1), LOST, LOST, REFUSED, REFUSED, LOST):
        breaker = tried(breaker, outcome)
    assert breaker.closed


def test_half_open_it_waits_longer_after_each_failure_and_closes_with_one_success() -> None:
    breaker = BreakerState()
    for _ in range(FAILURE_THRESHOLD + 1):
        before = breaker.retry_at
        breaker = tried(breaker, LOST)
    assert breaker.retry_at - before == 2 * PROBE_FIRST_S
    assert tried(breaker, Created(1)).closed


def test_not_now_only_makes_everybody_wait_as_long_as_told() -> None:
    breaker = BreakerState().after_create("gist a", NotNow("burst limit", 7.0), 0, 100.0)
    assert breaker.closed
    assert not breaker.allows(under_way=0, now=106.9)
    assert breaker.allows(under_way=5, now=107.0)


def test_a_refused_search_opens_it_and_an_answered_one_closes_it() -> None:
    breaker = BreakerState().after_refused_search(REFUSES, 0, 0.0)
    assert breaker.refusal == "wrong key"
    assert breaker.after_answered_search().closed


def test_an_answered_search_does_not_close_what_a_refused_create_has_opened() -> None:
    breaker = tried(BreakerState(), CAPPED)
    assert breaker.after_answered_search() == breaker
    breaker = breaker.after_refused_search(REFUSES, breaker.epoch, breaker.retry_at)
    assert breaker.after_answered_search() == breaker
