"""What a pass over the list of one user records and tells, and when it goes to the end."""

from pipetest.scanner.user_scan import TO_END_S, to_end_due_at
from pipetest.store.tinydb.generations import NEW
from tests.support.in_memory import INTERVAL_S, InMemoryPipeline
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
