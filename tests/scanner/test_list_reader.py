"""A list is read whole or not at all, and no further than needed."""

from twisted.logger import capturedLogs, formatEvent

from pipetest.domain.model import Request
from pipetest.sandbox.faults import Fault
from pipetest.scanner.list_reader import TRIES
from tests.support.in_memory import INTERVAL_S, InMemoryDaemon

DAY_S = 24 * 3600.0


def test_gists_are_recorded_oldest_first(memory: InMemoryDaemon) -> None:
    memory.write("first", "second", "third")
    memory.scan()
    assert memory.feed() == ["first", "second", "third"]


def test_all_pages_are_read(memory: InMemoryDaemon) -> None:
    gists = [f"gist-{number}" for number in range(250)]
    memory.write(*gists)
    memory.scan()
    assert memory.feed() == gists


def test_a_pass_stops_at_the_page_that_holds_a_recorded_gist(memory: InMemoryDaemon) -> None:
    memory.write(*[f"gist-{number}" for number in range(250)])
    memory.scan()
    memory.write("new")
    memory.github.requests.clear()
    memory.pass_time(INTERVAL_S)
    assert memory.feed()[-1] == "new"
    assert len(memory.github.requests) == 1


def test_a_list_that_shifts_while_it_is_read_is_read_again(memory: InMemoryDaemon) -> None:
    gists = [f"gist-{number}" for number in range(150)]
    memory.write(*gists)
    asked = 0

    def delete_one_before_the_second_page(service: str, request: Request) -> Fault | None:
        nonlocal asked
        asked += 1
        if asked == 2:
            memory.world.accounts.delete("gist-149")
        return None

    memory.world.github.faults = delete_one_before_the_second_page
    memory.scan()
    assert memory.feed() == gists[:149]


def test_a_list_that_never_stands_still_is_not_recorded_in_part(memory: InMemoryDaemon) -> None:
    memory.write(*[f"gist-{number}" for number in range(150)])

    def keep_writing(service: str, request: Request) -> Fault | None:
        memory.world.accounts.write("ada")
        return None

    memory.world.github.faults = keep_writing
    memory.scan()
    assert memory.feed() == []
    assert memory.error_of("ada") is not None
    assert memory.recorded_users() == []


def test_a_list_that_never_stands_still_is_read_three_times_in_a_scan(memory: InMemoryDaemon) -> None:
    memory.write(*[f"gist-{number}" for number in range(150)])
    readings = 0

    def keep_writing(service: str, request: Request) -> Fault | None:
        nonlocal readings
        readings += "if-none-match" not in request.headers and "/users/" in request.url
        memory.world.accounts.write("ada")
        return None

    memory.world.github.faults = keep_writing
    memory.scan()
    memory.pass_time(INTERVAL_S - 1.0)
    assert readings == TRIES
    assert [scan.status for scan in memory.scans] == [memory.scanner.status()]
    assert memory.scans[0].failed
    memory.pass_time(INTERVAL_S)
    assert readings == 2 * TRIES


def test_a_pass_cut_short_leaves_nothing_behind(memory: InMemoryDaemon) -> None:
    memory.write(*[f"gist-{number}" for number in range(150)])
    memory.fail("500", "GitHub", path="/user/", times=99)
    memory.scan()
    assert (memory.feed(), memory.recorded_users()) == ([], [])


def test_where_github_lists_no_further_the_list_ends_and_that_is_said_once(memory: InMemoryDaemon) -> None:
    memory.world.github_api.deepest = 200
    gists = [f"gist-{number}" for number in range(250)]
    memory.write(*gists)
    with capturedLogs() as events:
        memory.scan()
        assert memory.feed() == gists[50:]
        memory.pass_time(2 * DAY_S, step=60.0)
    assert len([request for request in memory.github.requests if "page=3" in request.url]) > 2
    assert len([line for line in map(formatEvent, events) if "does not list all gists of ada" in line]) == 1
