"""What the command line and the environment make of the daemon."""

from importlib.metadata import version
from pathlib import Path

import pytest
from twisted.logger import capturedLogs, formatEvent
from twisted.python import usage

from pipetest import tap
from pipetest.tap import Options, makeService

KEY = "k3y"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIPETEST_PIEPEDRIVE_API_KEY", KEY)
    monkeypatch.setenv("PIPETEST_DATABASE_URL", f"tinydb:{tmp_path}/db.json")
    monkeypatch.setattr(tap.reactor, "seconds", tap.reactor.seconds)  # which a service changes


def options(*given: str) -> Options:
    parsed = Options()
    parsed.parent = usage.Options()  # twistd's
    parsed.parent |= {"nodaemon": True, "pidfile": "twistd.pid"}
    parsed.parseOptions(given)
    return parsed


@pytest.mark.parametrize("more", [[], ["--sandbox"]])
def test_the_endpoints_of_the_command_line_are_kept_as_given_and_win(
    more: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPETEST_LISTEN", "tcp:1")
    given = ("unix:/my folder/socket", "tcp:2")
    parsed = options("--listen", given[0], "--listen", given[1], *more)
    assert (parsed.settings.listen, tuple(parsed.endpoints)) == (given, given)


def test_more_users_than_github_allows_requests_are_said_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPETEST_QUERIED_USERS", ",".join(f"user{number}" for number in range(31)))
    with capturedLogs() as events:
        makeService(options())
    assert [formatEvent(event) for event in events if "requests an hour" in formatEvent(event)] == [
        "to read 31 GitHub users every 30 min takes 62 requests an hour, GitHub allows 60: set PIPETEST_GITHUB_TOKEN, "
        "raise PIPETEST_QUERYING_INTERVAL to 31 or shorten PIPETEST_QUERIED_USERS"
    ]


def test_the_log_begins_with_what_was_started_and_what_is_probably_not_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPETEST_QUERIED_USER", "ada")
    with capturedLogs() as events:
        makeService(options())
    lines = [formatEvent(event) for event in events]
    assert lines[0].startswith(f"pipetest {version('pipetest')}: ")
    assert "antonsawesomecompany, 1 user every 30 min" in lines[0]
    assert lines[1].startswith("PIPETEST_QUERIED_USER is not a setting of pipetest")
