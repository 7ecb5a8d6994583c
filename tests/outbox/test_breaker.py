"""When creates go out freely, one at a time, or not at all."""

from collections.abc import Iterable

import pytest

from pipetest.domain.errors import Denied, Forbidden, Malformed, RateLimited, Unanswered
from pipetest.domain.model import (
    AccountRefuses,
    Created,
    Entry,
    Gist,
    NotAllowed,
    NotNow,
    Organization,
    Outcome,
    Quarantined,
    RefusedForGood,
    State,
    Unknown,
    Wanted,
)
from pipetest.outbox.breaker import NOT_NOW_S, Cause, CircuitBreaker
from pipetest.outbox.pause import (
    FAILURE_THRESHOLD,
    LASTING_LONGEST_S,
    MISFIT_FIRST_S,
    PROBE_FIRST_S,
    PROBE_LONGEST_S,
    Pause,
)
from pipetest.outbox.tasks import DealTask, OrganizationTask

REFUSES = AccountRefuses("wrong key")
BLOCKED = AccountRefuses("blocked", lasting=True)
FORBIDDEN = NotAllowed("no permission")
CAPPED = NotAllowed("too many open deals", capped=True)
LOST = Unknown("timed out")
REFUSED = RefusedForGood("no title", organization_in_doubt=False, status=400, code="NO_TITLE")
WRONG_KEY = Denied("Pipedrive", "wrong key")
BEFORE = Quarantined("no title", 1.0, status=400, code="NO_TITLE")


class Breaker(CircuitBreaker):
    """A breaker with short ways to tell it of creates; each begins as soon as it is allowed."""

    def __init__(self, *outcomes: Outcome) -> None:
        super().__init__()
        self.now = 0.0
        self.users = {name: OrganizationTask(name, Organization(), last_seen=0.0, due=0.0) for name in "abcde"}
        self.let(*outcomes)

    def deal(self, user: str = "a", gist: str = "x") -> DealTask:
        return DealTask(Entry(1, Gist(gist, 0.0), user), self.users[user], Wanted(), waiting_since=0.0, due=0.0)

    def let(self, *outcomes: Outcome, user: str = "a", before: State = Wanted()) -> Cause | None:
        cause = None
        for outcome in outcomes:
            cause = self.end(self.deal(user), outcome, before)
        return cause

    def let_organization(self, user: str, outcome: Outcome) -> None:
        self.end(self.users[user], outcome)

    def end(self, task: DealTask | OrganizationTask, outcome: Outcome, before: State = Wanted()) -> Cause | None:
        own, kind = task.organization_task.pause, self.kinds[task.kind].pause
        pauses = [pause.not_before for pause in (own, kind) if pause is not None]
        self.now = max([self.now, self.not_before, *pauses])
        return self.create_ended(task, before, outcome, self.epoch, self.now)

    def refusal_of(self, kind: str, waiting: str) -> str | None:
        breaker = self.kinds["deal"] if kind == "deal" else self.kinds["organization"]
        return breaker.refusal(self.users[name] for name in waiting)


def waits_of(outcomes: Iterable[Outcome]) -> list[float]:
    breaker, waits = Breaker(), []
    for outcome in outcomes:
        breaker.let(outcome)
        waits.append(breaker.not_before - breaker.now)
    return waits


def test_a_new_breaker_is_closed_and_allows_many_at_once() -> None:
    assert CircuitBreaker().closed
    assert CircuitBreaker().allows(under_way=39, now=0.0)


# --- the account ------------------------------------------------------------------------------------------------------


def test_a_refusal_by_the_account_opens_it_until_the_first_probe() -> None:
    breaker = Breaker(REFUSES)
    assert breaker.refusal == "wrong key"
    assert not breaker.allows(under_way=0, now=PROBE_FIRST_S - 0.1)
    assert breaker.allows(under_way=0, now=PROBE_FIRST_S)
    assert not breaker.allows(under_way=1, now=PROBE_FIRST_S)


def test_probes_come_after_ten_seconds_doubling_to_five_minutes() -> None:
    assert waits_of([REFUSES] * 7) == [10, 20, 40, 80, 160, PROBE_LONGEST_S, PROBE_LONGEST_S]


def test_probes_of_a_block_come_as_rarely_as_once_an_hour() -> None:
    assert waits_of([BLOCKED] * 12)[-1] == LASTING_LONGEST_S


