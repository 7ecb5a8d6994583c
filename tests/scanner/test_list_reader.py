"""A list is read whole or not at all, and no further than needed."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from twisted.internet.task import LoopingCall
from twisted.logger import capturedLogs, formatEvent

from pipetest.domain.model import Reply, Request
from pipetest.sandbox.faults import FAULTS, Fault, Rule
from pipetest.sandbox.github.quirks import BROKEN_FIELDS
from pipetest.scanner.list_reader import TRIES
from pipetest.scanner.page_sizes import MAX_PAGES
from tests.support.in_memory import INTERVAL_S, InMemoryPipeline

DAY_S = 24 * 3600.0


def test_gists_are_recorded_oldest_first(memory: InMemoryPipeline) -> None:
    memory.write("first", "second", "third")
    memory.scan()
    assert memory.feed() == ["first", "second", "third"]


def test_all_pages_are_read(memory: InMemoryPipeline) -> None:
    gists = [f"gist-{number}" for number in range(250)]
    memory.write(*gists)
    memory.scan()
    assert memory.feed() == gists


def test_a_pass_stops_at_the_page_that_holds_a_recorded_gist(memory: InMemoryPipeline) -> None:
    memory.write(*[f"gist-{number}" for number in range(250)])
    memory.scan()
    memory.write("new")
    memory.github.requests.clear()
    memory.pass_time(INTERVAL_S)
    assert memory.feed()[-1] == "new"
    assert len(memory.github.requests) == 1


def test_a_list_that_shifts_while_it_is_read_is_read_again(memory: InMemoryPipeline) -> None:
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


def delete_the_newest_at_each_request(memory: InMemoryPipeline) -> Callable[[str, Request], Fault | None]:
    def delete(service: str, request: Request) -> Fault | None:
        accounts = memory.world.accounts
        accounts.delete(accounts.public_gists()["ada"][0])
        return None

    return delete


def test_a_list_that_never_stands_still_is_not_recorded_in_part(memory: InMemoryPipeline) -> None:
    memory.write(*[f"gist-{number}" for number in range(250)])
    memory.world.github.faults = delete_the_newest_at_each_request(memory)
    memory.scan()
    assert memory.feed() == []
    assert memory.error_of("ada") == "GitHub: the list of ada changed each time it was read"
    assert memory.recorded_users() == []


def test_a_list_that_never_stands_still_is_read_three_times_in_a_scan(memory: InMemoryPipeline) -> None:
    memory.write(*[f"gist-{number}" for number in range(250)])
    memory.world.github.faults = delete_the_newest_at_each_request(memory)
    memory.scan()
    memory.pass_time(INTERVAL_S - 1.0)
    readings = [request for request in memory.github.requests if begins_reading(request)]
    assert len(readings) == TRIES
    assert [scan.status for scan in memory.scans] == [memory.scanner.status()]
    assert memory.scans[0].failed
    memory.pass_time(INTERVAL_S)
    readings = [request for request in memory.github.requests if begins_reading(request)]
    assert len(readings) == 2 * TRIES


def begins_reading(request: Request) -> bool:
    return "/users/" in request.url and "if-none-match" not in request.headers


@pytest.mark.parametrize("every_s", [5.0, 1.0])
def test_a_long_list_to_which_gists_are_added_all_the_time_is_recorded(
    memory: InMemoryPipeline, every_s: float
) -> None:
    memory.world.github_api.per_page_most = 11
    memory.world.github.latency = 0.25
    memory.write(*[f"gist-{number}" for number in range(330)])
    writing = LoopingCall(memory.world.accounts.write, "ada")
    writing.clock = memory.clock
    writing.start(every_s, now=False)
    memory.scan()
    memory.pass_time(20.0, step=0.125)
    assert memory.feed()[:330] == [f"gist-{number}" for number in range(330)]
    memory.pass_time(2 * INTERVAL_S)
    writing.stop()
    memory.pass_time(2 * INTERVAL_S)
    assert sorted(memory.feed()) == sorted(memory.world.accounts.public_gists()["ada"])


def test_a_gist_that_is_made_public_while_the_list_is_read_is_found_by_the_same_pass(memory: InMemoryPipeline) -> None:
    late = memory.world.accounts.write("ada", gist_id="late", public=False)
    memory.write(*[f"gist-{number}" for number in range(150)])

    def publish_after_the_second_page(service: str, request: Request) -> Fault | None:
        if len(memory.github.requests) == 3 and not late.public:
            memory.world.accounts.publish("late")
        return None

    memory.world.github.faults = publish_after_the_second_page
    memory.scan()
    assert "late" in memory.feed()


def test_a_list_whose_name_changes_hands_while_it_is_read_is_not_mixed(memory: InMemoryPipeline) -> None:
    memory.write(*[f"gist-{number}" for number in range(150)])
    memory.world.accounts.open("eve")
    memory.write(*[f"strange-{number}" for number in range(150)], user="eve")

    def change_hands_after_the_second_page(service: str, request: Request) -> Fault | None:
        if len(memory.github.requests) == 3:
            memory.world.accounts.rename("ada", "ada-old")
            memory.world.accounts.rename("eve", "ada")
        return None

    memory.world.github.faults = change_hands_after_the_second_page
    memory.scan()
    assert memory.feed() == [f"strange-{number}" for number in range(150)]


def test_a_pass_cut_short_leaves_nothing_behind(memory: InMemoryPipeline) -> None:
    memory.write(*[f"gist-{number}" for number in range(150)])
    memory.fail("500", "GitHub", path="/user/", times=99)
    memory.scan()
    assert (memory.feed(), memory.recorded_users()) == ([], [])


@pytest.mark.parametrize(("path", "status"), [("/users/", 422), ("/user/", 403), ("/user/", 404)])
def test_a_list_that_is_refused_is_an_error_and_neither_unchanged_nor_at_its_end(
    memory: InMemoryPipeline, path: str, status: int
) -> None:
    """``/users/`` is the first page, ``/user/`` a later one."""
    memory.write(*[f"gist-{number}" for number in range(150)])
    memory.world.faults.add(Rule(Fault("x", None, Reply(status, {}, b"")), "GitHub", None, path))
    memory.scan()
    assert (memory.feed(), memory.recorded_users()) == ([], [])
    assert memory.error_of("ada") is not None


def test_where_github_lists_no_further_the_list_ends_and_that_is_said_once(memory: InMemoryPipeline) -> None:
    memory.world.github_api.deepest = 200
    gists = [f"gist-{number}" for number in range(250)]
    memory.write(*gists)
    with capturedLogs() as events:
        memory.scan()
        assert memory.feed() == gists[50:]
        memory.pass_time(2 * DAY_S, step=60.0)
    assert len([request for request in memory.github.requests if "page=3" in request.url]) > 2
    assert len([line for line in map(formatEvent, events) if "does not list all gists of ada" in line]) == 1


# --- lists that are not as described ----------------------------------------------------------------------------------


@pytest.mark.parametrize("links", ["lines", "relative", "none"])
def test_a_list_is_read_to_its_end_however_its_links_are_written(memory: InMemoryPipeline, links: Any) -> None:
    memory.world.github_api.quirks.links = links
    gists = [f"gist-{number}" for number in range(300)]
    memory.write(*gists)
    memory.scan()
    assert memory.feed() == gists


@pytest.mark.parametrize("redirects", [1, 3])
def test_a_list_behind_redirects_is_read(memory: InMemoryPipeline, redirects: int) -> None:
    memory.world.github_api.quirks.redirects = redirects
    gists = [f"gist-{number}" for number in range(150)]
    memory.write(*gists)
    memory.scan()
    assert memory.feed() == gists


def test_a_list_that_comes_with_another_status_of_success_is_read(memory: InMemoryPipeline) -> None:
    memory.world.github_api.quirks.page_status = 203
    memory.write("first")
    memory.scan()
    assert memory.feed() == ["first"]


def test_a_304_that_nobody_asked_for_is_not_taken_for_an_empty_list(memory: InMemoryPipeline) -> None:
    memory.world.github_api.quirks.unasked_304 = True
    memory.write("first")
    memory.scan()
    assert memory.error_of("ada") is not None
    memory.world.github_api.quirks.unasked_304 = False
    memory.pass_time(5.0)
    assert memory.feed() == ["first"]


def test_a_list_without_an_end_is_given_up_and_begun_once_in_a_scan(memory: InMemoryPipeline) -> None:
    memory.world.github_api.quirks.endless = True
    memory.write("first")
    memory.scan()
    memory.pass_time(INTERVAL_S - 1.0, step=60.0)
    assert len(memory.github.requests) == MAX_PAGES
    assert memory.error_of("ada") == "GitHub: the list of ada has no end"
    memory.world.github_api.quirks.endless = False
    memory.pass_time(INTERVAL_S)
    assert memory.feed() == ["first"]


def test_a_list_that_leads_round_in_a_circle_is_given_up(memory: InMemoryPipeline) -> None:
    memory.wire()
    to_github = memory.github.exchange

    async def lead_back(request: Request) -> Reply:
        reply = await to_github(request)
        return replace(reply, headers={**reply.headers, "link": f'<{request.url}>; rel="next"'})

    memory.github.exchange = lead_back
    memory.scanner.start()
    assert len(memory.github.requests) == 1
    assert memory.error_of("ada") == "GitHub: the list of ada has no end"


@pytest.mark.parametrize("broken", ["null", *BROKEN_FIELDS])
def test_a_gist_that_cannot_be_read_is_left_out_and_reported(memory: InMemoryPipeline, broken: str) -> None:
    memory.write("first", "second", "third")
    memory.world.github_api.quirks.broken["second"] = broken
    memory.scan()
    assert memory.feed() == ["first", "third"]
    files = memory.disk.files
    memory.pass_time(INTERVAL_S)
    assert memory.disk.files == files
    memory.write("fourth")
    memory.pass_time(3 * INTERVAL_S)
    assert memory.feed() == ["first", "third", "fourth"]
    assert memory.scanner.users.leaving_out() == ["ada"]
    assert [scan.failed for scan in memory.scans] == [False] * len(memory.scans)


def test_a_gist_that_can_be_read_at_last_is_recorded_by_the_next_pass(memory: InMemoryPipeline) -> None:
    memory.write("first", "second")
    memory.world.github_api.quirks.broken["first"] = "null"
    memory.scan()
    memory.world.github_api.quirks.broken.clear()
    memory.pass_time(INTERVAL_S)
    assert memory.feed() == ["second", "first"]
    memory.pass_time(DAY_S, step=60.0)
    assert memory.scanner.users.leaving_out() == []


def test_a_gist_that_cannot_be_read_on_the_last_of_several_pages_spoils_no_other(memory: InMemoryPipeline) -> None:
    gists = [f"gist-{number}" for number in range(201)]
    memory.write(*gists)
    memory.world.github_api.quirks.broken["gist-0"] = "created_at"
    memory.scan()
    assert memory.feed() == gists[1:]
    memory.write("new")
    memory.pass_time(INTERVAL_S)  # reads the first page alone
    assert (memory.feed()[-1], memory.scanner.users.leaving_out()) == ("new", ["ada"])


def test_a_list_of_which_nothing_can_be_read_is_an_error(memory: InMemoryPipeline) -> None:
    memory.write("first")
    memory.world.github_api.quirks.broken["first"] = "owner"
    memory.scan()
    assert memory.error_of("ada") == "GitHub: a list of which not one gist can be read"


# --- lists that are too much ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("heaviest", "per_page"), [(50, 30), (20, 10)])
def test_pages_that_are_too_much_are_asked_for_in_smaller_ones(
    memory: InMemoryPipeline, heaviest: int, per_page: int
) -> None:
    memory.world.github_api.quirks.heaviest = heaviest
    gists = [f"gist-{number}" for number in range(150)]
    memory.write(*gists)
    memory.scan()
    memory.pass_time(15.0)
    assert memory.feed() == gists
    assert f"per_page={per_page}" in memory.github.requests[-1].url


@pytest.mark.parametrize("fault", ["silent", "500", "502", "reset", "applied-stalled", "applied-torn"])
def test_a_page_that_fails_however_is_asked_for_at_thirty_and_ten(memory: InMemoryPipeline, fault: str) -> None:
    memory.write("first")
    memory.world.github.faults = lambda service, request: (
        FAULTS[fault] if "per_page=10&" not in f"{request.url}&" else None
    )
    memory.scan()
    memory.pass_time(60.0)
    assert [request.url.partition("per_page=")[2] for request in memory.github.requests] == ["100", "30", "10"]
    assert memory.feed() == ["first"]


def test_smaller_pages_are_kept_to_until_the_daily_pass_has_gone_well(memory: InMemoryPipeline) -> None:
    memory.world.github_api.quirks.heaviest = 50
    memory.write(*[f"gist-{number}" for number in range(150)])
    memory.scan()
    memory.pass_time(15.0)
    memory.write("second")
    memory.pass_time(INTERVAL_S)
    memory.github.requests.clear()
    memory.write("third")
    memory.pass_time(INTERVAL_S)
    assert [request.url.partition("per_page=")[2] for request in memory.github.requests] == ["30"]
    memory.world.github_api.quirks.heaviest = None
    memory.pass_time(DAY_S, step=60.0)
    memory.github.requests.clear()
    memory.write("fourth")
    memory.pass_time(INTERVAL_S)
    assert [request.url.partition("per_page=")[2] for request in memory.github.requests] == ["100"]


def test_an_outage_is_no_reason_to_ask_everybody_for_smaller_pages() -> None:
    memory = InMemoryPipeline(["ada", "bob", "cyd"])
    memory.fail("503", "GitHub", times=9)
    memory.scan()
    memory.pass_time(60.0)
    sizes = {user: [r.url.partition("=")[2] for r in memory.github.requests if user in r.url] for user in memory.users}
    assert sizes["bob"] == sizes["cyd"] == ["100"] * 4
