"""Of very many users those are read whose gists seem to have changed. GraphQL's hints cost nobody a gist."""

from collections.abc import Collection

import pytest

from pipetest.domain.model import GistSummary, Reply, Request, Secret
from pipetest.sandbox.faults import FAULTS, Fault, Rule
from pipetest.scanner import scanner, selection
from pipetest.scanner.selection import MOST_FAILURES, seems_unchanged, takes_longer
from tests.support.in_memory import INTERVAL_S, InMemoryPipeline

DAY_S = 24 * 3600.0
USERS = ("ada", "bela", "chiyo", "dora")
LIMIT = Fault("x", None, Reply(429, {"retry-after": "60"}, b""))


class Many(InMemoryPipeline):
    """Users with a gist each: more than can be read one by one in an interval."""

    def __init__(self) -> None:
        super().__init__(USERS)
        self.token = Secret("token")
        self.world.github_api.tokens["token"] = "ada"
        self.reads_a_minute = 0.0
        for user in USERS:
            self.write(f"of-{user}", user=user)
        self.scan()

    def next_scan(self) -> tuple[int, list[str]]:
        """How many queries the next scan needs, and whom it reads."""
        self.github.requests.clear()
        self.pass_time(INTERVAL_S)
        return self.asked()

    def restart(self) -> tuple[int, list[str]]:
        self.kill()
        self.scan()
        return self.asked()

    def asked(self) -> tuple[int, list[str]]:
        reads = [request.url.split("/")[4] for request in self.github.requests if request.method == "GET"]
        return len(self.github.requests) - len(reads), sorted({*reads})


@pytest.fixture
def many() -> Many:
    return Many()


def test_at_first_everybody_is_read_and_then_one_query_shows_that_nobody_need_be(many: Many) -> None:
    assert many.asked() == (0, list(USERS))
    assert many.next_scan() == (1, [])
    assert many.next_scan() == (1, [])
    users, status = many.scanner.users.most(), many.scanner.status()
    assert [(user.error, user.succeeded_at) for user in users] == [(None, status.started_at)] * 4
    assert status.visited == 4
    assert not any(scan.failed for scan in many.scans)


def test_after_a_restart_nobody_is_read_anew(many: Many) -> None:
    many.next_scan()
    assert many.restart() == (1, [])


def test_who_writes_is_read(many: Many) -> None:
    many.next_scan()
    many.write("new", user="bela")
    assert many.next_scan() == (1, ["bela"])
    assert many.feed()[-1] == "new"
    assert many.next_scan() == (1, [])


def test_who_publishes_or_deletes_an_older_gist_is_read(many: Many) -> None:
    secret = many.world.accounts.write("ada", public=False, created_at=1000.0)
    many.next_scan()
    many.world.accounts.publish(secret.id)
    assert many.next_scan() == (1, ["ada"])
    assert many.feed()[-1] == secret.id
    many.world.accounts.delete(secret.id)
    assert many.next_scan() == (1, ["ada"])


def test_whose_gists_seem_to_have_changed_is_read_though_a_limit_comes_first(many: Many) -> None:
    secret = many.world.accounts.write("ada", public=False, created_at=1000.0)
    many.next_scan()
    many.world.accounts.publish(secret.id)
    many.world.faults.add(Rule(LIMIT, "GitHub", path="/users/ada", times=1))
    many.next_scan()
    many.pass_time(60.0)
    assert many.feed()[-1] == secret.id


def test_a_new_user_is_read_without_a_hint(many: Many) -> None:
    many.world.accounts.open("emeka")
    many.users = (*USERS, "emeka")
    assert many.restart() == (1, ["emeka"])


def test_who_could_not_be_read_is_read_whatever_the_hint(many: Many) -> None:
    many.write("new", user="bela")
    many.fail("500", "GitHub", path="/users/bela", times=None)
    many.next_scan()
    many.world.accounts.delete("new")
    many.world.faults.clear()
    assert many.next_scan() == (1, ["bela"])