def test_a_success_closes_it() -> None:
    breaker = Breaker(REFUSES, Created(1))
    assert breaker.closed
    assert breaker.allows(under_way=39, now=breaker.now)


def test_a_record_that_is_judged_shows_that_the_account_no_longer_refuses() -> None:
    assert Breaker(REFUSES, REFUSED).refusal is None
    assert Breaker(REFUSES, FORBIDDEN).refusal is None


def test_a_lost_answer_leaves_it_open_and_makes_the_wait_longer() -> None:
    breaker = Breaker(REFUSES, LOST)
    assert breaker.refusal == "wrong key"
    assert breaker.not_before == breaker.now + 2 * PROBE_FIRST_S


def test_the_outcomes_of_what_was_under_way_when_it_opened_do_not_count() -> None:
    breaker = Breaker(REFUSES)
    for outcome in (REFUSES, LOST, REFUSED, Created(1)):
        breaker.create_ended(breaker.deal("b"), Wanted(), outcome, 0, 1.0)
    assert (breaker.refusal, breaker.not_before) == ("wrong key", PROBE_FIRST_S)


# --- failures in a row ------------------------------------------------------------------------------------------------


def test_three_lost_answers_in_a_row_make_it_half_open() -> None:
    breaker = Breaker(*[LOST] * (FAILURE_THRESHOLD - 1))
    assert breaker.closed
    breaker.let(LOST)
    assert breaker.half_open
    assert breaker.not_before == PROBE_FIRST_S
    assert not breaker.allows(under_way=1, now=PROBE_FIRST_S)
    assert breaker.allows(under_way=0, now=PROBE_FIRST_S)


def test_three_refusals_for_good_in_a_row_in_different_organizations_make_it_half_open() -> None:
    breaker = Breaker()
    for user in "abc":
        assert breaker.closed
        breaker.let(REFUSED, user=user)
    assert breaker.half_open


def test_refusals_for_good_in_one_organization_put_that_one_off_alone() -> None:
    breaker = Breaker(REFUSED, REFUSED)
    assert breaker.users["a"].pause is None
    breaker.let(REFUSED)
    assert breaker.closed
    assert breaker.users["a"].ready == PROBE_FIRST_S
    assert breaker.users["b"].pause is None
    breaker.let(REFUSED)
    assert breaker.users["a"].ready == breaker.now + 2 * PROBE_FIRST_S
    breaker.let(Created(1))
    assert breaker.users["a"].pause is None


def test_what_was_refused_before_and_is_refused_again_counts_for_nothing() -> None:
    breaker = Breaker()
    for user in "abcaaa":
        breaker.let(REFUSED, user=user, before=BEFORE)
    assert breaker.closed
    assert breaker.users["a"].pause is None


def test_after_a_success_failures_are_counted_anew() -> None:
    breaker = Breaker(LOST, LOST, Created(1), LOST, LOST)
    breaker.let(REFUSED, user="b")
    breaker.let(REFUSED, user="c")
    breaker.let(LOST)
    assert breaker.closed


def test_half_open_it_waits_longer_after_each_failure_and_closes_with_one_success() -> None:
    outcomes = [LOST] * (FAILURE_THRESHOLD + 1)
    assert waits_of(outcomes)[-1] == 2 * PROBE_FIRST_S
    assert Breaker(*outcomes, Created(1)).closed


def test_a_success_of_what_was_in_quarantine_tells_which_others_may_succeed() -> None:
    breaker = Breaker()
    assert breaker.let(Created(1)) is None
    assert breaker.let(Created(1), before=BEFORE) == Cause(400, "NO_TITLE")


def test_a_success_that_ends_a_row_of_refusals_tells_which_others_may_succeed() -> None:
    breaker = Breaker(REFUSED, REFUSED, REFUSED)
    assert breaker.let(Created(1)) == Cause(400, "NO_TITLE")


# --- one kind of record -----------------------------------------------------------------------------------------------


def test_a_403_puts_off_its_organization_alone_while_others_wait() -> None:
    breaker = Breaker(FORBIDDEN)
    assert breaker.users["a"].pause == Pause("no permission", PROBE_FIRST_S)
    assert (breaker.closed, breaker.pauses) == (True, {})
    assert breaker.refusal_of("deal", "ab") is None


