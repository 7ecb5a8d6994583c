"""The rules of "once"."""

from math import inf

import pytest

from pipetest.domain.model import (
    AccountRefuses,
    Created,
    Done,
    NotAllowed,
    NotNow,
    Organization,
    Outcome,
    Quarantined,
    RefusedForGood,
    Sent,
    State,
    Unknown,
    Wanted,
)
from pipetest.outbox import rules
from pipetest.outbox.rules import NotSent, Step

DAY_S = 24 * 3600.0
REFUSED = RefusedForGood("no title", organization_in_doubt=False, status=422, code="NO_TITLE")


@pytest.mark.parametrize(
    ("outcome", "step"),
    [
        (Created(7), Step(Done(7))),
        (NotSent(5.0), Step(Wanted(), 5.0)),
        (NotNow("burst limit", 2.0), Step(Wanted())),
        (REFUSED, Step(Quarantined("no title", 5.0, status=422, code="NO_TITLE"), DAY_S)),
        (AccountRefuses("wrong key"), Step(Wanted())),
        (NotAllowed("no permission"), Step(Wanted())),
        (NotAllowed("too many open deals", capped=True), Step(Sent())),
        (Unknown("timed out"), Step(Sent(), 60.0)),
    ],
)
def test_each_outcome_leads_to_its_state_and_says_when_it_goes_on(outcome: Outcome, step: Step) -> None:
    assert rules.next_step(outcome, Wanted(), now_at=5.0, settle=60.0) == step


@pytest.mark.parametrize(
    "refused", [NotSent(), NotNow("quota"), AccountRefuses("wrong key"), NotAllowed("no permission")]
)
@pytest.mark.parametrize("before", [Sent(), Quarantined("no title", 1.0)])
def test_a_refusal_says_nothing_about_earlier_requests(refused: Outcome, before: State) -> None:
    assert rules.next_step(refused, before, now_at=5.0, settle=60.0) == Step(before)


@pytest.mark.parametrize("before", [Sent(), Quarantined("no title", 1.0, sent=True)])
def test_in_quarantine_it_is_not_forgotten_that_an_earlier_request_may_have_been_carried_out(before: State) -> None:
    step = rules.next_step(REFUSED, before, now_at=5.0, settle=60.0)
    assert step == Step(Quarantined("no title", 5.0, sent=True, status=422, code="NO_TITLE"), DAY_S)


@pytest.mark.parametrize(
    ("state", "wait"),
    [(Wanted(), 0.0), (Sent(), 60.0), (Done(1), 0.0), (Quarantined("no", 100.0), 24 * 3600 - 50.0)],
)
def test_what_may_be_on_its_way_waits_out_the_settle_time_and_the_quarantined_a_day(state: State, wait: float) -> None:
    assert rules.wait_after_start(state, now_at=150.0, settle=60.0) == wait


def test_a_quarantine_lasts_a_day_at_most_though_the_clock_was_set_back_meanwhile() -> None:
    assert rules.wait_after_start(Quarantined("no", 30 * 24 * 3600.0), now_at=0.0, settle=60.0) == 24 * 3600.0


def test_a_quarantine_that_is_over_is_due_at_once() -> None:
    assert rules.wait_after_start(Quarantined("no", 0.0), now_at=25 * 3600.0, settle=60.0) == 0.0


def test_only_what_was_sent_and_not_searched_for_since_needs_a_search() -> None:
    assert rules.needs_search(Sent(), inf, reconciled=True)
    assert rules.needs_search(Quarantined("no", 1.0, sent=True), inf, reconciled=True)
    assert not rules.needs_search(Sent(), 5.0, reconciled=True)
    assert not rules.needs_search(Wanted(), inf, reconciled=True)
    assert not rules.needs_search(Quarantined("no", 1.0), inf, reconciled=True)


def test_what_was_not_reconciled_needs_a_search() -> None:
    assert rules.needs_search(Wanted(), inf, reconciled=False)
    assert not rules.needs_search(Wanted(), 5.0, reconciled=False)


def test_a_gist_is_reconciled_if_it_was_written_since_its_organization_was_as_far_as_clocks_can_tell() -> None:
    assert rules.is_reconciled(created_at=1300.0, reconciled_at=1000.0, listed=False)
    assert not rules.is_reconciled(created_at=1299.0, reconciled_at=1000.0, listed=False)
    assert not rules.is_reconciled(created_at=1300.0, reconciled_at=None, listed=False)
    assert rules.is_reconciled(created_at=1e9, reconciled_at=rules.SINCE_EVER, listed=False)


def test_a_gist_that_the_whole_list_would_have_shown_is_reconciled_with_its_organization() -> None:
    assert rules.is_reconciled(created_at=0.0, reconciled_at=1000.0, listed=True)
    assert not rules.is_reconciled(created_at=1300.0, reconciled_at=None, listed=True)


def test_a_newer_deal_that_no_request_of_this_database_can_have_made_shows_an_older_one() -> None:
    assert rules.may_be_forgotten(None, is_known=False)
    assert rules.may_be_forgotten(Wanted(), is_known=False)
    assert rules.may_be_forgotten(Quarantined("no", 1.0), is_known=False)
    assert not rules.may_be_forgotten(Sent(), is_known=False)
    assert not rules.may_be_forgotten(Quarantined("no", 1.0, sent=True), is_known=False)
    assert not rules.may_be_forgotten(None, is_known=True)


def test_a_search_counts_for_ten_minutes() -> None:
    assert not rules.needs_search(Sent(), 600.0, reconciled=True)
    assert rules.needs_search(Sent(), 600.1, reconciled=True)


@pytest.mark.parametrize(
    ("organization", "organization_id"),
    [
        (Organization(Done(3), reconciled_at=5.0), 3),
        (Organization(Done(3), reconciled_at=None), None),
        (Organization(Done(None), reconciled_at=5.0), None),
        (Organization(Sent(), reconciled_at=5.0), None),
    ],
)
def test_deals_are_created_only_in_an_organization_with_a_known_id_that_is_reconciled(
    organization: Organization, organization_id: int | None
) -> None:
    assert rules.ready_organization(organization) == organization_id


def test_an_organization_that_is_not_shown_counts_as_deleted_only_after_the_settle_time() -> None:
    assert rules.wait_until_deleted(last_seen=10.0, now=69.0, settle=60.0) == 1.0
    assert rules.wait_until_deleted(last_seen=10.0, now=70.0, settle=60.0) == 0.0
    assert rules.wait_until_deleted(last_seen=10.0, now=900.0, settle=60.0) == 0.0
