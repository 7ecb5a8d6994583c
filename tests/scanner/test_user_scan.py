"""What a pass over the list of one user records and tells, and when it goes to the end."""

from collections.abc import Sequence
from math import inf

from pipetest.domain.model import Entry, User
from pipetest.scanner.user_scan import TO_END_S, is_to_end_due, to_end_due_at
from pipetest.store.tinydb.generations import NEW
from tests.support.in_memory import INTERVAL_S, START_AT, InMemoryPipeline
from tests.support.results import result_of
from tests.support.simulated_disk import Step

DAY_S = 24 * 3600.0


def test_an_unchanged_list_costs_one_request_and_no_commit(memory: InMemoryPipeline) -> None:
    memory.write("first")
    memory.scan()
    files = memory.disk.files
    memory.github.requests.clear()
    memory.pass_time(INTERVAL_S)
    assert len(memory.github.requests) == 1
    assert "if-none-match" in memory.github.requests[0].headers
    assert memory.disk.files == files


def test_a_list_that_has_changed_without_a_new_gist_is_an_unchanged_one_from_then_on(memory: InMemoryPipeline) -> None:
    memory.write("first", "second")
    memory.scan()
    memory.world.accounts.delete("second")
    memory.pass_time(2 * INTERVAL_S)
    assert memory.scanner.passes == {"recorded": 2, "unchanged": 1}


def test_after_a_restart_a_scan_of_unchanged_lists_costs_one_request_each_and_one_commit_at_most() -> None:
    memory = InMemoryPipeline([f"user{number}" for number in range(50)])
    for name in memory.users:
        memory.write(f"gist-of-{name}", user=name)
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


def test_an_unknown_user_is_reported_once_and_has_no_place_among_the_scanned() -> None:
    memory = InMemoryPipeline(["ada"])
    memory.users = ("nobody", "ada")
    memory.scan()
    assert memory.recorded_users() == ["ada"]
    assert memory.error_of("nobody") == "GitHub knows no such user"
    assert [scan.failed for scan in memory.scans] == [False]