def test_a_403_where_only_one_organization_waits_is_a_refusal_of_its_kind() -> None:
    breaker = Breaker(FORBIDDEN)
    assert breaker.refusal_of("deal", "a") == "no permission"
    assert breaker.refusal_of("organization", "a") is None
    assert breaker.refusal_of("deal", "") is None


def test_a_403_that_two_organizations_meet_pauses_its_kind_and_not_the_other() -> None:
    breaker = Breaker(FORBIDDEN)
    breaker.let(FORBIDDEN, user="b")
    assert breaker.refusal_of("deal", "abc") == "no permission"
    assert breaker.kinds["organization"].allows(0.0)
    assert breaker.refusal is None
    breaker.let_organization("c", Created(3))
    assert breaker.refusal_of("deal", "abc") == "no permission"
    breaker.let(Created(1), user="c")
    assert breaker.pauses == {}


def test_a_create_that_has_begun_leaves_only_where_neither_its_organization_nor_its_kind_is_paused() -> None:
    breaker = Breaker(FORBIDDEN)
    before = PROBE_FIRST_S - 0.1
    assert [breaker.admits(breaker.deal("a"), now) for now in (before, PROBE_FIRST_S)] == [False, True]
    assert breaker.admits(breaker.deal("c"), before)
    breaker.let(FORBIDDEN, user="b")
    assert [breaker.admits(breaker.deal("c"), now) for now in (before, PROBE_FIRST_S)] == [False, True]
    assert breaker.admits(breaker.users["c"], before)


def test_a_success_between_two_403s_shows_that_the_kind_is_not_refused() -> None:
    breaker = Breaker(FORBIDDEN)
    breaker.let(Created(1), user="c")
    breaker.let(FORBIDDEN, user="b")
    assert breaker.pauses == {}


def test_once_a_kind_is_created_again_whoever_was_refused_may_try_at_once() -> None:
    breaker = Breaker(FORBIDDEN, FORBIDDEN, FORBIDDEN)
    breaker.let(FORBIDDEN, user="b")
    assert breaker.users["a"].ready > breaker.now
    breaker.let(Created(1), user="c")
    assert breaker.users["a"].ready <= breaker.now
    assert breaker.users["a"].pause is not None  # it goes one at a time until one succeeds


def test_probes_of_a_kind_come_after_ten_seconds_doubling_to_five_minutes() -> None:
    breaker, waits = Breaker(FORBIDDEN), []
    for user in "bcdebcd":
        breaker.let(FORBIDDEN, user=user)
        waits.append(breaker.pauses["deal"].not_before - breaker.now)
    assert waits == [10, 20, 40, 80, 160, PROBE_LONGEST_S, PROBE_LONGEST_S]


def test_a_cap_pauses_deals_at_once_and_its_probe_stays_the_same_record() -> None:
    breaker = Breaker(CAPPED)
    assert breaker.kinds["deal"].probe == "gist x"
    for _ in range(12):
        breaker.let(CAPPED, user="b")
    assert breaker.kinds["deal"].probe == "gist x"
    assert breaker.pauses["deal"].not_before == breaker.now + LASTING_LONGEST_S
    assert [breaker.refusal_of("deal", waiting) for waiting in ("ab", "")] == ["too many open deals", None]
    assert breaker.users["a"].pause is None


@pytest.mark.parametrize(
    ("refused", "reason", "longest"),
    [(FORBIDDEN, "no permission", PROBE_LONGEST_S), (CAPPED, "too many open deals", LASTING_LONGEST_S)],
)
def test_other_failures_leave_a_kind_paused_for_its_own_reason_and_make_the_wait_longer(
    refused: NotAllowed, reason: str, longest: float
) -> None:
    breaker = Breaker(refused)
    breaker.let(refused, user="b")
    for _ in range(12):
        breaker.let(LOST)
    breaker.create_ended(breaker.deal(), Wanted(), LOST, breaker.epoch, breaker.now + 1.0)  # it began before
    assert breaker.pauses["deal"].reason == reason
    assert breaker.pauses["deal"].not_before == breaker.now + longest


def test_finding_the_probe_of_a_cap_ends_it_and_finding_another_record_does_not() -> None:
    breaker = Breaker(CAPPED)
    breaker.found(breaker.deal("b", "y"))
    assert breaker.pauses
    breaker.found(breaker.deal("a", "x"))
    assert not breaker.pauses


