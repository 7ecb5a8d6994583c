"""``pipetest status`` tells what the page shows."""

import json

import pytest_twisted
from msgspec.structs import replace

from pipetest.domain.problems import PAUSED, OperatorProblem
from pipetest.domain.status import Leader, QueriedUser
from tests.support.command import run
from tests.support.web.sample import QUIET, WITH_PROBLEMS
from tests.support.web.stub_daemon import StubDaemon


@pytest_twisted.ensureDeferred
async def test_a_healthy_daemon_is_exit_status_0(url: str) -> None:
    ran = await run("status", "--url", url)
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("Healthy  antonsawesomecompany, pipetest 2.0.0, started 5 days ago\n")
    assert "12,345 of 12,345 gists, 0 waiting" in ran.out
    assert f"  {QUIET.days[-1].deals} today, 17 in the last hour\n" in ran.out


@pytest_twisted.ensureDeferred
async def test_a_problem_is_told_with_its_remedy_and_is_exit_status_1(url: str, stub_daemon: StubDaemon) -> None:
    stub_daemon.status = WITH_PROBLEMS
    ran = await run("status", "--url", url)
    assert ran.status == 1
    assert "✗  Pipedrive refuses to create deals: the deals limit is reached, for 2 hours\n" in ran.out
    assert "   Correct what it names in Pipedrive, and pipetest goes on by itself within an hour; " in ran.out
    assert "hynek (GitHub: answered 502), for 25 hours\n" in ran.out
    assert "  1 missing, 1 duplicate, 120 moved, 1 unknown, 24 hours ago\n" in ran.out
    assert "  the last one, 60 minutes ago, has no result: Pipedrive: answered 502\n" in ran.out
    assert "  one is under way, 40% of the deals compared\n" in ran.out


@pytest_twisted.ensureDeferred
async def test_a_pipe_gets_plain_lines_that_are_not_broken(url: str, stub_daemon: StubDaemon) -> None:
    stub_daemon.status = WITH_PROBLEMS
    ran = await run("status", "--url", url)
    assert "\x1b" not in ran.out
    (line,) = (line for line in ran.out.splitlines() if line.endswith("is not valid"))
    assert line.startswith("02f6a1c09be24d7788aa000000000002  octocat  2 hours ago  400: the title <script>")
    assert all(line == line.rstrip() for line in ran.out.splitlines())


@pytest_twisted.ensureDeferred
async def test_a_pause_is_what_people_asked_for_and_no_alarm(url: str, stub_daemon: StubDaemon) -> None:
    pause = OperatorProblem(
        id=PAUSED, severity="warning", since=QUIET.at, text="creation is paused by an operator", remedy="Resume it"
    )
    stub_daemon.status = replace(QUIET, problems=[pause])
    ran = await run("status", "--url", url)
    assert ran.out.startswith("Paused  antonsawesomecompany")
    assert ran.status == 1


@pytest_twisted.ensureDeferred
async def test_how_long_something_lasts_is_told_as_of_now_where_the_leader_has_been_silent(
    url: str, stub_daemon: StubDaemon
) -> None:
    problem = OperatorProblem(id="x", severity="error", since=QUIET.at + 60, text="the database is down", remedy="Do")
    instance = replace(QUIET.instance, started_at=QUIET.at + 1)
    leader = Leader(here=False, name="host:7")
    stub_daemon.status = replace(QUIET, instance=instance, leader=leader, age=7_201.0, problems=[problem])
    ran = await run("status", "--url", url)
    assert "started 2 hours ago" in ran.out
    assert "✗  the database is down, for 119 minutes\n" in ran.out


@pytest_twisted.ensureDeferred
async def test_where_there_is_nobody_there_is_no_table_of_users(url: str, stub_daemon: StubDaemon) -> None:
    stub_daemon.status = replace(QUIET, users=[])
    ran = await run("status", "--url", url)
    assert "USER  GISTS" not in ran.out


@pytest_twisted.ensureDeferred
async def test_words_of_others_do_not_steer_the_terminal(url: str, stub_daemon: StubDaemon) -> None:
    hostile = QueriedUser(name="ada", error="\x1b[2J[red]gone[/red]\nHealthy")
    stub_daemon.status = replace(QUIET, users=[hostile])
    ran = await run("status", "--url", url)
    assert "\\x1b[2J[red]gone[/red]\\nHealthy" in ran.out


@pytest_twisted.ensureDeferred
async def test_programs_get_all_that_the_daemon_answers(url: str, stub_daemon: StubDaemon) -> None:
    stub_daemon.status = WITH_PROBLEMS
    ran = await run("status", "--json", "--url", url)
    assert ran.status == 1
    assert json.loads(ran.out)["ledger"] == {"wanted": 1230, "sent": 4, "done": 11110, "quarantined": 1, "skipped": 0}


@pytest_twisted.ensureDeferred
async def test_of_many_users_the_first_are_shown_and_the_others_counted(url: str, stub_daemon: StubDaemon) -> None:
    users = [QueriedUser(name=f"user{number:04d}") for number in range(1_000)]
    stub_daemon.status = replace(QUIET, users=users, user_counts=replace(QUIET.user_counts, total=10_000))
    ran = await run("status", "--url", url)
    assert "user0019" in ran.out
    assert "user0020" not in ran.out
    assert "and 9,980 more users" in ran.out


@pytest_twisted.ensureDeferred
async def test_of_several_instances_the_one_that_scans_is_named(url: str, stub_daemon: StubDaemon) -> None:
    stub_daemon.status = replace(QUIET, leader=Leader(here=False, name="host:7"), age=12.0)
    ran = await run("status", "--url", url)
    assert "Scanned by" in ran.out
    assert "host:7, as it told 12 s ago" in ran.out


@pytest_twisted.ensureDeferred
async def test_moments_that_are_no_dates_are_shown_all_the_same(url: str, stub_daemon: StubDaemon) -> None:
    stub_daemon.status = replace(QUIET, latest=[replace(QUIET.latest[0], created_at=1e300)])
    ran = await run("status", "--url", url)
    assert (ran.status, "unknown" in ran.out) == (0, True)
