"""``pipetest check`` says what would go wrong, and nothing where nothing would."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import Ran, run_alone
from tests.support.daemon_process import daemon, settings_for
from tests.support.sandbox_process import SandboxProcess, sandbox

pytestmark = pytest.mark.xdist_group("check")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with sandbox(tmp_path_factory.mktemp("sandbox"), "--gist-every", "0", "--latency", "0.01") as world:
        yield world


def check(world: SandboxProcess, cwd: Path, *options: str, **settings: str) -> Ran:
    return run_alone("check", *options, cwd=cwd, **settings_for(world) | settings)


def told(ran: Ran, mark: str) -> list[str]:
    return [line.removeprefix(f"{mark}  ") for line in ran.out.splitlines() if line.startswith(mark)]


def test_where_all_is_well_each_line_says_so_and_nothing_is_made(world: SandboxProcess, tmp_path: Path) -> None:
    before = world.state()
    ran = check(world, tmp_path)
    assert (ran.status, ran.err) == (0, "")
    assert len(told(ran, "✓")) == len(ran.out.splitlines())
    assert f"database: {tmp_path}/db/db.json: a new one is made at the first start" in told(ran, "✓")
    assert "PIPETEST_QUERIED_USERS: 3 of 3 can be read: ada-of-sandbox, bela-of-sandbox, chiyo-of-sandbox" in ran.out
    assert list(tmp_path.iterdir()) == []
    after = world.state()
    assert (after["organizations"], after["deals"]) == (before["organizations"], before["deals"])


def test_secrets_are_not_shown(world: SandboxProcess, tmp_path: Path) -> None:
    secrets = {"GITHUB_TOKEN": "gh-s3cr3t", "ADMIN_TOKEN": "admin-s3cr3t-s3cr3t", "HEARTBEAT_URL": "https://x/s3cr3t"}
    ran = check(world, tmp_path, **secrets)
    assert "s3cr3t" not in ran.out + ran.err
    assert world.key not in ran.out + ran.err
    assert "PIPETEST_ADMIN_TOKEN: set, and not shown" in told(ran, "✓")


def test_every_wrong_setting_is_told_at_once(world: SandboxProcess, tmp_path: Path) -> None:
    ran = check(world, tmp_path, QUERYING_INTERVAL="0", LOG_FORMAT="xml", PIEPEDRIVE_API_KEY="")
    faults = told(ran, "✗")
    assert ran.status == 1
    assert [fault.partition(":")[0] for fault in faults] == [
        "PIPETEST_PIEPEDRIVE_API_KEY",
        "PIPETEST_QUERYING_INTERVAL",
        "PIPETEST_LOG_FORMAT",
    ]
    assert "   Correct it, or unset it: then it is text.\n" in ran.out
    assert (
        "✗  PIPETEST_PIEPEDRIVE_API_KEY: not set: expected API key of Pipedrive (Personal preferences, API)" in ran.out
    )
    assert told(ran, "!") == ["settings: nothing else was looked at"]


def test_what_is_probably_not_meant_is_a_warning(world: SandboxProcess, tmp_path: Path) -> None:
    ran = check(world, tmp_path, QUERIED_USER="ada")
    assert ran.status == 1
    (line,) = told(ran, "!")
    assert line.startswith("settings: PIPETEST_QUERIED_USER is not a setting of pipetest")
    assert ran.out.endswith("\n1 warning, see above\n")


def test_a_template_that_does_not_fit_is_a_fault(world: SandboxProcess, tmp_path: Path) -> None:
    ran = check(world, tmp_path, DEALS="pipeline = 'Nowhere'")
    fault = "PIPETEST_DEALS: it doesn't fit: there is no pipeline “Nowhere” (only “Pipeline”, “Community”)"
    assert (ran.status, told(ran, "✗")) == (1, [fault])
    ran = check(world, tmp_path, DEALS="pipeline = 'Pipeline'")
    assert "PIPETEST_DEALS: Pipedrive has what it names" in told(ran, "✓")


def test_a_wrong_key_is_told_by_pipedrive(world: SandboxProcess, tmp_path: Path) -> None:
    ran = check(world, tmp_path, PIEPEDRIVE_API_KEY="wrong")
    assert (ran.status, len(told(ran, "✗"))) == (1, 1)
    assert told(ran, "✗")[0].startswith("Pipedrive: API key refused (401)")


def test_a_wrong_token_is_told_once_not_for_each_user(world: SandboxProcess, tmp_path: Path) -> None:
    ran = check(world, tmp_path, GITHUB_TOKEN="wrong")
    assert (ran.status, len(told(ran, "✗"))) == (1, 1)
    assert told(ran, "✗")[0].startswith("GitHub: refuses the token (401)")


def test_an_unknown_user_is_a_warning_and_nothing_but_unknown_ones_a_fault(
    world: SandboxProcess, tmp_path: Path
) -> None:
    one = check(world, tmp_path, QUERIED_USERS="nobody-1,ada-of-sandbox")
    assert (one.status, told(one, "✗")) == (1, [])
    assert told(one, "!") == ["PIPETEST_QUERIED_USERS: nobody-1: GitHub knows no such account"]
    all_of_them = check(world, tmp_path, QUERIED_USERS="nobody-1,nobody-2")
    assert len(told(all_of_them, "✗")) == 2


def test_lists_are_asked_for_like_users(world: SandboxProcess, tmp_path: Path) -> None:
    ran = check(world, tmp_path, QUERIED_USERS="following:ada-of-sandbox org:nowhere", BACKFILL="all")
    assert "PIPETEST_QUERIED_USERS: 1 of 2 can be read: following:ada-of-sandbox" in told(ran, "✓")
    assert told(ran, "!") == ["PIPETEST_QUERIED_USERS: org:nowhere: GitHub knows no such account"]


def test_a_file_of_users_takes_the_place_of_the_default(world: SandboxProcess, tmp_path: Path) -> None:
    (tmp_path / "users").write_text("ada-of-sandbox # hers\nnobody-1\n")
    ran = check(world, tmp_path, QUERIED_USERS="", QUERIED_USERS_FILE=str(tmp_path / "users"))
    assert "antomer" not in ran.out
    assert "PIPETEST_QUERIED_USERS_FILE: 1 of 2 can be read: ada-of-sandbox" in told(ran, "✓")
    assert told(ran, "!") == ["PIPETEST_QUERIED_USERS_FILE: nobody-1: GitHub knows no such account"]
    assert "Correct it in PIPETEST_QUERIED_USERS_FILE" in ran.out


def test_services_that_cannot_be_reached_are_a_line_each(world: SandboxProcess, tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:1"
    users = ",".join(f"user{number}" for number in range(100))
    ran = check(world, tmp_path, GITHUB_URL=nowhere, PIPEDRIVE_URL=nowhere, QUERIED_USERS=users)
    assert told(ran, "✗") == ["Pipedrive: connection refused", "GitHub: connection refused"]


def test_of_more_users_than_the_limit_allows_the_others_are_counted(tmp_path: Path) -> None:
    users = ",".join(["ada-of-sandbox", *(f"nobody{number}" for number in range(20))])
    with sandbox(tmp_path, "--gist-every", "0", "--latency", "0.01") as world:
        world.post("/settings", github={"without_token": 12})
        ran = check(world, tmp_path, QUERIED_USERS=users)
        assert world.state()["calls"]["GitHub"]["GET /users/{username}/gists"] < 12
    (unasked,) = (line for line in told(ran, "!") if "not asked" in line)
    assert unasked.endswith(" of 21 users not asked: GitHub's limit is used up")


def test_beside_a_running_daemon_its_port_and_its_lock_are_no_faults(world: SandboxProcess, tmp_path: Path) -> None:
    with daemon(tmp_path, **settings_for(world) | {"LISTEN": "tcp:0:interface=127.0.0.1"}) as process:
        port = process.line(r"starting on ([0-9]+)")[1]
        process.line("scan of .* ended")
        ran = check(world, tmp_path, LISTEN=f"tcp:{port}:interface=127.0.0.1")
        process.stop()
    assert (ran.status, told(ran, "✗")) == (0, [])
    assert f"listener: tcp:{port}:interface=127.0.0.1 is in use, as a daemon runs" in told(ran, "✓")
    assert "in use by a daemon that runs" in ran.out
    taken = check(world, tmp_path, LISTEN=f"tcp:{port}:interface=127.0.0.1")
    assert taken.status == 0


def test_programs_get_what_was_found(world: SandboxProcess, tmp_path: Path) -> None:
    ran = check(world, tmp_path, "--json", QUERIED_USERS="nobody-1,ada-of-sandbox")
    assert ran.status == 1
    assert {
        "result": "warning",
        "subject": "PIPETEST_QUERIED_USERS",
        "text": "nobody-1: GitHub knows no such account",
        "remedy": "Correct it in PIPETEST_QUERIED_USERS, or take it off",
    } in json.loads(ran.out)