def test_what_was_under_way_when_a_cap_was_met_does_not_end_it() -> None:
    breaker = Breaker(CAPPED)
    breaker.create_ended(breaker.deal("b", "y"), Wanted(), Created(1), 0, breaker.now)
    assert breaker.pauses


def test_a_probe_that_cannot_be_searched_for_is_none_any_more() -> None:
    breaker = Breaker(CAPPED)
    breaker.cannot_search(["gist y"])
    assert breaker.kinds["deal"].probe == "gist x"
    breaker.cannot_search(["gist x", "user a"])
    assert breaker.kinds["deal"].probe is None


# --- the template -----------------------------------------------------------------------------------------------------


def test_while_the_template_does_not_fit_nothing_starts_before_the_next_look_up_or_before_people_ask_for_one() -> None:
    breaker = CircuitBreaker()
    breaker.template_misfits("no such stage", 0.0)
    assert (breaker.misfit, breaker.not_before, breaker.closed) == ("no such stage", MISFIT_FIRST_S, False)
    breaker.look_up_now()
    assert (breaker.misfit, breaker.allows(0, 0.0), breaker.allows(1, 0.0)) == ("no such stage", True, False)


def test_what_began_while_the_template_did_not_fit_counts_no_more_once_it_does_and_the_first_create_goes_alone() -> (
    None
):
    breaker, epochs = Breaker(), set[int]()
    for change in (lambda: breaker.template_misfits("no such stage", 0.0), breaker.template_fits, breaker.new_epoch):
        epochs.add(breaker.epoch)
        change()
        assert breaker.epoch not in epochs
    assert (breaker.misfit, breaker.allows(0, 0.0), breaker.allows(1, 0.0)) == (None, True, False)
    breaker.let(Created(1))
    assert breaker.closed


# --- waits and searches -----------------------------------------------------------------------------------------------


def test_not_now_only_makes_everybody_wait_as_long_as_told() -> None:
    breaker = Breaker(NotNow("burst limit", 7.0))
    assert breaker.closed
    assert not breaker.allows(under_way=0, now=6.9)
    assert breaker.allows(under_way=5, now=7.0)


def test_not_now_without_a_wait_is_for_as_long_as_a_burst_limit_lasts() -> None:
    assert Breaker(NotNow("burst limit")).not_before == NOT_NOW_S


def test_a_search_told_to_wait_makes_creates_wait_as_well() -> None:
    breaker = CircuitBreaker()
    breaker.search_failed(RateLimited("Pipedrive", "burst limit", 7.0), 0, 100.0)
    assert breaker.not_before == 107.0


def test_searches_whose_answers_are_lost_make_it_half_open_and_other_failures_do_not() -> None:
    breaker = CircuitBreaker()
    for _ in range(FAILURE_THRESHOLD):
        breaker.search_failed(Malformed("Pipedrive", "no JSON"), breaker.epoch, 100.0)
        breaker.search_failed(Forbidden("Pipedrive", "not allowed", 403), breaker.epoch, 100.0)
    assert breaker.closed
    for _ in range(FAILURE_THRESHOLD):
        breaker.search_failed(Unanswered("Pipedrive", "timed out"), breaker.epoch, 100.0)
    assert breaker.half_open


def test_a_refused_search_opens_it_and_an_answered_one_closes_it() -> None:
    breaker = CircuitBreaker()
    for _ in range(2):
        breaker.search_failed(WRONG_KEY, breaker.epoch, breaker.not_before)
    assert breaker.refusal == "wrong key"
    breaker.search_answered()
    assert breaker.closed


def test_searches_that_are_blocked_come_as_rarely_as_once_an_hour() -> None:
    breaker, now = CircuitBreaker(), 0.0
    for _ in range(12):
        now = breaker.not_before
        breaker.search_failed(Denied("Pipedrive", "blocked", lasting=True), breaker.epoch, now)
    assert breaker.not_before == now + LASTING_LONGEST_S


def test_an_answered_search_does_not_close_what_a_refused_create_has_opened() -> None:
    breaker = Breaker(REFUSES)
    breaker.search_answered()
    assert breaker.refusal is not None
    breaker.search_failed(WRONG_KEY, breaker.epoch, breaker.not_before)
    breaker.search_answered()
    assert breaker.refusal is not None
