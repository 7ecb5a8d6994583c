"""Whom to read: names, a file, and lists on GitHub, each of which counts as it was last read whole."""

from collections.abc import Sequence
from itertools import count, cycle

import pytest
from msgspec.structs import replace
from twisted.internet.defer import Deferred

from pipetest.domain.errors import ConfigError
from pipetest.domain.model import MOST_NAMES, Account, AccountPage, QueriedEntry, Reply, Request, Secret, UserList
from pipetest.sandbox.faults import Fault, Rule
from pipetest.scanner import user_lists
from pipetest.scanner.page_sizes import MAX_PAGES
from pipetest.scanner.user_lists import (
    EMPTY_S,
    STORED_AS,
    TRIES,
    ReadEntries,
    ReadList,
    complaint_about,
    latest,
    queried,
    stored_names,
)
from tests.support.in_memory import INTERVAL_S, InMemoryPipeline
from tests.support.results import result_of

DAY_S = 24 * 3600.0
FOLLOWING = UserList("following", "ada")
ACME = UserList("org", "acme")


class Lists(InMemoryPipeline):
    """Bob, cyd and dan have accounts, each with a gist, and so have ada, whom nobody follows, and acme."""

    def __init__(self, *entries: QueriedEntry) -> None:
        super().__init__(["ada", "bob", "cyd", "dan", "acme"])
        self.users = entries
        for user in ("ada", "bob", "cyd", "dan"):
            self.write(f"of-{user}", user=user)
        self.follow("cyd", "bob")

    def follow(self, *users: str) -> None:
        for user in users:
            self.world.accounts.follow("ada", user)

    def asked(self, what: str = "/following") -> int:
        return sum(what in request.url for request in self.github.requests)

    def scanned(self) -> Sequence[str]:
        return self.scanner.users.names

    def next_scan(self) -> None:
        self.pass_time(INTERVAL_S, step=60.0)


def pages(*names: Sequence[str], more: bool = False) -> dict[str, AccountPage]:
    """Pages of these names, each with a number of its own."""
    urls = [f"page {number}" for number in range(len(names) + 1)]
    return {
        url: AccountPage([Account(10 * page + n, name) for n, name in enumerate(names[page], 1)], url, following)
        for page, (url, following) in enumerate(zip(urls[:-1], [*urls[1:-1], urls[-1] if more else None], strict=True))
    }


# --- who is read ------------------------------------------------------------------------------------------------------


def test_everybody_is_read_once_in_the_order_of_the_entries_and_spelt_as_met_first() -> None:
    lists = {"following:ada": ReadList(pages(["Bob", "cyd"])), "org:acme": ReadList(pages(["CYD", "dan"]))}
    users = queried([FOLLOWING, "DAN", ACME, "bob"], lists)
    assert [user.name for user in users] == ["Bob", "cyd", "DAN"]


def test_whom_ada_follows_does_not_include_ada_but_an_organization_may_include_its_namesake() -> None:
    lists = {"following:ada": ReadList(pages(["ADA", "bob"])), "org:acme": ReadList(pages(["Acme"]))}
    assert [user.name for user in queried([FOLLOWING, ACME], lists)] == ["bob", "Acme"]


def test_a_list_tells_the_numbers_of_the_accounts_that_are_named_beside_it() -> None:
    users = queried(["bob", FOLLOWING], {"following:ada": ReadList(pages(["Bob"]))})
    assert [(user.name, user.account_id) for user in users] == [("bob", 1)]


def test_of_a_long_list_only_so_many_count() -> None:
    names = [f"u{number}" for number in range(MOST_NAMES + 1)]
    read = ReadList(pages(names))
    assert len([*queried([FOLLOWING], {"following:ada": read})]) == MOST_NAMES
    assert read.longer
    assert not ReadList(pages(names[:-1])).longer
    assert ReadList(pages(["bob"], more=True)).longer


def test_of_an_account_that_cannot_be_read_and_of_names_that_are_left_out_people_are_told() -> None:
    read = ReadList(pages(["bob"]))
    unreadable = {url: replace(page, unreadable=1) for url, page in read.pages.items()}
    assert complaint_about(read, read.pages) is None
    assert "cannot be read" in (complaint_about(read, unreadable) or "")
    longer = ReadList(pages(["bob"], more=True))
    assert "is left out" in (complaint_about(longer, longer.pages) or "")


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", [FOLLOWING, ACME])
def test_those_on_a_list_are_read(entry: UserList) -> None:
    memory = Lists(entry)
    for user in ("cyd", "bob"):
        memory.world.accounts.join("acme", user)
    memory.scan()
    assert set(memory.scanned()) == {"bob", "cyd"}
    assert set(memory.feed()) == {"of-bob", "of-cyd"}


