"""``pipetest plan`` says what a start then makes."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from pipetest.cli.plan.github_survey import PER_PAGE, GitHubSurvey
from pipetest.cli.plan.recorded import Recorded, recorded
from pipetest.config.settings import Settings, load
from pipetest.domain.errors import DatabaseRefused
from pipetest.domain.model import MOST_NAMES, Reply, Request, Secret
from pipetest.sandbox.replies import as_json, github_error
from pipetest.store.copy.copying import copy_named
from pipetest.store.copy.postgres import PostgresSource
from tests.support.command import Ran, run_alone
from tests.support.daemon_process import daemon, settings_for
from tests.support.exchanges import ScriptedExchange
from tests.support.processes import until
from tests.support.results import result_of
from tests.support.sandbox_process import SandboxProcess, sandbox
from tests.support.sandbox_state import gists

SAMPLE = Path(__file__).parents[1] / "store" / "tinydb" / "samples" / "format-1.json"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[SandboxProcess]:
    with sandbox(tmp_path, "--gist-every", "0", "--latency", "0.01") as world:
        yield world


def plan(world: SandboxProcess, cwd: Path, *options: str, **settings: str) -> Ran:
    return run_alone("plan", *options, cwd=cwd, **settings_for(world) | settings)


def numbers(world: SandboxProcess, cwd: Path, **settings: str) -> dict[str, Any]:
    ran = plan(world, cwd, "--json", **settings)
    assert (ran.status, ran.err) == (0, "")
    told = json.loads(ran.out)
    assert isinstance(told, dict)
    return told


def test_what_it_says_is_what_a_start_makes_and_then_nothing_is_left(world: SandboxProcess, tmp_path: Path) -> None:
    world.write_gists(150)  # one user has more than a page
    before = numbers(world, tmp_path)
    state = world.state()
    assert (state["organizations"], state["deals"], (tmp_path / "db").exists()) == ([], [], False)
    assert (before["users"], before["organizations"], before["unread"]) == (3, 3, {})
    assert before["gists"] == before["deals"] == len(gists(state))
    assert before["tokens"] >= 5 * (before["organizations"] + before["deals"])
    with daemon(tmp_path, **settings_for(world)) as process:
        process.line("answering on")
        until(world.settled)
        beside = plan(world, tmp_path)
        process.stop()
    assert (beside.status, beside.out) == (2, "")
    assert beside.err.endswith("db.json. Ask it with pipetest status.\n")
    for settings in ({}, {"DATABASE_URL": "tinydb:lost.json"}):  # known to the database; or seen in Pipedrive
        after = numbers(world, tmp_path, **settings)
        assert (after["gists"], after["organizations"], after["deals"]) == (before["gists"], 0, 0)


def test_what_is_older_than_the_backfill_is_left_out(world: SandboxProcess, tmp_path: Path) -> None:
    world.write_gists(6)
    everything = numbers(world, tmp_path)["deals"]
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert 6 <= numbers(world, tmp_path, BACKFILL=today)["deals"] < everything
    nothing = numbers(world, tmp_path, BACKFILL="none")
    assert (nothing["gists"], nothing["organizations"], nothing["deals"]) == (0, 0, 0)
    with daemon(tmp_path, **settings_for(world) | {"BACKFILL": "none"}) as process:
        process.line("scan of .* ended")
        process.stop()
    world.write_gists(3)
    assert numbers(world, tmp_path, BACKFILL="none")["deals"] == 3


def test_who_has_no_gists_gets_an_organization_and_who_has_but_older_ones_does_not(
    world: SandboxProcess, tmp_path: Path
) -> None:
    world.post("/gists", user="eve", public=False)
    settings = {"QUERIED_USERS": f"eve,{world.users[0]}", "BACKFILL": "none"}
    assert numbers(world, tmp_path, **settings)["organizations"] == 1
    with daemon(tmp_path, **settings_for(world) | settings):
        until(lambda: world.state()["organizations"])
    assert [organization["name"] for organization in world.state()["organizations"]] == ["eve"]
    assert numbers(world, tmp_path, **settings)["organizations"] == 0


def test_a_template_that_does_not_fit_is_told(world: SandboxProcess, tmp_path: Path) -> None:
    ran = plan(world, tmp_path, "--json", DEALS="pipeline = 'Partners'")
    assert (ran.status, json.loads(ran.out)["misfit"]) == (
        1,
        "there is no pipeline “Partners” (only “Pipeline”, “Community”)",
    )


def test_who_cannot_be_read_is_named_and_the_others_are_planned(world: SandboxProcess, tmp_path: Path) -> None:
    ran = plan(world, tmp_path, QUERIED_USERS="ada-of-sandbox,nobody,Ada-of-sandbox")
    assert (ran.status, ran.err) == (1, "")
    assert "Users          2\n" in ran.out
    assert "Room           not known: " in ran.out
    assert "nobody: GitHub knows no such user (404)\n" in ran.out


def test_who_cannot_be_read_is_told_even_if_that_shows_at_once() -> None:
    exchange = ScriptedExchange(lambda _: github_error(404, "Not Found"))
    survey = GitHubSurvey(load({"PIPETEST_PIEPEDRIVE_API_KEY": "k"}), exchange, Clock())
    assert result_of(survey.gists()) == {}
    assert list(survey.unread) == ["antomer"]


def test_of_a_long_list_as_many_are_planned_as_are_read() -> None:
    def listing(request: Request) -> Reply:
        if "/following" not in request.url:
            return as_json(200, [])
        page = request.url.partition("&page=")[2] or "1"
        return as_json(200, [{"id": number + 1, "login": f"u{page}-{number}"} for number in range(PER_PAGE)])

    exchange = ScriptedExchange(listing)
    environ = {"PIEPEDRIVE_API_KEY": "k", "GITHUB_URL": "https://github.example", "QUERIED_USERS": "following:ada"}
    settings = load({f"PIPETEST_{name}": value for name, value in (environ | {"BACKFILL": "all"}).items()})
    survey = GitHubSurvey(settings, exchange, Clock())
    Deferred.fromCoroutine(survey.gists())
    assert sum("/following" in request.url for request in exchange.requests) == MOST_NAMES / PER_PAGE


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"PIEPEDRIVE_API_KEY": "wrong"}, "API key refused (401)"),
        ({"GITHUB_TOKEN": "wrong"}, "refuses the token (401)"),
        ({"PIPEDRIVE_URL": "http://127.0.0.1:1"}, "Pipedrive: connection refused"),
        ({"QUERYING_INTERVAL": "0"}, "PIPETEST_QUERYING_INTERVAL: expected minutes"),
    ],
)
def test_what_cannot_be_told_is_one_line(
    settings: dict[str, str], said: str, world: SandboxProcess, tmp_path: Path
) -> None:
    ran = plan(world, tmp_path, **settings)
    assert (ran.status, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert said in ran.err


def with_database(url: str) -> Settings:
    text = SAMPLE.read_text()
    roots = json.loads(text)["pipetest"]["1"]["roots"]
    return load(
        {
            "PIPETEST_PIEPEDRIVE_API_KEY": "k",
            "PIPETEST_DATABASE_URL": url,
            "PIPETEST_GITHUB_URL": roots.get("GitHub", "https://api.github.com"),
            "PIPETEST_PIPEDRIVE_URL": roots.get("Pipedrive", "https://antonsawesomecompany.pipedrive.com"),
        }
    )


def test_both_stores_tell_the_same_and_a_scanning_instance_is_left_alone(tmp_path: Path, database: Secret) -> None:
    path = tmp_path / "db.json"
    path.write_bytes(SAMPLE.read_bytes())
    assert recorded(with_database(database.reveal())) == Recorded(set(), set(), set(), set())
    copy_named(f"tinydb:{path}", database.reveal())
    here, there = recorded(with_database(f"tinydb:{path}")), recorded(with_database(database.reveal()))
    assert here == there
    assert here.done
    instance = PostgresSource(database)  # has the lock as an instance does
    with pytest.raises(DatabaseRefused, match="ask it with pipetest status"):
        recorded(with_database(database.reveal()))
    instance.close()
