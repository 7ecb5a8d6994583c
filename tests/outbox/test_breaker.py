"""When creation goes on, carefully, or not at all."""

from pipetest.domain.model import AccountRefuses, Created, NotNow, Outcome, RefusedForGood, Unknown
from pipetest.outbox.breaker import IN_A_ROW, LASTING_LONGEST_S, PROBE_FIRST_S, PROBE_LONGEST_S, BreakerState

REFUSES = AccountRefuses("wrong key")
CAPPED = AccountRefuses("too many open deals", capped=True, lasting=True)
LOST = Unknown("timed out")
REFUSED = RefusedForGood("no title", organization_in_doubt=False)


def probed(gate: BreakerState, outcome: Outcome, key: str = "gist a") -> BreakerState:
    """The gate after one create begun as soon as it admitted one."""
    return gate.after(key, outcome, gate.turn, gate.opens)


def test_a_fresh_gate_admits_many_at_once() -> None:
    assert BreakerState().admits(under_way=39, now=0.0)


def test_a_refusal_by_the_account_shuts_it_until_the_first_probe() -> None:
    gate = BreakerState().after("gist a", REFUSES, 0, 100.0)
    assert gate.refusal == "wrong key"
    assert not gate.admits(under_way=0, now=100.0 + PROBE_FIRST_S - 0.1)
    assert gate.admits(under_way=0, now=100.0 + PROBE_FIRST_S)
    assert not gate.admits(under_way=1, now=100.0 + PROBE_FIRST_S)


def test_the_probe_stays_the_same_record() -> None:
    gate = probed(BreakerState(), REFUSES, "gist a")
    assert probed(gate, REFUSES, "gist b").probe == "gist a"


def test_probes_come_after_ten_seconds_doubling_to_five_minutes() -> None:
    gate, waits = BreakerState(), list[float]()
    for _ in range(7):
        before = gate.opens
        gate = probed(gate, REFUSES)
        waits.append(gate.opens - before)
    assert waits == [10, 20, 40, 80, 160, PROBE_LONGEST_S, PROBE_LONGEST_S]


def test_probes_of_a_cap_or_a_block_come_as_rarely_as_once_an_hour() -> None:
    gate = BreakerState()
    for _ in range(12):
        before = gate.opens
        gate = probed(gate, CAPPED)
    assert gate.opens - before == LASTING_LONGEST_S


def test_a_success_of_the_probe_opens_it_wide() -> None:
    gate = probed(probed(BreakerState(), REFUSES), Created(1))
    assert gate.wide
    assert gate.admits(under_way=39, now=gate.opens)


def test_a_probe_refused_on_its_own_merits_shows_that_the_account_no_longer_refuses() -> None:
    assert probed(probed(BreakerState(), REFUSES), REFUSED).refusal is None


def test_a_lost_answer_of_the_probe_leaves_it_shut() -> None:
    gate = probed(probed(BreakerState(), REFUSES), LOST)
    assert gate.refusal == "wrong key"
    assert not gate.wide


def test_what_was_under_way_when_it_shut_counts_for_nothing() -> None:
    gate = BreakerState().after("gist a", REFUSES, 0, 0.0)
    for outcome in (REFUSES, LOST, REFUSED, Created(1)):
        assert gate.after("gist b", outcome, 0, 1.0) == gate


def test_three_lost_answers_in_a_row_make_it_careful() -> None:
    gate = BreakerState()
    for _ in range(IN_A_ROW - 1):
        gate = probed(gate, LOST)
    assert gate.wide
    gate = probed(gate, LOST)
    assert gate.careful
    assert gate.opens == PROBE_FIRST_S
    assert not gate.admits(under_way=1, now=PROBE_FIRST_S)


def test_three_refusals_for_good_in_a_row_make_it_careful() -> None:
    gate = BreakerState()
    for _ in range(IN_A_ROW):
        gate = probed(gate, REFUSED)
    assert gate.careful


def test_a_success_between_starts_the_row_anew() -> None:
    gate = BreakerState()
    for outcome in (LOST, LOST, Created(1), LOST, LOST, REFUSED, REFUSED, LOST):
        gate = probed(gate, outcome)
    assert gate.wide


def test_a_careful_gate_waits_longer_after_each_failure_and_opens_with_one_success() -> None:
    gate = BreakerState()
    for _ in range(IN_A_ROW + 1):
        before = gate.opens
        gate = probed(gate, LOST)
    assert gate.opens - before == 2 * PROBE_FIRST_S
    assert probed(gate, Created(1)).wide


def test_not_now_only_holds_everybody_as_long_as_told() -> None:
    gate = BreakerState().after("gist a", NotNow("burst limit", 7.0), 0, 100.0)
    assert gate.wide
    assert not gate.admits(under_way=0, now=106.9)
    assert gate.admits(under_way=5, now=107.0)


def test_a_refused_look_shuts_it_and_an_answered_one_opens_it_again() -> None:
    gate = BreakerState().look_refused(REFUSES, 0, 0.0)
    assert gate.refusal == "wrong key"
    assert gate.look_answered().wide


def test_an_answered_look_does_not_open_what_a_refused_create_has_shut() -> None:
    gate = probed(BreakerState(), CAPPED)
    assert gate.look_answered() == gate
    gate = gate.look_refused(REFUSES, gate.turn, gate.opens)
    assert gate.look_answered() == gate