def test_a_page_that_comes_behind_a_full_one_is_seen() -> None:
    memory = Lists(FOLLOWING)
    memory.world.github_api.per_page_most = 1
    memory.scan()
    account = memory.world.accounts.by_login("ada")
    dan = memory.world.accounts.by_login("dan")
    assert account is not None
    assert dan is not None
    account.following.append(dan.id)
    memory.next_scan()
    assert set(memory.scanned()) == {"bob", "cyd", "dan"}


def test_a_list_of_several_pages_is_read_whole() -> None:
    memory = Lists(FOLLOWING)
    memory.world.github_api.per_page_most = 1
    memory.scan()
    assert set(memory.scanned()) == {"bob", "cyd"}


def test_nobody_is_missed_who_slips_to_an_earlier_page_while_the_list_is_read() -> None:
    memory = Lists(FOLLOWING)
    memory.follow("dan")
    memory.world.github_api.per_page_most = 1

    def leave_before_the_second_page(_: str, request: Request) -> None:
        if "&page=2" in request.url:
            memory.world.accounts.unfollow("ada", "dan")

    memory.world.github.faults = leave_before_the_second_page
    memory.scan()
    assert memory.scanned() == ["bob", "cyd"]


def test_a_list_whose_etags_change_although_it_does_not_is_read_as_ever() -> None:
    memory = Lists(FOLLOWING)
    memory.follow("dan")
    memory.world.github_api.per_page_most = 1
    memory.wire()
    to_github, etags = memory.github.exchange, count()

    async def with_another_etag(request: Request) -> Reply:
        reply = await to_github(request)
        return replace(reply, headers={**reply.headers, "etag": f'"{next(etags)}"'})

    memory.github.exchange = with_another_etag
    memory.scanner.start()
    assert memory.scanned() == ["dan", "bob", "cyd"]
    memory.github.requests.clear()
    memory.next_scan()
    assert memory.asked() == 3


def test_a_list_that_changes_each_time_it_is_read_stays_what_it_was_and_is_read_again_before_long() -> None:
    memory = Lists(FOLLOWING)
    memory.follow("dan")
    memory.world.github_api.per_page_most = 1
    memory.scan()
    memory.world.accounts.unfollow("ada", "dan")

    def come_or_go_before_the_second_page(_: str, request: Request) -> None:
        if "&page=2" in request.url:
            next(coming_and_going)("ada", "acme")

    coming_and_going = cycle((memory.world.accounts.follow, memory.world.accounts.unfollow))
    memory.world.github.faults = come_or_go_before_the_second_page
    memory.github.requests.clear()
    memory.pass_time(INTERVAL_S)
    assert set(memory.scanned()) == {"bob", "cyd", "dan"}
    assert memory.lists.problems == ["following:ada cannot be read: GitHub: the list changed each time it was read"]
    assert memory.asked("/users/ada/following") == TRIES
    memory.world.github.faults = memory.world.faults
    memory.pass_time(60.0)
    assert {"bob", "cyd"} <= {*memory.scanned()} <= {"bob", "cyd", "acme"}


def test_an_unchanged_list_costs_one_conditional_request_a_page_and_scan() -> None:
    memory = Lists(FOLLOWING)
    memory.follow("dan")
    memory.world.github_api.per_page_most = 2
    memory.scan()
    memory.github.requests.clear()
    statuses = memory.world.github.statuses.copy()
    memory.next_scan()
    assert memory.asked() == 2
    assert memory.world.github.statuses["304"] - statuses["304"] == 5  # and three lists of gists
    assert set(memory.scanned()) == {"bob", "cyd", "dan"}


def test_who_is_followed_later_is_read_from_the_next_scan_on() -> None:
    memory = Lists(FOLLOWING)
    memory.scan()
    memory.follow("dan")
    memory.next_scan()
    assert memory.feed()[-1] == "of-dan"


