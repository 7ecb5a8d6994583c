"""What a scan reads, records, reports and leaves alone."""

from collections.abc import Sequence

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.logger import capturedLogs, formatEvent

from pipetest.domain.backoff import RETRY_LONGEST_S
from pipetest.domain.errors import Unavailable
from pipetest.domain.model import Reply, Request, Secret, User
from pipetest.sandbox.faults import Fault
from pipetest.scanner.list_reader import TRIES
from pipetest.scanner.scanner import MAX_CONCURRENT
from pipetest.scanner.user_scan import TO_END_S, to_end_due_at
from pipetest.store.tinydb.generations import NEW
from tests.support.in_memory import INTERVAL_S, InMemoryDaemon
from tests.support.results import result_of
from tests.support.simulated_disk import Step

DAY_S = 24 * 3600.0


@pytest.fixture
def memory() -> InMemoryDaemon:
    return InMemoryDaemon()


def write(memory: InMemoryDaemon, user: str, *gists: str) -> None:
    for gist in gists:
        memory.world.accounts.write(user, gist_id=gist)
        memory.clock.advance(1.0)


def scan(memory: InMemoryDaemon) -> None:
    """One scan, at once; the creator stays out of it."""
    memory.wire()
    memory.scanner.start()


def user(memory: InMemoryDaemon, name: str) -> User:
    return next(user for user in result_of(memory.store.users()) if user.name == name)


def test_gists_are_recorded_oldest_first(memory: InMemoryDaemon) -> None:
    write(memory, "ada", "first", "second", "third")
    scan(memory)
    assert memory.feed() == ["first", "second", "third"]


def test_all_pages_are_read(memory: InMemoryDaemon) -> None:
    gists = [f"gist-{number}" for number in range(250)]
    write(memory, "ada", *gists)
    scan(memory)
    assert memory.feed() == gists


def test_an_unchanged_list_costs_one_request_and_no_commit(memory: InMemoryDaemon) -> None:
    write(memory, "ada", "first")
    scan(memory)
    files = memory.disk.files
    memory.github.requests.clear()
    memory.pass_time(INTERVAL_S)
    assert len(memory.github.requests) == 1
    assert "if-none-match" in memory.github.requests[0].headers
    assert memory.disk.files == files


def test_after_a_restart_a_scan_of_unchanged_lists_costs_one_request_each_and_one_commit_at_most() -> None:
    memory = InMemoryDaemon([f"user{number}" for number in range(50)])
    for name in memory.users:
        write(memory, name, f"gist of {name}")
    memory.start()
    memory.settle()
    memory.kill()
    commits: list[Step] = []

    def note_commits(step: Step) -> None:
        if (step.operation, step.suffix) == ("create", NEW):
            commits.append(step)

    memory.disk.fault = note_commits
    memory.start()
    memory.settle()
    assert [request.headers.get("if-none-match") is None for request in memory.github.requests] == [False] * 50
    assert memory.pipedrive.requests == []
    assert len(commits) <= 1


def test_a_pass_stops_at_the_page_that_holds_a_recorded_gist(memory: InMemoryDaemon) -> None:
    write(memory, "ada", *[f"gist-{number}" for number in range(250)])
    scan(memory)
    write(memory, "ada", "new")
    memory.github.requests.clear()
    memory.pass_time(INTERVAL_S)
    assert memory.feed()[-1] == "new"
    assert len(memory.github.requests) == 1


def test_a_list_that_shifts_while_it_is_read_is_read_again(memory: InMemoryDaemon) -> None:
    gists = [f"gist-{number}" for number in range(150)]
    write(memory, "ada", *gists)
    asked = 0

    def delete_one_before_the_second_page(service: str, request: Request) -> Fault | None:
        nonlocal asked
        asked += 1
        if asked == 2:
            memory.world.accounts.delete("gist-149")
        return None

    memory.world.github.faults = delete_one_before_the_second_page
    scan(memory)
    assert memory.feed() == gists[:149]


def test_a_list_that_never_stands_still_is_not_recorded_in_part(memory: InMemoryDaemon) -> None:
    write(memory, "ada", *[f"gist-{number}" for number in range(150)])

    def keep_writing(service: str, request: Request) -> Fault | None:
        memory.world.accounts.write("ada")
        return None

    memory.world.github.faults = keep_writing
    scan(memory)
    assert memory.feed() == []
    assert error(memory, "ada") is not None
    assert user_names(memory) == []


def test_a_list_that_never_stands_still_is_read_three_times_in_a_scan(memory: InMemoryDaemon) -> None:
    write(memory, "ada", *[f"gist-{number}" for number in range(150)])
    readings = 0

    def keep_writing(service: str, request: Request) -> Fault | None:
        nonlocal readings
        readings += "if-none-match" not in request.headers and "/users/" in request.url
        memory.world.accounts.write("ada")
        return None

    memory.world.github.faults = keep_writing
    scan(memory)
    memory.pass_time(INTERVAL_S - 1.0)
    assert readings == TRIES
    assert [scan.status for scan in memory.scans] == [memory.scanner.status()]
    assert memory.scans[0].failed
    memory.pass_time(INTERVAL_S)
    assert readings == 2 * TRIES


