"""From when on a user's gists become deals: decided once, at the first whole pass, and nothing is lost meanwhile."""

from math import inf
from typing import Any

import pytest
from twisted.logger import capturedLogs, formatEvent

from pipetest.domain.errors import Unavailable
from pipetest.domain.model import UserList
from pipetest.scanner import scanner
from pipetest.scanner.backfill import STORED_AS
from tests.support.in_memory import INTERVAL_S, START_AT, InMemoryPipeline
from tests.support.results import result_of


class Watched(InMemoryPipeline):
    """Ada has written three gists long ago, at the seconds of their names. Bob has written none."""

    def __init__(self) -> None:
        super().__init__(["ada", "bob"])
        self.users = ["ada"]
        for second in (1000, 2000, 3000):
            self.world.accounts.write("ada", gist_id=f"{second}", created_at=float(second))

    def begin(self, backfill_since: float) -> None:
        self.backfill_since = backfill_since
        self.scan()

    def restart(self, backfill_since: float) -> None:
        self.kill()
        self.begin(backfill_since)

    def next_scan(self) -> None:
        self.pass_time(INTERVAL_S, step=60.0)

    def wanted(self) -> set[str]:
        return {entry.gist.id for entry in result_of(self.store.open_entries())}

    def skipped(self) -> set[str]:
        return {*self.feed()} - self.wanted()

    def let_another_account_take_the_name(self) -> None:
        """While Ada is off the list of users."""
        self.users = ["bob"]
        self.restart(inf)
        self.world.accounts.close("ada")
        self.world.accounts.open("ada")

    def list_in_the_middle_of_a_scan(self) -> None:
        """Ada is on a list that cannot be read at first."""
        self.world.accounts.open("cyd")
        self.world.accounts.follow("cyd", "ada")
        self.users = ["bob", UserList("following", "cyd")]
        self.fail("500", "GitHub", path="/users/cyd/following")

    def rename(self) -> None:
        self.world.accounts.rename("ada", "ada2")
        self.write("new", user="ada2")


@pytest.mark.parametrize(
    ("since", "wanted"),
    [
        (-inf, {"1000", "2000", "3000"}),
        (2000.0, {"2000", "3000"}),
        (2000.5, {"2000", "3000"}),  # GitHub tells whole seconds
        (3001.0, set()),
        (inf, set()),
    ],
)
def test_what_was_written_since_then_is_wanted_and_all_is_in_the_feed(since: float, wanted: set[str]) -> None:
    memory = Watched()
    memory.begin(since)
    assert memory.feed() == ["1000", "2000", "3000"]
    assert memory.wanted() == wanted


@pytest.mark.parametrize("since", [inf, START_AT + 1_000_000.0])
def test_what_is_written_after_the_user_was_first_queried_is_wanted_whatever_the_setting(since: float) -> None:
    memory = Watched()
    memory.begin(since)
    memory.write("new")
    memory.next_scan()
    assert memory.wanted() == {"new"}


def test_what_appears_later_is_wanted_whatever_its_date() -> None:
    memory = Watched()
    memory.world.accounts.write("ada", gist_id="secret", public=False, created_at=500.0)
    memory.begin(inf)
    memory.world.accounts.publish("secret")
    memory.pass_time(25 * 3600.0, step=600.0)
    assert memory.wanted() == {"secret"}


def test_nothing_is_lost_by_an_outage_in_the_first_pass_nor_by_restarts_and_settings_in_it() -> None:
    memory = Watched()
    memory.fail("500", "GitHub", times=10_000)
    memory.begin(-inf)
    memory.pass_time(10 * INTERVAL_S, step=600.0)
    memory.write("outage")
    memory.restart(inf)
    memory.pass_time(10 * INTERVAL_S, step=600.0)
    memory.world.faults.clear()
    memory.restart(inf)
    memory.next_scan()
    assert memory.wanted() == {"outage"}


@pytest.mark.parametrize(("first", "then", "wanted"), [(inf, -inf, set()), (-inf, inf, {"1000", "2000", "3000"})])
def test_it_is_decided_once(first: float, then: float, wanted: set[str]) -> None:
    memory = Watched()
    memory.begin(first)
    memory.restart(then)
    memory.pass_time(30 * 3600.0, step=600.0)
    assert memory.wanted() == wanted