@pytest.mark.parametrize("taken", [False, True])
def test_whose_name_is_not_the_accounts_any_more_is_read(many: Many, taken: bool) -> None:
    many.next_scan()
    many.world.accounts.rename("ada", "ada-lovelace")
    if taken:
        many.world.accounts.open("ada")
        many.write("anothers", user="ada")
    assert many.next_scan() == (1, ["ada"])
    assert many.error_of("ada") is not None
    many.restart()
    assert many.error_of("ada") is not None


@pytest.mark.parametrize("most", [1, 3])
def test_a_query_that_is_too_much_is_halved(many: Many, most: int) -> None:
    many.world.github_api.graphql.heaviest = most
    many.write("new", user="dora")
    queries, read = many.next_scan()
    assert (queries, read) == ({1: 7, 3: 3}[most], ["dora"])


@pytest.mark.parametrize("fault", ["403", "400"])
def test_where_graphql_refuses_everybody_is_read_after_one_query(many: Many, fault: str) -> None:
    many.fail(fault, "GitHub", path="/graphql", times=None)
    assert many.next_scan() == (1, list(USERS))
    assert not any(scan.failed for scan in many.scans)


def test_where_graphql_fails_for_any_number_of_accounts_everybody_is_read_after_some_queries(many: Many) -> None:
    many.fail("502", "GitHub", path="/graphql", times=None)
    queries, read = many.next_scan()
    assert read == list(USERS)
    assert queries <= MOST_FAILURES


@pytest.mark.parametrize(("most", "queries"), [(2, 1 + 2), (3, 1 + 3)])
def test_after_so_many_failures_in_a_row_no_more_is_asked(
    many: Many, monkeypatch: pytest.MonkeyPatch, most: int, queries: int
) -> None:
    """Of two queries, one for each half of the users, the second fails however small it is."""
    monkeypatch.setattr(selection, "MOST_IN_QUERY", 2)
    monkeypatch.setattr(selection, "MOST_FAILURES", most)
    many.next_scan()
    many.world.github.faults = lambda service, request: (
        FAULTS["502"] if request.method == "POST" and len(many.github.requests) > 1 else None
    )
    many.write("new", user="ada")
    assert many.next_scan() == (queries, ["ada", "chiyo", "dora"])


def test_where_the_points_are_used_up_everybody_is_read(many: Many) -> None:
    many.world.github_limits.graphql_points = 0
    assert many.next_scan() == (1, list(USERS))