def error(memory: InMemoryDaemon, name: str) -> str | None:
    return next(user.error for user in memory.scanner.users() if user.name == name)


def user_names(memory: InMemoryDaemon) -> list[str]:
    return [user.name for user in result_of(memory.store.users())]


def test_a_pass_cut_short_leaves_nothing_behind(memory: InMemoryDaemon) -> None:
    write(memory, "ada", *[f"gist-{number}" for number in range(150)])
    memory.fail("500", "GitHub", path="/user/", times=99)
    scan(memory)
    assert (memory.feed(), user_names(memory)) == ([], [])


def test_what_failed_for_now_is_asked_again_after_five_seconds_doubling(memory: InMemoryDaemon) -> None:
    write(memory, "ada", "first")
    memory.fail("reset", "GitHub", times=2)
    scan(memory)
    memory.pass_time(4.0)
    assert len(memory.github.requests) == 1
    memory.pass_time(1.0)
    assert len(memory.github.requests) == 2
    memory.pass_time(9.0)
    assert memory.feed() == []
    memory.pass_time(1.0)
    assert memory.feed() == ["first"]


def test_no_user_is_asked_again_later_than_after_five_minutes(memory: InMemoryDaemon) -> None:
    memory.fail("reset", "GitHub", times=10_000)
    scan(memory)
    memory.pass_time(DAY_S)
    asked = len(memory.github.requests)
    memory.pass_time(2 * RETRY_LONGEST_S)
    assert len(memory.github.requests) > asked


@pytest.mark.parametrize(("users", "at_once"), [(3, 3), (MAX_CONCURRENT + 2, MAX_CONCURRENT)])
def test_users_are_read_several_at_a_time(users: int, at_once: int) -> None:
    memory = InMemoryDaemon([f"user{number}" for number in range(users)])
    memory.fail("held", "GitHub", times=users)
    scan(memory)
    assert len(memory.world.held_replies) == at_once
    memory.world.held_replies.release()
    assert len(memory.github.requests) == users


def test_one_user_in_trouble_leaves_the_others_alone() -> None:
    memory = InMemoryDaemon(["ada", "bob"])
    write(memory, "bob", "first")
    memory.fail("500", "GitHub", path="/users/ada", times=10_000)
    scan(memory)
    assert memory.feed() == ["first"]
    write(memory, "bob", "second")
    memory.pass_time(2 * INTERVAL_S)
    assert memory.feed() == ["first", "second"]


def test_an_unknown_user_is_reported_once_and_has_no_place_among_the_scanned() -> None:
    memory = InMemoryDaemon(["ada"])
    memory.users = ("nobody", "ada")
    scan(memory)
    assert user_names(memory) == ["ada"]
    assert error(memory, "nobody") == "GitHub knows no such user"
    assert [scan.failed for scan in memory.scans] == [False]


def test_a_name_is_shown_as_it_is_configured_now(memory: InMemoryDaemon) -> None:
    write(memory, "ada", "first")
    scan(memory)
    memory.kill()
    memory.users = ("Ada",)
    write(memory, "ada", "second")
    scan(memory)
    assert memory.feed() == ["first", "second"]
    assert user_names(memory) == ["Ada"]


def test_where_github_lists_no_further_the_list_ends_and_that_is_said_once(memory: InMemoryDaemon) -> None:
    memory.world.github_api.deepest = 200
    gists = [f"gist-{number}" for number in range(250)]
    write(memory, "ada", *gists)
    with capturedLogs() as events:
        scan(memory)
        assert memory.feed() == gists[50:]
        memory.pass_time(2 * DAY_S, step=60.0)
    assert len([request for request in memory.github.requests if "page=3" in request.url]) > 2
    assert len([line for line in map(formatEvent, events) if "does not list all gists of ada" in line]) == 1


def test_an_account_taken_by_somebody_else_is_reported_and_left_alone(memory: InMemoryDaemon) -> None:
    write(memory, "ada", "first")
    scan(memory)
    memory.world.accounts.rename("ada", "ada-old")
    memory.world.accounts.open("ada")
    write(memory, "ada", "strange")
    memory.pass_time(2 * INTERVAL_S)
    assert memory.feed() == ["first"]
    assert "another GitHub account" in (error(memory, "ada") or "")


def test_a_gist_made_public_late_is_found_by_the_daily_pass(memory: InMemoryDaemon) -> None:
    secret = memory.world.accounts.write("ada", gist_id="late", public=False)
    write(memory, "ada", *[f"gist-{number}" for number in range(150)])
    scan(memory)
    memory.world.accounts.publish(secret.id)
    memory.pass_time(INTERVAL_S)
    assert "late" not in memory.feed()
    memory.pass_time(DAY_S, step=60.0)
    assert memory.feed()[-1] == "late"