def test_a_setting_that_changes_counts_for_users_who_come_later() -> None:
    memory = Watched()
    memory.world.accounts.write("bob", gist_id="bobs", created_at=1000.0)
    memory.begin(-inf)
    memory.users = ["ada", "bob"]
    memory.restart(inf)
    assert memory.skipped() == {"bobs"}


def test_the_moment_is_stored_and_kept() -> None:
    memory = Watched()
    memory.users = ["ada", "bob"]
    memory.fail("500", "GitHub", path="/users/bob", times=10_000)
    memory.begin(inf)
    memory.next_scan()
    assert (result_of(memory.store.get_value(STORED_AS, dict[str, float])) or {})["bob"] == START_AT


def test_the_moment_is_kept_for_who_leaves_the_list_before_the_first_pass_and_comes_back() -> None:
    memory = Watched()
    memory.fail("500", "GitHub", path="/users/ada", times=None)
    memory.begin(inf)
    memory.write("meanwhile")
    memory.pass_time(INTERVAL_S, step=600.0)
    memory.users = ["bob"]
    memory.restart(inf)
    memory.world.faults.clear()
    memory.users = ["ada", "bob"]
    memory.pass_time(INTERVAL_S, step=600.0)
    memory.restart(inf)
    assert memory.wanted() == {"meanwhile"}


def test_the_moment_is_kept_for_another_account_of_a_name_that_came_back_until_its_first_pass() -> None:
    memory = Watched()
    memory.begin(inf)
    memory.let_another_account_take_the_name()
    memory.fail("500", "GitHub", path="/users/ada", times=None)
    memory.users = ["ada"]
    memory.restart(inf)
    memory.write("meanwhile")
    memory.world.accounts.open("cyd")
    memory.pass_time(INTERVAL_S, step=600.0)
    memory.users = ["ada", "cyd"]
    memory.restart(inf)
    memory.world.faults.clear()
    memory.pass_time(INTERVAL_S, step=600.0)
    assert memory.wanted() == {"meanwhile"}


def test_what_who_comes_on_the_list_in_the_middle_of_a_scan_writes_from_then_on_is_wanted() -> None:
    memory = Watched()
    memory.list_in_the_middle_of_a_scan()
    memory.fail("500", "GitHub", path="/users/ada/")
    memory.begin(inf)
    memory.pass_time(6.0)
    memory.write("new")
    memory.pass_time(60.0)
    assert (memory.skipped(), memory.wanted()) == ({"1000", "2000", "3000"}, {"new"})


def test_the_moment_of_another_account_whose_name_came_back_in_the_middle_of_a_scan_is_that_of_the_next() -> None:
    memory = Watched()
    memory.begin(inf)
    memory.let_another_account_take_the_name()
    memory.list_in_the_middle_of_a_scan()
    memory.fail("500", "GitHub", path="/users/ada", times=None)
    memory.restart(inf)
    memory.pass_time(60.0)
    memory.next_scan()
    memory.write("new")
    memory.world.faults.clear()
    memory.next_scan()
    assert memory.wanted() == {"new"}


def test_moments_that_the_database_could_not_tell_are_noted_in_the_next_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Watched()
    memory.backfill_since = inf
    memory.wire()
    memory.fail("500", "GitHub", path="/users/ada", times=None)
    get_value = memory.store.get_value

    async def out_of_reach(name: str, kind: type[Any]) -> Any:
        if name == STORED_AS:
            raise Unavailable("connection refused")
        return await get_value(name, kind)

    with monkeypatch.context() as broken:
        broken.setattr(memory.store, "get_value", out_of_reach)
        memory.scanner.start()
    memory.next_scan()
    memory.write("new")
    memory.world.faults.clear()
    memory.next_scan()
    assert (memory.skipped(), memory.wanted()) == ({"1000", "2000", "3000"}, {"new"})


