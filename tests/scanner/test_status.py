"""How the scans stand: what status, metrics and log tell of them."""

from collections import Counter

import pytest
from twisted.logger import capturedLogs

from pipetest.domain.model import Reply, Secret
from pipetest.domain.status import QueriedUser, Scan, UserCounts
from pipetest.sandbox.faults import Fault, Rule
from pipetest.scanner import queried_users
from tests.support.in_memory import INTERVAL_S, InMemoryPipeline
from tests.support.log import lines


@pytest.fixture
def three() -> InMemoryPipeline:
    """Ada has written a gist, and bob two; cyd has no account."""
    memory = InMemoryPipeline(["ada", "bob"])
    memory.users = ("ada", "bob", "cyd")
    memory.write("1")
    memory.write("2", "3", user="bob")
    return memory


def test_before_the_first_scan_nothing_is_known_and_nothing_wrong(three: InMemoryPipeline) -> None:
    three.wire()
    scanner = three.scanner
    assert scanner.status() == Scan()
    assert (scanner.failure, scanner.refusal, scanner.last_end, three.lists.file_problem) == (None, None, None, None)
    assert scanner.users.counts() == UserCounts(total=3, unread=3)
    assert scanner.users.all() == [QueriedUser(name="ada"), QueriedUser(name="bob"), QueriedUser(name="cyd")]
    assert scanner.passes == Counter()


def test_the_status_is_that_of_the_scan_under_way_and_then_of_the_last_one(three: InMemoryPipeline) -> None:
    three.fail("held", "GitHub", path="/users/bob")
    began_at = three.clock.seconds()
    three.scan()
    under_way = Scan(under_way=True, started_at=began_at, next_at=began_at + INTERVAL_S, users=3, visited=2)
    assert three.scanner.status() == under_way
    assert three.scanner.last_end == began_at
    three.pass_time(3.0)
    three.world.held_replies.release()
    ended = Scan(started_at=began_at, ended_at=began_at + 3.0, next_at=began_at + INTERVAL_S, users=3, visited=3)
    assert [(scan.failed, scan.status) for scan in three.scans] == [(False, ended)]
    assert three.scanner.status() == ended
    assert three.scanner.last_end == began_at + 3.0


def test_users_are_told_by_how_their_last_pass_went_those_who_could_not_be_read_first(
    three: InMemoryPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    three.users = (*three.users, "dan")
    three.world.accounts.open("dan")
    three.fail("reset", "GitHub", path="/users/bob")
    three.fail("held", "GitHub", path="/users/dan")
    three.scan()
    users = three.scanner.users
    assert users.counts() == UserCounts(total=4, failing=2, unread=1, unknown=1)
    assert users.errors().keys() == {"bob", "cyd"}
    assert [user.name for user in users.all()] == ["ada", "bob", "cyd", "dan"]
    assert users.most() == [
        QueriedUser(name="bob", error=users.errors()["bob"]),
        QueriedUser(name="cyd", error="GitHub knows no such user"),
        QueriedUser(name="ada", succeeded_at=three.clock.seconds()),
        QueriedUser(name="dan"),
    ]
    monkeypatch.setattr(queried_users, "MOST_USERS", 3)
    assert [user.name for user in users.most()] == ["bob", "cyd", "ada"]


def test_passes_are_counted_by_how_they_ended(three: InMemoryPipeline) -> None:
    three.world.faults.add(Rule(Fault("x", None, Reply(418, {}, b"")), "GitHub", path="/users/bob", times=2))
    three.scan()
    three.pass_time(5.0)
    assert three.scanner.passes == {"recorded": 1, "Missing": 1, "Refused": 2}
    three.pass_time(INTERVAL_S)
    assert three.scanner.passes == {"recorded": 2, "Missing": 2, "Refused": 2, "unchanged": 2}


def failure(memory: InMemoryPipeline) -> tuple[str | None, int]:
    return memory.scanner.failure, memory.scanner.failed_in_a_row


def test_why_a_scan_has_failed_is_told_until_one_goes_well(memory: InMemoryPipeline) -> None:
    memory.token = Secret("token")
    memory.fail("500", "GitHub", times=None)
    memory.scan()
    memory.pass_time(INTERVAL_S - 1.0)
    assert failure(memory) == ("nobody could be read", 1)
    memory.world.faults.clear()
    memory.pass_time(INTERVAL_S)
    assert failure(memory) == (f"GitHub: {memory.scanner.refusal}", 2)
    memory.world.github_api.tokens["token"] = "somebody"
    memory.pass_time(INTERVAL_S)
    assert failure(memory) == (None, 0)


def test_who_fails_again_in_a_scan_counts_as_one_user() -> None:
    memory = InMemoryPipeline(["ada", "bob", "cyd"])
    memory.fail("500", "GitHub", path="/users/ada", times=None)
    memory.world.faults.add(Rule(Fault("x", None, Reply(429, {"retry-after": "60"}, b"")), "GitHub"))
    memory.scan()
    memory.pass_time(INTERVAL_S)
    assert memory.scanner.passes["Transient"] > 1
    assert memory.scanner.status().visited == 1


def test_what_a_scan_finds_is_in_the_log_and_the_end_of_the_first_one(three: InMemoryPipeline) -> None:
    began_at = three.clock.seconds()
    three.fail("held", "GitHub", path="/users/bob")
    three.wire()
    with capturedLogs() as events:
        three.scanner.start()
        three.pass_time(3.0)
        three.world.held_replies.release()
    assert lines(events) == [
        "ada: 1 new gist",
        "bob: 2 new gists",
        "scan of 3 users ended after 3.0 s, 1 not read",
    ]
    assert {event["scan"] for event in events if "event" in event} == {int(began_at)}
    three.write("4")
    with capturedLogs() as events:
        three.pass_time(2 * INTERVAL_S)
    assert lines(events) == ["ada: 1 new gist"]


def test_a_scan_of_one_user_is_told_of_as_such(memory: InMemoryPipeline) -> None:
    memory.wire()
    with capturedLogs() as events:
        memory.scanner.start()
    assert lines(events) == ["scan of 1 user ended after 0.0 s, 0 not read"]
