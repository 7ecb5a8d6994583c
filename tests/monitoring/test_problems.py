"""What counts as a problem, how severe it is, and since when."""

import pytest
from msgspec.structs import replace

from pipetest.domain.status import UserCounts
from pipetest.monitoring.problems import LONG_HOLD_S, Access, DaemonHealth, problems

NOW_AT = 1_795_500_000.0
WELL = DaemonHealth(silent_for=10.0, interval=60.0, users=UserCounts(total=500))
DOWN = Access(failures=3, failing_for=2.0, reason="connection refused", wanted=True)


def unknown(number: int) -> dict[str, str]:
    return {f"no-{place}": "GitHub knows no such user" for place in range(number)}


def found(health: DaemonHealth, known: dict[str, float] | None = None) -> list[tuple[str, str]]:
    return [(problem.severity, problem.id) for problem in problems(health, known or {}, NOW_AT)]


@pytest.mark.parametrize(
    ("health", "kind", "words"),
    [
        (replace(WELL, failed_scans=3), "scans-fail", "the last 3 scans failed"),
        (replace(WELL, silent_for=181.0), "scans-stand-still", "no scan has ended for 3 minutes"),
        (replace(WELL, interval=5.0, silent_for=16.0), "scans-stand-still", "no scan has ended for 16 s"),
        (replace(WELL, database="the disk is full"), "database-not-writable", "the disk is full"),
        (replace(WELL, pipedrive=Access(refusal="wrong key")), "creation-refused", "wrong key"),
        (replace(WELL, pipedrive=DOWN), "pipedrive-no-answer", "connection refused"),
        (replace(WELL, pipedrive=replace(DOWN, failures=1, failing_for=120.0)), "pipedrive-no-answer", "refused"),
        (replace(WELL, hidden={"deal": 12}), "deals-not-seen", "does not see deal 12"),
        (replace(WELL, github=Access(refusal="wrong token")), "github-refuses", "wrong token"),
        (replace(WELL, github=DOWN), "github-no-answer", "connection refused"),
        (replace(WELL, users=UserCounts(total=1, failing=1, unknown=1), errors=unknown(1)), "users-unknown", "no-0"),
        (replace(WELL, users=UserCounts(total=7, failing=7, unknown=7), errors=unknown(7)), "users-unknown", "4 more"),
        (replace(WELL, disabled="it does not end"), "instance-disabled", "it does not end"),
        (replace(WELL, leader_silent_for=61.0), "nobody-scans", "for 61 s"),
    ],
)
def test_what_stands_still_as_a_whole_is_an_error_with_its_reason(health: DaemonHealth, kind: str, words: str) -> None:
    assert found(health) == [("error", kind)]
    assert words in problems(health, {}, NOW_AT)[0].text


@pytest.mark.parametrize(
    ("health", "kind", "words"),
    [
        (replace(WELL, paused=True), "creation-paused", "by an operator"),
        (replace(WELL, quarantined={"deal": 1}), "quarantine", "1 gist, now"),
        (replace(WELL, quarantined={"organization": 1}), "quarantine", "refused 1 organization, now"),
        (replace(WELL, put_off={"ada": "not allowed (403)"}), "creation-put-off", "ada (not allowed (403))"),
        (replace(WELL, quarantined={"deal": 2, "organization": 3}), "quarantine", "2 gists and 3 organizations, now"),
        (replace(WELL, half_open=True), "creation-slowed", "one at a time"),
        (replace(WELL, template_in_doubt=True), "template-doubted", "looked up again"),
        (replace(WELL, unsearched={"ada": "answered 500"}), "search-fails", "holds of ada (answered 500)"),
        (replace(WELL, lease_in_doubt=True), "lease-in-doubt", "may have lost the lease"),
        (replace(WELL, differing_settings=["PIPETEST_DRY_RUN"]), "settings-differ", "this one: PIPETEST_DRY_RUN"),
        (replace(WELL, left_out=["ada"]), "gists-left-out", "of ada"),
        (replace(WELL, heartbeat="status 500"), "heartbeat", "status 500"),
        (replace(WELL, users=UserCounts(total=500, failing=10, unknown=10)), "users-not-read", "10 of 500 users"),
        (replace(WELL, users=UserCounts(total=2, failing=2, unknown=1)), "users-not-read", "2 of 2 users"),
        (replace(WELL, users_file="a bad entry"), "users-file", "is ignored: a bad entry"),
        (replace(WELL, too_many_users=("9 users are too many", "shorten it")), "too-many-users", "9 users"),
        (replace(WELL, user_lists=["org:acme is empty"]), "user-lists", "org:acme is empty"),
        (replace(WELL, user_lists=["org:acme is empty", "x", "y"]), "user-lists", "empty, and 2 more lists"),
        (replace(WELL, pipedrive=Access(held_until=NOW_AT + LONG_HOLD_S)), "pipedrive-limit", "2026-11-24 06:03 UTC"),
        (replace(WELL, github=Access(held_until=NOW_AT + LONG_HOLD_S)), "github-limit", "GitHub's limit"),
    ],
)
def test_what_work_goes_on_beside_is_one_warning(health: DaemonHealth, kind: str, words: str) -> None:
    assert found(health) == [("warning", kind)]
    assert words in problems(health, {}, NOW_AT)[0].text