def test_a_name_that_came_back_is_anybodys_until_github_has_told_however_many_scans_that_takes() -> None:
    memory = Watched()
    memory.begin(inf)
    memory.let_another_account_take_the_name()
    memory.fail("500", "GitHub", path="/users/ada", times=None)
    memory.users = ["ada"]
    memory.restart(inf)
    memory.next_scan()
    memory.write("new")
    memory.world.faults.clear()
    memory.next_scan()
    assert memory.wanted() == {"new"}


def test_who_was_taken_over_from_the_older_service_was_watched_before() -> None:
    memory = Watched()
    memory.disk.put("", b'{"users": {"1": {"username": "ada", "gists": ["1000"]}}}')
    memory.begin(inf)
    assert memory.wanted() == {"2000", "3000"}


def test_who_comes_back_to_the_list_was_watched_before_but_not_another_account_of_that_name() -> None:
    memory = Watched()
    memory.begin(inf)
    memory.users = ["bob"]
    memory.restart(inf)
    memory.world.accounts.write("ada", gist_id="meanwhile", created_at=START_AT - 1000.0)
    memory.users = ["ada"]
    memory.restart(inf)
    assert memory.wanted() == {"meanwhile"}
    memory.let_another_account_take_the_name()
    memory.world.accounts.write("ada", gist_id="anothers", created_at=START_AT - 500.0)
    memory.users = ["ada"]
    memory.restart(inf)
    assert "anothers" in memory.skipped()


def test_where_a_new_store_recognises_deals_what_was_written_since_the_first_is_wanted() -> None:
    memory = Watched()
    memory.wire()
    result_of(memory.store.adopt({"2000": 7}))
    memory.restart(inf)
    assert memory.wanted() == {"3000"}


def test_with_a_lost_database_nothing_is_lost_that_was_wanted_before() -> None:
    memory = Watched()
    ids = [f"{number:032x}" for number in (1, 2, 3)]
    organization = memory.add_organization("ada")
    for number, gist in enumerate(ids):
        memory.world.accounts.write("ada", gist_id=gist, created_at=START_AT - 3000.0 + number)
    memory.add_deal(ids[1], organization)
    memory.backfill_since = inf
    memory.start()
    memory.settle()
    assert sorted(title for title, _ in memory.deals()) == ids[1:]
    assert set(memory.feed()) - {*ids} == {"1000", "2000", "3000"}


def test_what_is_skipped_gets_no_deal() -> None:
    memory = Watched()
    memory.backfill_since = 3000.0
    memory.start()
    memory.settle()
    assert [title for title, _ in memory.deals()] == ["3000"]
    memory.kill()
    memory.start()
    memory.settle()
    assert [title for title, _ in memory.deals()] == ["3000"]


def test_who_has_nothing_but_skipped_gists_gets_an_organization_with_the_first_deal_that_is_wanted() -> None:
    memory = Watched()
    memory.users = ["ada", "bob"]
    memory.backfill_since = inf
    memory.start()
    memory.settle()
    assert memory.organizations() == ["bob"]
    memory.kill()
    memory.start()
    memory.settle()
    assert memory.organizations() == ["bob"]
    memory.write("new")
    memory.pass_time(INTERVAL_S, step=60.0)
    memory.settle()
    assert memory.organizations() == ["bob", "ada"]
    assert [title for title, _ in memory.deals()] == ["new"]


# --- accounts, known by their numbers ---------------------------------------------------------------------------------


def test_a_renamed_account_goes_on_where_it_was() -> None:
    memory = Watched()
    memory.begin(inf)
    memory.users = ["ada2"]
    memory.rename()
    with capturedLogs() as events:
        memory.restart(inf)
    memory.next_scan()
    assert "ada2: is the account that was ada, and goes on where that was" in map(formatEvent, events)
    assert memory.recorded_users() == ["ada"]
    assert memory.wanted() == {"new"}
    assert [(user.name, user.recorded_as) for user in memory.scanner.users.most()] == [("ada2", "ada")]


def test_a_renamed_account_on_a_list_goes_on_where_it_was() -> None:
    memory = Watched()
    memory.world.accounts.follow("bob", "ada")
    memory.users = [UserList("following", "bob")]
    memory.begin(inf)
    memory.rename()
    memory.next_scan()
    assert memory.scanner.users.names == ["ada2"]
    assert memory.recorded_users() == ["ada"]
    assert memory.wanted() == {"new"}


