"""``pipetest scan``, ``pause``, ``resume``, ``retry`` and ``backfill`` do what they say, or say why they cannot."""

import json
from pathlib import Path

import pytest
import pytest_twisted

from tests.cli.conftest import TOKEN
from tests.support.command import run
from tests.support.web.sample import WITH_PROBLEMS
from tests.support.web.stub_daemon import StubDaemon

GIST = WITH_PROBLEMS.quarantine[0].id


@pytest.mark.parametrize(
    ("command", "called", "said"),
    [
        ("scan", ("scan", None), "A scan begins now.\n"),
        ("pause", ("pause", True), "Creation is paused. Go on with: pipetest resume\n"),
        ("resume", ("pause", False), "Creation goes on.\n"),
        ("retry", ("retry_all", None), "Everything in quarantine is tried again.\n"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_it_is_done(command: str, called: object, said: str, url: str, stub_daemon: StubDaemon) -> None:
    ran = await run(command, "--url", url, ADMIN_TOKEN=TOKEN)
    assert (ran.status, ran.out, ran.err, stub_daemon.calls) == (0, said, "", [called])


@pytest_twisted.ensureDeferred
async def test_a_quarantined_gist_is_tried_again(url: str, stub_daemon: StubDaemon) -> None:
    stub_daemon.status = WITH_PROBLEMS
    ran = await run("retry", GIST, "--json", "--url", url, ADMIN_TOKEN=TOKEN)
    assert (ran.status, json.loads(ran.out), stub_daemon.calls) == (0, {"gist": GIST}, [("retry", GIST)])


@pytest_twisted.ensureDeferred
async def test_a_users_older_gists_become_deals(url: str, stub_daemon: StubDaemon) -> None:
    ran = await run("backfill", "torvalds", "--url", url, ADMIN_TOKEN=TOKEN)
    assert (ran.status, ran.out) == (0, "The older gists of torvalds become deals.\n")
    assert stub_daemon.calls == [("backfill", "torvalds")]
    ran = await run("backfill", "nobody", "--url", url, ADMIN_TOKEN=TOKEN)
    assert (ran.status, ran.out) == (1, "Nothing was done: no user of this name was ever scanned.\n")


@pytest.mark.parametrize("gist", ["unknown", "a/../b?c#d", "\x1b[2J", "ä"])
@pytest_twisted.ensureDeferred
async def test_a_gist_that_is_not_in_quarantine_is_exit_status_1(gist: str, url: str) -> None:
    ran = await run("retry", gist, "--url", url, ADMIN_TOKEN=TOKEN)
    assert (ran.status, ran.err) == (1, "")
    assert ran.out == "Nothing was done: no such gist is in quarantine.\n"


@pytest_twisted.ensureDeferred
async def test_the_token_may_be_in_a_file(url: str, stub_daemon: StubDaemon, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    ran = await run("scan", "--url", url, ADMIN_TOKEN_FILE=str(tmp_path / "token"))
    assert (ran.status, stub_daemon.calls) == (0, [("scan", None)])


@pytest_twisted.ensureDeferred
async def test_without_a_token_it_says_which_variable_to_set(url: str, stub_daemon: StubDaemon) -> None:
    ran = await run("pause", "--url", url)
    assert (ran.status, ran.out, stub_daemon.calls) == (2, "", [])
    assert ran.err == (
        "pipetest: PIPETEST_ADMIN_TOKEN is not set. Set it, or PIPETEST_ADMIN_TOKEN_FILE, as for the daemon.\n"
    )


@pytest_twisted.ensureDeferred
async def test_a_wrong_token_is_refused_and_not_shown(url: str, stub_daemon: StubDaemon) -> None:
    ran = await run("pause", "--url", url, ADMIN_TOKEN="wrong-token-wrong-token")
    assert (ran.status, stub_daemon.calls) == (2, [])
    assert "the daemon refuses the admin token" in ran.err
    assert "wrong-token" not in ran.out + ran.err


@pytest.mark.parametrize("command", [["scan"], ["retry", "a1"], ["audit"]])
@pytest_twisted.ensureDeferred
async def test_a_daemon_without_an_admin_token_is_told_apart_from_an_unknown_gist(
    command: list[str], closed_url: str
) -> None:
    ran = await run(*command, "--url", closed_url, ADMIN_TOKEN=TOKEN)
    assert ran.status == 2
    assert "Start it with PIPETEST_ADMIN_TOKEN set" in ran.err