def test_who_is_followed_no_more_is_no_longer_read_and_what_was_recorded_is_finished() -> None:
    memory = Lists(FOLLOWING)
    memory.fail("500", "Pipedrive", times=5)
    memory.start()
    memory.world.accounts.unfollow("ada", "bob")
    memory.next_scan()
    memory.write("too-late", user="bob")
    memory.next_scan()
    assert memory.scanned() == ["cyd"]
    assert "too-late" not in memory.feed()
    assert {title for title, _ in memory.deals()} == {"of-bob", "of-cyd"}


@pytest.mark.parametrize("fault", ["500", "reset"])
def test_a_list_that_cannot_be_read_stays_what_it_was_and_is_asked_for_again_before_long(fault: str) -> None:
    memory = Lists(FOLLOWING)
    memory.scan()
    memory.follow("dan")
    memory.fail(fault, "GitHub", path="/users/ada/following", times=2)
    memory.next_scan()
    memory.pass_time(300.0)
    assert "of-dan" in memory.feed()
    assert memory.lists.problems == []


def test_a_new_list_that_cannot_be_read_at_first_is_read_in_the_same_scan() -> None:
    memory = Lists(FOLLOWING)
    memory.fail("500", "GitHub", path="/users/ada/following")
    memory.scan()
    assert memory.feed() == []
    memory.pass_time(60.0)
    assert set(memory.feed()) == {"of-bob", "of-cyd"}
    assert memory.scans[0].failed is False
    assert memory.scans[0].status.users == memory.scans[0].status.visited == 2
    memory.github.requests.clear()
    memory.next_scan()
    assert all("if-none-match" in request.headers for request in memory.github.requests)


def test_a_stop_during_the_wait_for_a_list_asks_for_nothing_more() -> None:
    memory = Lists(FOLLOWING)
    memory.fail("500", "GitHub", path="/users/ada/following")
    memory.scan()
    result_of(memory.scanner.stop())
    memory.next_scan()
    assert len(memory.github.requests) == 1


def test_a_stop_while_a_list_is_read_lets_no_user_be_read() -> None:
    memory = Lists(FOLLOWING, "dan")
    memory.fail("held", "GitHub", path="/users/ada/following")
    memory.scan()
    stopped = Deferred.fromCoroutine(memory.scanner.stop())
    memory.world.held_replies.release()
    assert stopped.called
    assert len(memory.github.requests) == 1


def test_where_nobody_is_listed_a_limit_that_keeps_the_list_from_being_read_is_waited_for() -> None:
    memory = Lists(FOLLOWING)
    limit = Reply(429, {"retry-after": "60"}, b"")
    memory.world.faults.add(Rule(Fault("x", None, limit), "GitHub", path="/users/ada/following", times=1))
    memory.scan()
    assert memory.scanner.refusal is None
    memory.pass_time(60.0)
    assert set(memory.feed()) == {"of-bob", "of-cyd"}
    assert [scan.failed for scan in memory.scans] == [False]


def test_where_nobody_is_listed_a_limit_that_lasts_longer_than_the_interval_fails_no_scan() -> None:
    memory = Lists(FOLLOWING)
    limit = Reply(429, {"retry-after": f"{INTERVAL_S:.0f}"}, b"")
    memory.world.faults.add(Rule(Fault("x", None, limit), "GitHub", path="/users/ada/following", times=None))
    memory.scan()
    memory.pass_time(2 * INTERVAL_S, step=60.0)
    memory.world.faults.clear()
    memory.next_scan()
    assert {scan.failed for scan in memory.scans} == {False}


def test_while_a_list_is_read_for_the_first_time_nothing_is_wrong_with_it() -> None:
    memory = Lists(FOLLOWING)
    memory.fail("held", "GitHub", path="/users/ada/following")
    memory.scan()
    assert (memory.lists.may_change, memory.lists.problems) == (True, [])


@pytest.mark.parametrize("heaviest", [50, 20])
def test_a_list_whose_pages_are_too_much_for_the_server_is_read_in_smaller_ones(heaviest: int) -> None:
    memory = Lists(FOLLOWING)
    for number in range(120):
        memory.world.accounts.open(f"user-{number}")
        memory.follow(f"user-{number}")
    memory.world.github_api.quirks.heaviest = heaviest
    memory.scan()
    memory.pass_time(60.0)
    assert len(memory.scanned()) == 122
    assert memory.lists.problems == []