def test_an_account_on_a_list_that_is_renamed_before_its_first_pass_was_first_queried_under_its_old_name() -> None:
    memory = Watched()
    memory.world.accounts.follow("bob", "ada")
    memory.users = [UserList("following", "bob")]
    memory.fail("500", "GitHub", path="/users/ada/gists", times=None)
    memory.begin(inf)
    memory.write("outage")
    memory.pass_time(INTERVAL_S, step=600.0)
    memory.rename()
    memory.world.faults.clear()
    memory.restart(inf)
    memory.next_scan()
    assert memory.wanted() == {"outage", "new"}


def test_a_renamed_account_keeps_its_organization() -> None:
    memory = Watched()
    memory.start()
    memory.settle()
    memory.kill()
    memory.users = ["ada2"]
    memory.rename()
    memory.start()
    memory.settle()
    assert memory.organizations() == ["ada"]
    assert "new" in [title for title, _ in memory.deals()]


def test_a_renamed_account_costs_a_conditional_request_a_scan_and_no_commit() -> None:
    memory = Watched()
    memory.begin(-inf)
    memory.users = ["ada2"]
    memory.rename()
    memory.restart(-inf)
    memory.next_scan()
    files = memory.disk.files
    memory.github.requests.clear()
    memory.next_scan()
    assert ["if-none-match" in request.headers for request in memory.github.requests] == [True]
    assert memory.disk.files == files


class Followed(Watched):
    """Cyd follows ada and bob."""

    def __init__(self) -> None:
        super().__init__()
        self.world.accounts.open("cyd")
        for user in ("ada", "bob"):
            self.world.accounts.follow("cyd", user)
        self.users = [UserList("following", "cyd")]
        self.begin(-inf)

    def recorded_as(self, gist: str) -> str:
        return next(entry.user for entry in result_of(self.store.open_entries()) if entry.gist.id == gist)


def test_accounts_on_a_list_that_swap_their_names_stay_who_they_were() -> None:
    memory = Followed()
    for old, new in (("ada", "ada2"), ("bob", "ada"), ("ada2", "bob")):
        memory.world.accounts.rename(old, new)
    memory.write("adas", user="bob")
    memory.write("bobs", user="ada")
    memory.next_scan()
    assert (memory.recorded_as("adas"), memory.recorded_as("bobs")) == ("ada", "bob")
    assert [user.error for user in memory.scanner.users.most()] == [None, None]


def test_an_account_on_a_list_that_takes_the_name_of_a_renamed_one_leaves_it_what_it_was() -> None:
    memory = Followed()
    memory.world.accounts.rename("ada", "ada2")
    memory.next_scan()
    memory.world.accounts.rename("bob", "ada")
    memory.write("adas", user="ada2")
    memory.write("bobs", user="ada")
    memory.next_scan()
    assert (memory.recorded_as("adas"), memory.recorded_as("bobs")) == ("ada", "bob")
    assert [user.error for user in memory.scanner.users.most()] == [None, None]


def test_an_account_that_is_renamed_in_the_scan_in_which_its_name_came_back_stays_who_it_was() -> None:
    memory = Followed()
    memory.world.accounts.unfollow("cyd", "ada")
    memory.next_scan()
    memory.world.accounts.follow("cyd", "ada")
    memory.fail("500", "GitHub", path="/users/ada/", times=None)
    memory.restart(-inf)
    memory.world.accounts.rename("ada", "ada2")
    memory.write("adas", user="ada2")
    memory.fail("500", "GitHub", path="/users/cyd/following")
    memory.next_scan()
    memory.pass_time(60.0)
    assert memory.recorded_as("adas") == "ada"


def test_what_whoever_takes_the_name_of_an_account_that_was_read_writes_before_the_first_pass_is_wanted() -> None:
    memory = Followed()
    memory.restart(inf)
    memory.world.accounts.rename("ada", "ada2")
    memory.next_scan()
    memory.world.accounts.rename("ada2", "ada3")
    memory.world.accounts.open("ada2")
    memory.world.accounts.write("ada2", gist_id="old", created_at=4000.0)
    memory.world.accounts.follow("cyd", "ada2")
    memory.fail("500", "GitHub", path="/users/ada2/", times=3)
    memory.next_scan()
    memory.write("new", user="ada2")
    memory.next_scan()
    assert memory.scanner.users.names == ["ada2", "bob", "ada3"]
    assert (memory.skipped(), memory.wanted()) == ({"old"}, {"1000", "2000", "3000", "new"})


