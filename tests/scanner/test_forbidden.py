"""A list that GitHub does not show is its user's problem alone; that of all users where none is shown."""

import pytest
from twisted.logger import capturedLogs

from pipetest.domain.model import Reply, Secret
from pipetest.sandbox.faults import Fault, Rule
from pipetest.sandbox.replies import as_html
from pipetest.scanner.passes import FORBIDDEN_IN_A_ROW, MAX_CONCURRENT
from tests.support.in_memory import INTERVAL_S, InMemoryPipeline
from tests.support.log import lines

USERS = [f"user-{number:02}" for number in range(31)]


def daemon(*hidden: str, status: int = 403) -> InMemoryPipeline:
    """Each user has written a gist; the lists of some are not shown."""
    memory = InMemoryPipeline(USERS)
    for user in USERS:
        memory.write(f"by-{user}", user=user)
    memory.world.github_api.quirks.hidden = dict.fromkeys(hidden, status)
    return memory


def shown(*hidden: str) -> list[str]:
    return sorted(f"by-{user}" for user in USERS if user not in hidden)


@pytest.mark.parametrize("status", [403, 451])
@pytest.mark.parametrize("place", [0, 15, 30])
def test_one_list_that_is_not_shown_is_one_user_s_problem(status: int, place: int) -> None:
    memory = daemon(USERS[place], status=status)
    memory.scan()
    assert sorted(memory.feed()) == shown(USERS[place])
    assert f"({status})" in (memory.error_of(USERS[place]) or "")
    assert memory.scanner.refusal is None
    assert [scan.failed for scan in memory.scans] == [False]
    assert len(memory.github.requests) == len(USERS)


def test_what_a_guard_in_front_of_github_refuses_for_one_user_is_that_user_s_problem() -> None:
    memory = daemon()
    memory.world.faults.add(Rule(Fault("guard", None, as_html(403, "Blocked")), "GitHub", None, "/users/user-07"))
    memory.scan()
    assert sorted(memory.feed()) == shown("user-07")
    assert [scan.failed for scan in memory.scans] == [False]


@pytest.mark.parametrize("hidden", [USERS[:5], USERS[10:15], USERS[-5:], USERS[::3]])
def test_several_lists_that_are_not_shown_keep_nobody_else_waiting(hidden: list[str]) -> None:
    memory = daemon(*hidden)
    memory.scan()
    memory.pass_time(5.0)
    assert sorted(memory.feed()) == shown(*hidden)
    with capturedLogs() as events:
        memory.write("new", user="user-08")
        memory.pass_time(4 * INTERVAL_S)
    assert "new" in memory.feed()
    assert memory.scanner.refusal is None
    assert not any(scan.failed for scan in memory.scans)
    assert not [line for line in lines(events) if "GitHub" in line]


def test_once_three_users_in_a_row_are_not_shown_nobody_else_is_asked_for_but_one_at_a_time() -> None:
    memory = daemon(*USERS)
    memory.scan()
    assert FORBIDDEN_IN_A_ROW <= len(memory.github.requests) <= MAX_CONCURRENT
    assert "(403)" in (memory.scanner.refusal or "")
    asked = len(memory.github.requests)
    memory.pass_time(5.0)
    assert len(memory.github.requests) == asked + 1
    memory.pass_time(INTERVAL_S)
    assert all(scan.failed for scan in memory.scans)
    assert len(memory.github.requests) < 30


def test_when_lists_are_shown_again_all_is_read_without_a_restart() -> None:
    memory = daemon(*USERS)
    memory.scan()
    memory.pass_time(2 * INTERVAL_S)
    memory.world.github_api.quirks.hidden.clear()
    memory.pass_time(INTERVAL_S)
    assert sorted(memory.feed()) == shown()
    assert memory.scanner.refusal is None
    assert memory.scanner.users.counts().failing == 0


def test_lists_that_are_hidden_all_at_once_later_concern_everybody() -> None:
    memory = daemon("user-03")
    memory.scan()
    memory.world.github_api.quirks.hidden = dict.fromkeys(USERS, 403)
    for user in USERS:
        memory.write(f"new-{user}", user=user)
    memory.pass_time(INTERVAL_S)
    assert memory.scanner.refusal is not None
    memory.pass_time(INTERVAL_S)
    assert memory.scans[-1].failed


def test_whether_lists_are_shown_again_is_asked_of_one_that_was_read_before() -> None:
    memory = daemon()
    memory.scan()
    memory.world.github_api.quirks.hidden = dict.fromkeys(USERS, 403)
    memory.pass_time(INTERVAL_S)
    memory.github.requests.clear()
    memory.pass_time(5.0)
    asked = [(request.url.split("/")[4], "if-none-match" in request.headers) for request in memory.github.requests]
    assert asked == [(USERS[FORBIDDEN_IN_A_ROW], True)]


def test_where_nobody_is_left_who_was_read_before_it_is_asked_of_another() -> None:
    memory = daemon(*USERS[2:5])
    memory.users = USERS[:5]
    memory.scan()
    assert memory.scanner.refusal is not None
    memory.github.requests.clear()
    memory.pass_time(5.0)
    asked = [(request.url.split("/")[4], "if-none-match" in request.headers) for request in memory.github.requests]
    assert asked == [(USERS[0], True), (USERS[4], False)]
    assert memory.scanner.refusal is None


@pytest.mark.parametrize("shown_again", USERS[:3])
def test_of_users_who_were_never_shown_each_is_asked_for_in_turn(shown_again: str) -> None:
    memory = daemon(*USERS[:3])
    memory.users = USERS[:3]
    memory.scan()
    del memory.world.github_api.quirks.hidden[shown_again]
    memory.pass_time(INTERVAL_S + 60.0)
    assert memory.feed() == [f"by-{shown_again}"]


def test_a_user_alone_that_is_not_shown_fails_the_scan(memory: InMemoryPipeline) -> None:
    memory.world.github_api.quirks.hidden["ada"] = 451
    memory.scan()
    assert [scan.failed for scan in memory.scans] == [True]
    assert len(memory.github.requests) == 1


@pytest.mark.parametrize("status", [400, 410, 418, 422, 500])
def test_one_user_with_any_problem_does_not_fail_the_scan(status: int) -> None:
    memory = daemon()
    memory.world.faults.add(Rule(Fault("x", None, Reply(status, {}, b"")), "GitHub", None, "/users/user-07"))
    memory.scan()
    memory.pass_time(3 * INTERVAL_S)
    assert sorted(memory.feed()) == shown("user-07")
    assert not any(scan.failed for scan in memory.scans)
    assert memory.scans


def test_a_scan_that_a_refused_token_cuts_short_has_failed() -> None:
    memory = InMemoryPipeline(USERS)
    memory.token = Secret("token")
    memory.world.github_api.tokens["token"] = "somebody"
    memory.world.faults.add(Rule(Fault("x", None, Reply(401, {}, b"")), "GitHub", None, "/users/user-20"))
    memory.scan()
    assert [scan.failed for scan in memory.scans] == [True]


def test_users_whom_nobody_knows_are_no_sign_that_github_refuses() -> None:
    memory = daemon(*USERS[:2], *USERS[3:5])
    memory.world.accounts.close(USERS[2])
    memory.scan()
    assert sorted(memory.feed()) == shown(*USERS[:5])
    assert len(memory.github.requests) == len(USERS)