class Noting(InMemoryPipeline):
    """Remembers what the outbox is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[User, list[str]]] = []

    def user_recorded(self, user: User, entries: Sequence[Entry]) -> None:
        super().user_recorded(user, entries)
        self.told.append((user, [entry.gist.id for entry in entries]))


def test_the_outbox_is_told_of_a_user_as_it_is_stored_and_of_the_gists_that_are_new() -> None:
    memory = Noting()
    memory.write("first")
    memory.scan()
    assert memory.told == [(*result_of(memory.store.users()), ["first"])]
    memory.write("second", "third")
    memory.pass_time(INTERVAL_S)
    assert memory.told[1:] == [(*result_of(memory.store.users()), ["second", "third"])]
    memory.pass_time(INTERVAL_S)
    assert len(memory.told) == 2
    memory.kill()
    memory.scan()
    assert memory.told[2:] == [(*result_of(memory.store.users()), [])]


def test_a_name_is_shown_as_it_is_configured_now(memory: InMemoryPipeline) -> None:
    memory.write("first")
    memory.scan()
    memory.kill()
    memory.users = ("Ada",)
    memory.write("second")
    memory.scan()
    assert memory.feed() == ["first", "second"]
    assert memory.recorded_users() == ["Ada"]


def test_an_account_taken_by_somebody_else_is_reported_and_left_alone(memory: InMemoryPipeline) -> None:
    memory.write("first")
    memory.scan()
    memory.world.accounts.rename("ada", "ada-old")
    memory.world.accounts.open("ada")
    memory.write("strange")
    memory.pass_time(2 * INTERVAL_S)
    assert memory.feed() == ["first"]
    assert "another GitHub account" in (memory.error_of("ada") or "")


def test_an_account_that_has_taken_over_a_name_costs_one_request_a_scan(memory: InMemoryPipeline) -> None:
    memory.write("first")
    memory.scan()
    memory.world.accounts.rename("ada", "ada-old")
    memory.world.accounts.open("ada")
    memory.write(*[f"strange-{number}" for number in range(250)])
    memory.github.requests.clear()
    memory.pass_time(INTERVAL_S)
    assert len(memory.github.requests) == 1


def made_anew(memory: InMemoryPipeline) -> None:
    """The account is deleted and made anew under its name, and not read for it."""
    memory.write("first")
    memory.scan()
    memory.world.accounts.close("ada")
    memory.world.accounts.open("ada")
    memory.write("second")
    memory.pass_time(INTERVAL_S)
    assert memory.feed() == ["first"]
    assert "take the name off the list of users for one scan" in (memory.error_of("ada") or "")


def scan_of(memory: InMemoryPipeline, *users: str) -> None:
    """Another process scans these users."""
    memory.kill()
    memory.users = users
    memory.scan()


def test_an_account_made_anew_is_read_once_its_name_was_off_the_list_for_a_scan(memory: InMemoryPipeline) -> None:
    made_anew(memory)
    memory.world.accounts.open("bob")
    scan_of(memory, "bob")
    scan_of(memory, "bob", "Ada")
    assert memory.feed() == ["first", "second"]
    assert memory.error_of("Ada") is None
    memory.write("third")
    memory.pass_time(INTERVAL_S)
    assert memory.feed() == ["first", "second", "third"]


def test_an_account_made_anew_without_gists_is_still_the_one_that_is_read_later(memory: InMemoryPipeline) -> None:
    made_anew(memory)
    memory.world.accounts.delete("second")
    memory.world.accounts.open("bob")
    scan_of(memory, "bob")
    scan_of(memory, "ada", "bob")
    memory.pass_time(2 * INTERVAL_S)
    scan_of(memory, "ada", "bob")
    memory.write("third")
    memory.pass_time(INTERVAL_S)
    assert memory.feed() == ["first", "third"]


def test_a_name_that_came_back_belongs_to_one_account_again(memory: InMemoryPipeline) -> None:
    made_anew(memory)
    memory.world.accounts.open("bob")
    scan_of(memory, "bob")
    scan_of(memory, "ada", "bob")
    memory.world.accounts.close("ada")
    memory.world.accounts.open("ada")
    memory.write("strange")
    memory.pass_time(INTERVAL_S)
    scan_of(memory, "ada", "bob")
    assert "another GitHub account" in (memory.error_of("ada") or "")
    assert memory.feed() == ["first", "second"]


def test_of_who_comes_back_to_the_list_all_is_read_at_once(memory: InMemoryPipeline) -> None:
    memory.world.accounts.write("ada", gist_id="late", public=False)
    memory.write(*[f"gist-{number}" for number in range(150)])
    memory.scan()
    memory.world.accounts.open("bob")
    scan_of(memory, "bob")
    memory.world.accounts.publish("late")
    scan_of(memory, "ada")
    assert memory.feed()[-1] == "late"


def test_a_restart_alone_does_not_accept_another_account(memory: InMemoryPipeline) -> None:
    made_anew(memory)
    scan_of(memory, "ada")
    assert memory.feed() == ["first"]


def test_a_name_off_the_list_costs_no_commit_but_the_first(memory: InMemoryPipeline) -> None:
    memory.write("first")
    memory.scan()
    memory.world.accounts.open("bob")
    scan_of(memory, "bob")
    files = memory.disk.files
    memory.pass_time(INTERVAL_S)
    scan_of(memory, "bob")
    assert memory.disk.files == files


def test_a_gist_made_public_late_is_found_by_the_daily_pass(memory: InMemoryPipeline) -> None:
    secret = memory.world.accounts.write("ada", gist_id="late", public=False)
    memory.write(*[f"gist-{number}" for number in range(150)])
    memory.scan()
    memory.world.accounts.publish(secret.id)
    memory.pass_time(INTERVAL_S)
    assert "late" not in memory.feed()
    memory.pass_time(DAY_S, step=60.0)
    assert memory.feed()[-1] == "late"


def test_the_daily_pass_comes_within_a_day_of_the_last_one(memory: InMemoryPipeline) -> None:
    memory.write("first")
    memory.scan()
    (ada,) = result_of(memory.store.users())
    assert ada.read_to_end_at is not None
    assert ada.read_to_end_at + 0.8 * TO_END_S <= to_end_due_at(ada) <= ada.read_to_end_at + TO_END_S


def test_the_daily_passes_of_users_first_read_together_are_spread_over_a_fifth_of_a_day() -> None:
    due_at = [to_end_due_at(User(f"user{number}", read_to_end_at=START_AT)) - START_AT for number in range(1000)]
    assert 0.8 * TO_END_S <= min(due_at) < 0.81 * TO_END_S
    assert 0.99 * TO_END_S < max(due_at) <= TO_END_S
    assert to_end_due_at(User("never-read-to-the-end")) == -inf


def test_the_daily_pass_is_due_from_then_on_and_where_that_is_more_than_a_day_away() -> None:
    user = User("ada", read_to_end_at=START_AT)
    due_at = to_end_due_at(user)
    moments = {-TO_END_S - 1.0: True, -TO_END_S: False, -1.0: False, 0.0: True, 1.0: True}
    assert {moment: is_to_end_due(user, due_at + moment) for moment in moments} == moments


def test_a_clock_that_was_ahead_by_years_delays_the_daily_pass_by_a_day_at_most(memory: InMemoryPipeline) -> None:
    memory.clock_behind_s = -3650 * DAY_S
    secret = memory.world.accounts.write("ada", gist_id="late", public=False)
    memory.write(*(f"{number:03}" for number in range(150)))
    memory.start()
    memory.pass_time(INTERVAL_S / 2)
    memory.clock_behind_s = 0.0
    memory.world.accounts.publish(secret.id)
    memory.pass_time(DAY_S, step=60.0)
    assert "late" in memory.feed()
