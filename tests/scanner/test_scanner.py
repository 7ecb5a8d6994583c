"""All users are read at every interval, each in turn, whatever becomes of one of them."""

from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.logger import LogEvent, formatEvent

from pipetest.domain.errors import Unavailable, Unstorable
from pipetest.domain.model import Entry, PassResult, Reply, Request, User, UserList
from pipetest.scanner import scanner
from pipetest.scanner.passes import MAX_CONCURRENT
from tests.support.in_memory import INTERVAL_S, InMemoryPipeline
from tests.support.results import result_of


def users_asked_for(memory: InMemoryPipeline) -> list[str]:
    return [request.url.split("/users/")[1].split("/")[0] for request in memory.github.requests]


@pytest.mark.parametrize(("users", "at_once"), [(3, 3), (MAX_CONCURRENT + 2, MAX_CONCURRENT)])
def test_users_are_read_several_at_a_time(users: int, at_once: int) -> None:
    memory = InMemoryPipeline([f"user{number}" for number in range(users)])
    memory.fail("held", "GitHub", times=users)
    memory.scan()
    assert len(memory.world.held_replies) == at_once
    memory.world.held_replies.release()
    assert len(memory.github.requests) == users


@pytest.mark.parametrize(("at_once", "read_at_once"), [(2, False), (3, True)])
def test_before_a_scan_of_very_many_users_others_have_their_turn(
    monkeypatch: pytest.MonkeyPatch, at_once: int, read_at_once: bool
) -> None:
    monkeypatch.setattr(scanner, "AT_ONCE", at_once)
    memory = InMemoryPipeline(["ada", "bob", "cyd"])
    memory.scan()
    assert bool(memory.github.requests) == read_at_once
    memory.clock.advance(0)
    assert users_asked_for(memory) == ["ada", "bob", "cyd"]


def test_once_it_is_stopped_between_two_parts_nobody_else_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanner, "AT_ONCE", 1)
    memory = InMemoryPipeline(["ada", "bob"])
    memory.fail("held", "GitHub")
    memory.scan()
    memory.clock.advance(0)
    stopping = Deferred.fromCoroutine(memory.scanner.stop())
    memory.world.held_replies.release()
    memory.clock.advance(0)
    assert result_of(stopping) is None
    assert users_asked_for(memory) == ["ada"]
    assert memory.scans == []


def test_a_stop_ends_the_scan_though_the_database_cannot_be_asked_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = InMemoryPipeline()
    memory.scan()
    asked = Deferred[Any]()
    monkeypatch.setattr(memory.store, "known_users", lambda *_: asked)
    memory.pass_time(INTERVAL_S)
    stopping = Deferred.fromCoroutine(memory.scanner.stop())
    asked.errback(Unavailable("PostgreSQL does not answer"))
    assert result_of(stopping) is None


def test_of_whom_the_database_cannot_be_asked_in_a_scan_is_read_in_it_before_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scanner, "AT_ONCE", 1)
    memory = InMemoryPipeline(["ada", "bob", "cyd"])
    memory.fail("held", "GitHub")
    memory.scan()
    memory.clock.advance(0)
    with monkeypatch.context() as broken:
        broken.setattr(memory.store, "known_users", lambda *_: fail(Unavailable("PostgreSQL does not answer")))
        memory.world.held_replies.release()
        memory.clock.advance(0)
    assert users_asked_for(memory) == ["ada"]
    memory.pass_time(6.0)
    assert users_asked_for(memory) == ["ada", "bob", "cyd"]
    assert [scan.failed for scan in memory.scans] == [False]


def test_whoever_was_not_read_for_longest_goes_first() -> None:
    memory = InMemoryPipeline(["ada", "bob", "cyd"])
    memory.fail("500", "GitHub", path="/users/bob")
    memory.scan()
    memory.pass_time(INTERVAL_S - 1.0)
    assert users_asked_for(memory) == ["ada", "bob", "cyd", "bob"]
    memory.github.requests.clear()
    memory.pass_time(1.0)
    assert users_asked_for(memory) == ["ada", "cyd", "bob"]


def test_who_is_new_goes_first() -> None:
    memory = InMemoryPipeline(["ada", "bob"])
    memory.users = ["ada", UserList("following", "ada")]
    memory.scan()
    memory.world.accounts.follow("ada", "bob")
    memory.github.requests.clear()
    memory.pass_time(INTERVAL_S)
    assert memory.scanner.users.names == ["ada", "bob"]
    assert users_asked_for(memory)[1:] == ["bob", "ada"]  # the first request is for the list


def test_one_user_who_cannot_be_read_leaves_the_others_alone() -> None:
    memory = InMemoryPipeline(["ada", "bob"])
    memory.write("first", user="bob")
    memory.fail("500", "GitHub", path="/users/ada", times=10_000)
    memory.scan()
    assert memory.feed() == ["first"]
    memory.write("second", user="bob")
    memory.pass_time(2 * INTERVAL_S)
    assert memory.feed() == ["first", "second"]