def test_a_list_cut_short_changes_nothing() -> None:
    memory = Lists(FOLLOWING)
    memory.world.github_api.per_page_most = 1
    memory.scan()
    memory.follow("dan")
    memory.fail("500", "GitHub", path="/user/", times=1000)
    memory.next_scan()
    assert set(memory.scanned()) == {"bob", "cyd"}


def test_a_list_of_an_account_that_github_does_not_know_is_told_and_stays_what_it_was() -> None:
    memory = Lists(FOLLOWING, "dan")
    memory.scan()
    memory.world.accounts.close("ada")
    memory.next_scan()
    assert set(memory.scanned()) == {"bob", "cyd", "dan"}
    assert memory.lists.problems == ["following:ada cannot be read: GitHub: knows no such user (404)"]
    assert not memory.scans[-1].failed
    memory.github.requests.clear()
    memory.next_scan()
    assert memory.asked() == 1  # asking again would not help


def test_a_scan_in_which_nobody_is_known_fails_and_one_of_an_empty_list_does_not() -> None:
    unknown, empty = Lists(UserList("following", "nobody")), Lists(UserList("org", "acme"))
    unknown.scan()
    empty.scan()
    assert (unknown.scans[0].failed, empty.scans[0].failed) == (True, False)
    assert unknown.scanner.refusal is None


def test_where_nobody_is_listed_a_refused_token_is_seen_by_the_list() -> None:
    memory = Lists(FOLLOWING)
    memory.token = Secret("expired")
    memory.scan()
    assert memory.scanner.refusal is not None
    memory.world.github_api.tokens["expired"] = "somebody"
    memory.next_scan()
    assert memory.scanner.refusal is None


def test_an_endless_list_is_given_up() -> None:
    memory = Lists(FOLLOWING)
    memory.scan()
    memory.follow("dan")
    memory.world.github_api.quirks.endless = True
    memory.github.requests.clear()
    memory.next_scan()
    assert memory.asked() <= MAX_PAGES
    assert memory.lists.problems == ["following:ada cannot be read: GitHub: the list following:ada has no end"]
    assert set(memory.scanned()) == {"bob", "cyd"}


def test_of_a_long_list_no_more_pages_are_read_than_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_lists, "MOST_NAMES", 2)
    memory = Lists(FOLLOWING)
    memory.follow("dan")
    memory.world.github_api.per_page_most = 1
    memory.scan()
    assert memory.scanned() == ["dan", "bob"]
    assert memory.asked() == 2 * 2
    assert memory.lists.problems == ["following:ada has more than 2 names: the rest is left out"]


# --- empty lists ------------------------------------------------------------------------------------------------------


def test_an_empty_list_counts_when_it_was_read_twice_a_day_apart() -> None:
    memory = Lists(FOLLOWING)
    memory.scan()
    for user in ("bob", "cyd"):
        memory.world.accounts.unfollow("ada", user)
    memory.next_scan()
    memory.pass_time(DAY_S - 2 * INTERVAL_S, step=600.0)
    assert set(memory.scanned()) == {"bob", "cyd"}
    assert "empty" in memory.lists.problems[0]
    memory.pass_time(2 * INTERVAL_S, step=60.0)
    assert memory.scanned() == []
    assert memory.lists.problems == []


def test_an_empty_list_counts_a_day_after_a_further_attempt_too() -> None:
    memory = Lists(FOLLOWING)
    memory.scan()
    for user in ("bob", "cyd"):
        memory.world.accounts.unfollow("ada", user)
    memory.fail("500", "GitHub", path="/users/ada/following")
    memory.next_scan()
    memory.pass_time(60.0)
    assert "empty" in memory.lists.problems[0]
    memory.pass_time(DAY_S + INTERVAL_S, step=600.0)
    assert memory.scanned() == []


def test_a_list_that_was_empty_for_a_moment_has_to_be_empty_for_a_day_again() -> None:
    full, empty = ReadList(pages(["bob"])), pages([])
    once = latest(full, empty, 0.0)
    again = latest(latest(once, pages(["bob"]), EMPTY_S / 2), empty, EMPTY_S)
    assert list(again.accounts) == list(full.accounts)
    assert list(latest(once, empty, EMPTY_S).accounts) == []


def test_a_list_that_was_empty_from_the_start_is_no_matter() -> None:
    assert latest(ReadList(), pages([]), 0.0).empty_at is None