class InParts(Many):
    """Three users are judged at once, and two are asked about in a query."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(scanner, "AT_ONCE", 3)
        monkeypatch.setattr(selection, "MOST_IN_QUERY", 2)
        super().__init__()
        self.next_scan()


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> InParts:
    return InParts(monkeypatch)


def test_very_many_are_judged_in_parts(in_parts: InParts) -> None:
    assert in_parts.next_scan() == (3, [])
    for user in ("chiyo", "dora"):
        in_parts.write(f"new-of-{user}", user=user)
        in_parts.fail("500", "GitHub", path=f"/users/{user}")
    assert in_parts.next_scan() == (3, ["chiyo", "dora"])
    in_parts.pass_time(5.0)
    assert in_parts.feed()[-2:] == ["new-of-chiyo", "new-of-dora"]


def test_very_many_are_read_to_the_end_in_parts(in_parts: InParts) -> None:
    in_parts.github.requests.clear()
    in_parts.clock.advance(DAY_S)
    assert in_parts.asked() == (3, list(USERS))
    assert len(in_parts.github.requests) == 3 + len(USERS)


def test_after_a_limit_met_in_one_part_the_next_one_waits_too(in_parts: InParts) -> None:
    for user in ("ada", "dora"):
        in_parts.write(f"new-of-{user}", user=user)
    in_parts.world.faults.add(Rule(LIMIT, "GitHub", path="/users/ada", times=1))
    assert in_parts.next_scan() == (2, ["ada"])
    in_parts.pass_time(60.0)
    assert in_parts.feed()[-2:] == ["new-of-ada", "new-of-dora"]
    assert len(in_parts.scans) == 3


def test_of_very_many_only_so_many_are_read_to_the_end_in_a_scan_as_there_is_time_for(
    many: Many, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanner, "AT_ONCE", 1)
    taken = 0.0

    def take_half_an_interval(service: str, request: Request) -> None:
        nonlocal taken
        taken += INTERVAL_S / 2 if request.method == "GET" else 0.0

    many.monotonic = lambda: many.clock.seconds() + taken
    many.restart()
    many.world.github.faults = take_half_an_interval
    many.github.requests.clear()
    many.clock.advance(DAY_S)
    assert many.asked() == (4, ["ada", "bela"])
    assert many.next_scan() == (4, ["chiyo", "dora"])
    assert many.next_scan() == (4, [])


def test_a_limit_met_while_lists_are_read_to_the_end_ends_that_for_the_scan(
    many: Many, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanner, "AT_ONCE", 1)
    many.next_scan()
    many.world.faults.add(Rule(LIMIT, "GitHub", path="/users/bela", times=1))
    many.github.requests.clear()
    many.clock.advance(DAY_S)
    many.pass_time(INTERVAL_S / 2)
    assert many.asked() == (4, ["ada", "bela"])
    assert many.next_scan() == (4, ["bela", "chiyo", "dora"])


def test_a_hint_that_is_wrong_costs_no_gist_beyond_a_day(many: Many) -> None:
    many.next_scan()
    many.world.github_api.graphql.stale = True
    many.write("new", user="ada")
    assert many.next_scan() == (1, [])
    many.pass_time(DAY_S, step=60.0)
    assert many.feed()[-1] == "new"


def test_few_users_are_all_read_without_a_query(many: Many) -> None:
    many.reads_a_minute = 900.0
    assert many.restart() == (0, list(USERS))
    assert many.next_scan() == (0, list(USERS))


def test_without_a_token_there_are_no_hints() -> None:
    memory = InMemoryPipeline(USERS)
    memory.reads_a_minute = 0.0
    memory.scan()
    memory.pass_time(INTERVAL_S)
    assert {request.method for request in memory.github.requests} == {"GET"}


def test_an_account_without_gists_gets_its_organization_though_it_is_not_read() -> None:
    memory = Many()
    memory.kill()
    memory.start()
    memory.settle()
    assert {request.method for request in memory.github.requests} == {"POST"}
    assert sorted(memory.organizations()) == list(USERS)


# --- the rules --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("total", "newest", "name", "before", "recorded", "unchanged"),
    [
        (2, "b", "Ada", 2, {"b"}, True),
        (2, "b", "Ada", None, {"b"}, True),
        (2, "b", "Ada", 2, set(), False),
        (3, "b", "Ada", 2, {"b"}, False),
        (1, "b", "Ada", 2, {"b"}, False),
        (0, None, "Ada", 0, set(), True),
        (0, None, "Ada", None, set(), True),
        (2, "b", "Ada-2", 2, {"b"}, False),
    ],
)
def test_unchanged_is_what_has_its_name_as_many_gists_as_before_and_a_newest_one_that_is_recorded(
    total: int, newest: str | None, name: str, before: int | None, recorded: Collection[str], unchanged: bool
) -> None:
    assert seems_unchanged(GistSummary(1, name, "U_1", total, newest), "ada", before, recorded) == unchanged


def test_reading_takes_longer_than_the_interval_where_there_are_more_users_than_points_in_it() -> None:
    assert not takes_longer(27_000, 900, 1800.0)
    assert takes_longer(27_001, 900, 1800.0)
    assert not takes_longer(10**9, float("inf"), 1.0)