def test_the_daily_pass_comes_within_a_day_of_the_last_one(memory: InMemoryDaemon) -> None:
    write(memory, "ada", "first")
    scan(memory)
    read_at = user(memory, "ada").read_to_end_at
    assert read_at is not None
    assert read_at + 0.8 * TO_END_S <= to_end_due_at(user(memory, "ada")) <= read_at + TO_END_S


def test_a_refused_token_is_asked_once_in_a_scan_and_heals_without_a_restart() -> None:
    memory = InMemoryDaemon(["ada", "bob"])
    memory.token = Secret("token")
    write(memory, "ada", "first")
    scan(memory)
    memory.pass_time(INTERVAL_S - 1.0)
    assert memory.scanner.problem is not None
    assert len(memory.github.requests) <= MAX_CONCURRENT
    memory.world.github_api.tokens["token"] = "somebody"
    memory.pass_time(1.0)
    assert memory.feed() == ["first"]
    assert memory.scanner.problem is None


def test_scans_come_at_every_interval(memory: InMemoryDaemon) -> None:
    scan(memory)
    for number in range(3):
        write(memory, "ada", f"gist-{number}")
        memory.pass_time(INTERVAL_S)
    assert memory.feed() == ["gist-0", "gist-1", "gist-2"]


def test_a_scan_that_takes_longer_than_the_interval_is_not_overlapped(memory: InMemoryDaemon) -> None:
    answer: Deferred[None] = Deferred()
    memory.wire()
    to_github = memory.github.exchange

    async def answer_late(request: Request) -> Reply:
        await answer
        return await to_github(request)

    memory.github.exchange = answer_late
    memory.scanner.start()
    memory.pass_time(2.5 * INTERVAL_S, step=60.0)
    assert len(memory.github.requests) == 1
    answer.callback(None)
    memory.pass_time(INTERVAL_S, step=60.0)
    assert len(memory.github.requests) == 2


def test_a_scan_that_breaks_off_is_followed_by_the_next(
    memory: InMemoryDaemon, monkeypatch: pytest.MonkeyPatch, no_failure_is_logged_unseen: list[object]
) -> None:
    write(memory, "ada", "first")
    memory.wire()
    with monkeypatch.context() as broken:
        broken.setattr(memory.store, "users", lambda: fail(RuntimeError("a defect")))
        memory.scanner.start()
    assert len(no_failure_is_logged_unseen) == 1
    no_failure_is_logged_unseen.clear()
    memory.pass_time(INTERVAL_S)
    assert memory.feed() == ["first"]


def test_a_defect_in_a_visit_leaves_the_others_alone_and_the_visit_is_made_again(
    no_failure_is_logged_unseen: list[object],
) -> None:
    memory = InMemoryDaemon(["ada", "bob"])
    write(memory, "ada", "first")
    write(memory, "bob", "second")
    memory.wire()
    to_github = memory.github.exchange

    async def break_once(request: Request) -> Reply:
        if len(memory.github.requests) == 1:
            raise RuntimeError("a defect")
        return await to_github(request)

    memory.github.exchange = break_once
    memory.scanner.start()
    assert memory.feed() == ["second"]
    assert len(no_failure_is_logged_unseen) == 1
    no_failure_is_logged_unseen.clear()
    memory.pass_time(5.0)
    assert memory.feed() == ["second", "first"]


def test_a_stop_during_the_wait_for_a_failed_user_ends_at_once(memory: InMemoryDaemon) -> None:
    memory.fail("reset", "GitHub", times=99)
    scan(memory)
    result_of(memory.scanner.stop())
    asked = len(memory.github.requests)
    memory.pass_time(INTERVAL_S)
    assert len(memory.github.requests) == asked


def test_a_scan_asked_for_while_one_reads_the_database_is_that_one(memory: InMemoryDaemon) -> None:
    memory.wire()
    held, users = Deferred[None](), memory.store.users

    async def held_users() -> Sequence[User]:
        await held
        return await users()

    memory.store.users = held_users  # type: ignore[method-assign]
    memory.scanner.start()
    memory.scanner.scan_now()
    held.callback(None)
    assert len(memory.scans) == 1
    memory.pass_time(3 * INTERVAL_S, step=60.0)
    assert len(memory.scans) == 4


def test_a_database_out_of_reach_fails_the_scan_without_a_traceback_and_the_next_one_goes_on(
    memory: InMemoryDaemon,
) -> None:
    memory.wire()
    users = memory.store.users

    async def out_of_reach() -> Sequence[User]:
        raise Unavailable("connection refused")

    memory.store.users = out_of_reach  # type: ignore[method-assign]
    memory.scanner.start()
    assert memory.scanner.failed_in_a_row == memory.scanner.status().failed_in_a_row == 1
    memory.store.users = users  # type: ignore[method-assign]
    memory.pass_time(INTERVAL_S, step=60.0)
    assert (len(memory.scans), memory.scanner.failed_in_a_row) == (1, 0)