def test_what_whoever_has_a_name_that_came_back_writes_is_wanted_though_others_come_on_the_list_meanwhile() -> None:
    memory = Watched()
    for user in ("cyd", "dan"):
        memory.world.accounts.open(user)
    memory.begin(inf)
    memory.users = ["bob"]
    memory.restart(inf)
    memory.world.accounts.rename("ada", "ada2")
    memory.world.accounts.open("ada")
    memory.world.accounts.write("ada", gist_id="old", created_at=4000.0)
    memory.world.accounts.follow("cyd", "dan")
    memory.users = ["ada", "bob", UserList("following", "cyd")]
    memory.fail("500", "GitHub", path="/users/ada/", times=2)
    memory.fail("500", "GitHub", path="/users/cyd/following")
    memory.restart(inf)
    memory.write("new")
    memory.pass_time(60.0)
    assert memory.scanner.users.names == ["ada", "bob", "dan"]
    assert memory.skipped() == {"1000", "2000", "3000", "old"}
    assert memory.wanted() == {"new"}


@pytest.mark.parametrize(("users_at_once", "failures"), [(1, 0), (1000, 1)])
def test_nothing_is_skipped_of_a_renamed_account_whose_first_name_another_one_gets(
    monkeypatch: pytest.MonkeyPatch, users_at_once: int, failures: int
) -> None:
    memory = Followed()
    memory.world.accounts.rename("ada", "ada2")
    memory.next_scan()
    memory.world.accounts.open("ada")
    memory.write("anothers", user="ada")
    memory.write("adas", user="ada2")
    memory.users = ["ada", UserList("following", "cyd")]
    memory.fail("500", "GitHub", path="/users/ada2/", times=failures)
    monkeypatch.setattr(scanner, "AT_ONCE", users_at_once)
    memory.restart(inf)
    memory.pass_time(10.0)
    assert (memory.recorded_as("adas"), memory.skipped()) == ("ada2", {"anothers"})


def test_a_name_that_another_account_took_is_not_read_while_the_renamed_one_is() -> None:
    memory = Watched()
    memory.begin(-inf)
    memory.rename()
    memory.world.accounts.open("ada")
    memory.write("anothers", user="ada")
    memory.users = ["ada2", "ada"]
    memory.restart(-inf)
    memory.next_scan()
    assert "new" in memory.feed()
    assert "anothers" not in memory.feed()
    assert "belongs to another GitHub account" in (memory.error_of("ada") or "")
    assert memory.error_of("ada2") is None


@pytest.mark.parametrize("listed", [False, True])
def test_people_may_let_another_account_have_a_name_though_the_renamed_one_is_read(listed: bool) -> None:
    memory = Watched()
    memory.begin(inf)
    memory.rename()
    memory.world.accounts.open("ada")
    memory.world.accounts.follow("bob", "ada2")
    memory.write("anothers", user="ada")
    renamed = UserList("following", "bob") if listed else "ada2"
    memory.users = [renamed]
    memory.restart(inf)
    memory.world.accounts.write("ada2", gist_id="secret", public=False, created_at=500.0)
    memory.write("between", user="ada2")
    memory.users = [renamed, "ada"]
    memory.restart(inf)
    assert memory.error_of("ada") is None
    memory.write("newest", user="ada2")
    memory.write("anothers-newest", user="ada")
    memory.world.accounts.publish("secret")
    memory.pass_time(25 * 3600.0, step=600.0)
    assert memory.error_of("ada") is memory.error_of("ada2") is None
    assert memory.recorded_users() == ["ada", "ada2"]
    assert memory.wanted() == {"new", "between", "newest", "anothers-newest", "secret"}
    assert memory.skipped() == {"1000", "2000", "3000", "anothers"}