def test_a_clock_set_back_does_not_keep_an_empty_list_for_ever() -> None:
    once = latest(ReadList(pages(["bob"])), pages([]), 100 * DAY_S)
    assert list(latest(latest(once, pages([]), 0.0), pages([]), EMPTY_S).accounts) == []


# --- over restarts ----------------------------------------------------------------------------------------------------


def test_the_last_list_counts_over_a_restart_in_which_github_cannot_be_read() -> None:
    memory = Lists(FOLLOWING)
    memory.scan()
    memory.kill()
    memory.fail("500", "GitHub", path="/users/ada/following", times=1000)
    memory.write("new", user="bob")
    memory.scan()
    assert memory.feed()[-1] == "new"


def test_the_other_instances_know_whom_the_leader_scans() -> None:
    memory = Lists(FOLLOWING, "dan")
    memory.scan()
    assert set(result_of(stored_names(memory.store))) == {"bob", "cyd", "dan"}


def test_what_is_stored_can_be_unreadable(memory: InMemoryPipeline) -> None:
    memory.wire()
    result_of(memory.store.put_value(STORED_AS, {"lists": 7}))
    assert result_of(stored_names(memory.store)) == []
    memory.scanner.start()
    assert memory.scanner.users.names == ["ada"]


# --- a file -----------------------------------------------------------------------------------------------------------


class InFile(Lists):
    """The entries are in a file, which says what ``content`` is when it is read."""

    content: Sequence[QueriedEntry] | ConfigError = ()

    async def read(self) -> Sequence[QueriedEntry]:
        if isinstance(self.content, ConfigError):
            raise self.content
        return self.content

    @property
    def read_entries(self) -> ReadEntries:
        return self.read


def test_a_file_is_read_again_before_each_scan() -> None:
    memory = InFile("bob")
    memory.content = ["bob"]
    memory.scan()
    memory.content = ["cyd"]
    memory.next_scan()
    assert memory.scanned() == ["cyd"]
    assert memory.feed() == ["of-bob", "of-cyd"]


def test_of_a_file_that_is_wrong_the_last_good_one_counts_and_a_problem_tells_it() -> None:
    memory = InFile("bob")
    memory.content = ["bob", "cyd"]
    memory.scan()
    memory.content = ConfigError("a bad entry")
    memory.next_scan()
    assert memory.scanned() == ["bob", "cyd"]
    assert memory.lists.file_problem == "a bad entry"
    memory.content = ["dan"]
    memory.next_scan()
    assert memory.scanned() == ["dan"]
    assert not memory.lists.problems


def test_a_spelling_that_changes_is_shown_at_once() -> None:
    memory = InFile("bob")
    memory.content = ["bob"]
    memory.scan()
    memory.content = ["Bob"]
    memory.next_scan()
    assert memory.scanned() == ["Bob"]
    assert memory.feed() == ["of-bob"]


def cyd_is_another_account(memory: Lists) -> None:
    """And is not read for it."""
    memory.world.accounts.close("cyd")
    memory.world.accounts.open("cyd")
    memory.follow("cyd")
    memory.write("anothers", user="cyd")
    memory.next_scan()
    assert "another GitHub account" in (memory.error_of("cyd") or "")


def cyd_is_accepted(memory: Lists) -> None:
    memory.next_scan()
    assert (memory.feed()[-1], memory.error_of("cyd")) == ("anothers", None)
    memory.write("later", user="cyd")
    memory.next_scan()
    assert memory.feed()[-1] == "later"


def test_a_name_that_was_off_the_file_for_a_scan_is_whoever_has_it_then_without_a_restart() -> None:
    memory = InFile("bob")
    memory.content = ["bob", "cyd"]
    memory.scan()
    cyd_is_another_account(memory)
    memory.content = ["bob"]
    memory.next_scan()
    memory.content = ["bob", "cyd"]
    cyd_is_accepted(memory)


def test_a_name_that_was_off_a_list_for_a_scan_is_whoever_has_it_then_without_a_restart() -> None:
    memory = Lists(FOLLOWING)
    memory.scan()
    cyd_is_another_account(memory)
    memory.world.accounts.unfollow("ada", "cyd")
    memory.next_scan()
    memory.follow("cyd")
    cyd_is_accepted(memory)
