"""What a pass over the list of one user records and tells, and when it goes to the end."""

from pipetest.scanner.user_scan import TO_END_S, to_end_due_at
from pipetest.store.tinydb.generations import NEW
from tests.support.in_memory import INTERVAL_S, InMemoryDaemon
from tests.support.results import result_of
from tests.support.simulated_disk import Step

DAY_S = 24 * 3600.0


def test_an_unchanged_list_costs_one_request_and_no_commit(memory: InMemoryDaemon) -> None:
    memory.write("first")
    memory.scan()
    files = memory.disk.files
    memory.github.requests.clear()
    memory.pass_time(INTERVAL_S)
    assert len(memory.github.requests) == 1
    assert "if-none-match" in memory.github.requests[0].headers
    assert memory.disk.files == files


def test_after_a_restart_a_scan_of_unchanged_lists_costs_one_request_each_and_one_commit_at_most() -> None:
    memory = InMemoryDaemon([f"user{number}" for number in range(50)])
    for name in memory.users:
        memory.write(f"gist of {name}", user=name)
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
    memory = InMemoryDaemon(["ada"])
    memory.users = ("nobody", "ada")
    memory.scan()
    assert memory.recorded_users() == ["ada"]
    assert memory.error_of("nobody") == "GitHub knows no such user"
    assert [scan.failed for scan in memory.scans] == [False]


def test_a_name_is_shown_as_it_is_configured_now(memory: InMemoryDaemon) -> None:
    memory.write("first")
    memory.scan()
    memory.kill()
    memory.users = ("Ada",)
    memory.write("second")
    memory.scan()
    assert memory.feed() == ["first", "second"]
    assert memory.recorded_users() == ["Ada"]


def test_an_account_taken_by_somebody_else_is_reported_and_left_alone(memory: InMemoryDaemon) -> None:
    memory.write("first")
    memory.scan()
    memory.world.accounts.rename("ada", "ada-old")
    memory.world.accounts.open("ada")
    memory.write("strange")
    memory.pass_time(2 * INTERVAL_S)
    assert memory.feed() == ["first"]
    assert "another GitHub account" in (memory.error_of("ada") or "")


def test_a_gist_made_public_late_is_found_by_the_daily_pass(memory: InMemoryDaemon) -> None:
    secret = memory.world.accounts.write("ada", gist_id="late", public=False)
    memory.write(*[f"gist-{number}" for number in range(150)])
    memory.scan()
    memory.world.accounts.publish(secret.id)
    memory.pass_time(INTERVAL_S)
    assert "late" not in memory.feed()
    memory.pass_time(DAY_S, step=60.0)
    assert memory.feed()[-1] == "late"


def test_the_daily_pass_comes_within_a_day_of_the_last_one(memory: InMemoryDaemon) -> None:
    memory.write("first")
    memory.scan()
    (ada,) = result_of(memory.store.users())
    assert ada.read_to_end_at is not None
    assert ada.read_to_end_at + 0.8 * TO_END_S <= to_end_due_at(ada) <= ada.read_to_end_at + TO_END_S