def test_scans_come_at_every_interval(memory: InMemoryPipeline) -> None:
    memory.scan()
    for number in range(3):
        memory.write(f"gist-{number}")
        memory.pass_time(INTERVAL_S)
    assert memory.feed() == ["gist-0", "gist-1", "gist-2"]


def test_a_scan_that_takes_longer_than_the_interval_is_not_overlapped(memory: InMemoryPipeline) -> None:
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


def test_once_it_is_stopped_no_pass_begins_and_those_under_way_are_ended() -> None:
    users = [f"user{number}" for number in range(MAX_CONCURRENT + 2)]
    memory = InMemoryPipeline(users)
    for user in users:
        memory.write(f"of-{user}", user=user)
    memory.fail("held", "GitHub", times=MAX_CONCURRENT)
    memory.scan()
    stopped: list[None] = []
    Deferred.fromCoroutine(memory.scanner.stop()).addCallback(stopped.append)
    assert stopped == []
    memory.world.held_replies.release()
    assert stopped == [None]
    assert memory.feed() == [f"of-{user}" for user in users[:MAX_CONCURRENT]]
    assert len(memory.github.requests) == MAX_CONCURRENT


def test_a_scan_that_breaks_off_is_followed_by_the_next(
    memory: InMemoryPipeline, monkeypatch: pytest.MonkeyPatch, no_failure_is_logged_unseen: list[LogEvent]
) -> None:
    memory.write("first")
    memory.wire()
    with monkeypatch.context() as broken:
        broken.setattr(memory.store, "users", lambda: fail(RuntimeError("a defect")))
        memory.scanner.start()
    (failure,) = no_failure_is_logged_unseen
    assert formatEvent(failure) == "the scan failed; retrying in 1800 s"
    assert (memory.scanner.failed_in_a_row, memory.scanner.status().under_way) == (1, False)
    assert memory.scanner.failure == "an unexpected error (RuntimeError): the log tells more"
    no_failure_is_logged_unseen.clear()
    memory.pass_time(INTERVAL_S)
    assert memory.feed() == ["first"]


def test_a_scan_asked_for_while_one_reads_the_database_is_that_one(
    memory: InMemoryPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.wire()
    held, users = Deferred[None](), memory.store.users

    async def held_users() -> Sequence[User]:
        await held
        return await users()

    monkeypatch.setattr(memory.store, "users", held_users)
    memory.scanner.start()
    memory.scanner.scan_now()
    held.callback(None)
    assert len(memory.scans) == 1
    memory.pass_time(3 * INTERVAL_S, step=60.0)
    assert len(memory.scans) == 4


def test_a_database_out_of_reach_fails_the_scan_without_a_traceback_and_the_next_one_goes_on(
    memory: InMemoryPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.wire()

    async def out_of_reach() -> Sequence[User]:
        raise Unavailable("connection refused")

    with monkeypatch.context() as broken:
        broken.setattr(memory.store, "users", out_of_reach)
        memory.scanner.start()
    assert (memory.scanner.failure, memory.scanner.status().failed_in_a_row) == ("connection refused", 1)
    memory.pass_time(INTERVAL_S, step=60.0)
    assert (len(memory.scans), memory.scanner.status().failed_in_a_row) == (1, 0)


@pytest.mark.parametrize("error", [Unavailable("connection refused"), RuntimeError("a defect")])
def test_a_scan_that_is_cut_short_in_the_middle_is_no_longer_under_way(
    monkeypatch: pytest.MonkeyPatch, no_failure_is_logged_unseen: list[LogEvent], error: Exception
) -> None:
    memory = InMemoryPipeline()
    memory.world.accounts.open("cyd")
    memory.world.accounts.follow("cyd", "ada")
    memory.users = [UserList("following", "cyd")]
    memory.fail("500", "GitHub", path="/users/cyd/following")
    memory.scan()
    began = memory.scanner.status()
    monkeypatch.setattr(memory.store, "known_users", lambda *_: fail(error))
    memory.pass_time(5.0)
    ended = memory.scanner.status()
    assert (began.under_way, ended.under_way) == (True, False)
    assert (ended.ended_at, ended.failed_in_a_row) == (memory.clock.seconds(), 1)
    no_failure_is_logged_unseen.clear()


def test_a_pass_that_the_database_cannot_hold_concerns_its_user_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = InMemoryPipeline(["ada", "bob"])
    memory.write("first", user="bob")
    memory.wire()
    add_gists = memory.store.add_gists

    async def none_of_ada(result: PassResult) -> Sequence[Entry]:
        if result.user == "ada":
            raise Unstorable("a number that no database can hold")
        return await add_gists(result)

    with monkeypatch.context() as broken:
        broken.setattr(memory.store, "add_gists", none_of_ada)
        memory.scanner.start()
        memory.pass_time(10.0)
    assert (memory.feed(), memory.error_of("ada")) == (["first"], "a number that no database can hold")
    assert (users_asked_for(memory), len(memory.scans)) == (["ada", "bob"], 1)  # again would be no better
    memory.pass_time(INTERVAL_S, step=60.0)
    assert (memory.error_of("ada"), memory.recorded_users()) == (None, ["bob", "ada"])