@pytest.mark.parametrize(
    "health",
    [
        WELL,
        replace(WELL, failed_scans=2),
        replace(WELL, silent_for=180.0),
        replace(WELL, pipedrive=replace(DOWN, failures=2, failing_for=119.0)),
        replace(WELL, pipedrive=replace(DOWN, wanted=False, failing_for=1e6)),
        replace(WELL, github=replace(DOWN, wanted=False, failing_for=1e6)),
        replace(WELL, pipedrive=Access(held_until=NOW_AT + LONG_HOLD_S - 1.0)),
    ],
)
def test_what_happens_now_and_then_is_no_problem(health: DaemonHealth) -> None:
    assert found(health) == []


@pytest.mark.parametrize(
    "health",
    [
        replace(WELL, pipedrive=Access(refusal="wrong key")),
        replace(WELL, pipedrive=DOWN),
        replace(WELL, github=Access(refusal="wrong token")),
        replace(WELL, github=DOWN),
    ],
)
def test_where_a_setting_may_be_wrong_the_remedy_says_that_another_value_takes_a_restart(health: DaemonHealth) -> None:
    [problem] = problems(health, {}, NOW_AT)
    assert "and restart" in problem.remedy


def test_users_who_cannot_be_read_are_named_with_the_reason_the_most_frequent_one_first() -> None:
    errors = {"ada": "GitHub: answered 502", **unknown(5), "ben": "GitHub: answered 502"}
    [problem] = problems(replace(WELL, users=UserCounts(total=500, failing=7, unknown=5), errors=errors), {}, NOW_AT)
    assert problem.text == (
        "7 of 500 users cannot be read: no-0, no-1, no-2 and 2 more (GitHub knows no such user); "
        "ada, ben (GitHub: answered 502)"
    )
    assert set(problem.about) == set(errors)


def test_a_problem_names_a_hundred_users_and_three_reasons_at_most() -> None:
    errors = {f"user-{place}": f"reason {place}" for place in range(9_000)}
    [problem] = problems(replace(WELL, users=UserCounts(total=9_500, failing=9_000), errors=errors), {}, NOW_AT)
    assert len(problem.about) == 100
    assert problem.text.endswith("user-2 (reason 2); 8997 more")


@pytest.mark.parametrize(
    "health",
    [
        replace(WELL, users=UserCounts(total=1, failing=1, unknown=1)),
        replace(WELL, users=UserCounts(total=2, failing=1, unknown=1)),
        replace(WELL, user_lists=["org:acme is empty"]),
    ],
)
def test_users_that_are_to_be_corrected_may_be_in_a_file(health: DaemonHealth) -> None:
    (problem,) = problems(health, {}, NOW_AT)
    assert "orrect PIPETEST_QUERIED_USERS or its file" in problem.remedy


def test_what_an_operator_paused_does_not_stand_still_by_itself() -> None:
    refused = replace(DOWN, refusal="wrong key")
    assert found(replace(WELL, paused=True, pipedrive=DOWN)) == [("warning", "creation-paused")]
    assert found(replace(WELL, paused=True, pipedrive=refused)) == [("warning", "creation-paused")]


def test_a_limit_that_was_told_lasts_until_its_end() -> None:
    health = replace(WELL, pipedrive=Access(held_until=NOW_AT + 1.0))
    assert found(health, {"pipedrive-limit": NOW_AT - 600.0}) == [("warning", "pipedrive-limit")]
    assert found(replace(WELL, pipedrive=Access(held_until=NOW_AT)), {"pipedrive-limit": NOW_AT - 600.0}) == []


def test_errors_come_before_warnings_and_each_keeps_its_beginning() -> None:
    health = replace(WELL, paused=True, failed_scans=3, users=UserCounts(total=9, failing=1))
    known = {"scans-fail": NOW_AT - 50.0}
    assert found(health) == [("error", "scans-fail"), ("warning", "creation-paused"), ("warning", "users-not-read")]
    assert [problem.since for problem in problems(health, known, NOW_AT)] == [NOW_AT - 50.0, NOW_AT, NOW_AT]


def test_no_problem_begins_later_than_now_though_the_clock_was_set_back_since() -> None:
    (problem,) = problems(replace(WELL, failed_scans=3), {"scans-fail": NOW_AT + 86_400.0}, NOW_AT)
    assert problem.since == NOW_AT


def test_every_problem_says_in_sentences_what_to_do() -> None:
    everything = DaemonHealth(
        failed_scans=3,
        silent_for=1e6,
        interval=60.0,
        users=UserCounts(total=2, failing=1),
        github=replace(DOWN, held_until=NOW_AT + 1e4),
        pipedrive=replace(DOWN, held_until=NOW_AT + 1e4),
        quarantined={"deal": 1},
        put_off={"ada": "not allowed"},
        database="full",
        heartbeat="status 500",
    )
    told = problems(everything, {}, NOW_AT)
    assert len({problem.id for problem in told}) == len(told) == 11
    assert all(problem.remedy and not problem.remedy.endswith(".") for problem in told)
