"""``pipetest move`` takes over a new address of what the database knows, and no other's."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import Ran, run_alone
from tests.support.daemon_process import daemon, settings_for
from tests.support.processes import until
from tests.support.sandbox_process import SandboxProcess, sandbox
from tests.support.sandbox_state import assert_once

pytestmark = pytest.mark.xdist_group("move")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with sandbox(tmp_path_factory.mktemp("sandbox"), "--gist-every", "0", "--latency", "0.01") as world:
        yield world


@pytest.fixture(scope="module")
def template(world: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database in which everything is done."""
    folder = tmp_path_factory.mktemp("template")
    with daemon(folder, **settings_for(world)) as process:
        process.line("answering on")
        until(world.settled)
        process.stop()
    return folder / "db" / "db.json"


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    (tmp_path / "db").mkdir()
    shutil.copy(template, tmp_path / "db" / "db.json")
    return tmp_path


def renamed(world: SandboxProcess) -> dict[str, str]:
    """The settings of the same services under another name."""
    settings = settings_for(world)
    return settings | {
        name: settings[name].replace("127.0.0.1", "localhost") for name in ("GITHUB_URL", "PIPEDRIVE_URL")
    }


def move(folder: Path, settings: dict[str, str], *options: str) -> Ran:
    return run_alone("move", *options, cwd=folder, **settings)


def test_new_addresses_are_taken_over_and_nothing_is_made_twice(world: SandboxProcess, folder: Path) -> None:
    settings = renamed(world)
    with daemon(folder, **settings) as process:
        process.line("belongs to GitHub at http://127.0.0.1")
    moved = move(folder, settings, "--json")
    assert (moved.status, moved.err) == (0, "")
    assert json.loads(moved.out) == {
        "moved": {"GitHub": settings["GITHUB_URL"], "Pipedrive": settings["PIPEDRIVE_URL"]},
        "missing": None,
    }
    assert json.loads((folder / "db" / "db.json").read_bytes())["pipetest"]["1"]["unmarked"] is True
    world.write_gists(6)
    with daemon(folder, **settings) as process:
        process.line("answering on")
        until(world.settled)
        process.stop()
    assert_once(world.state())
    assert "Nothing to move" in move(folder, settings).out


def test_another_company_or_github_is_not_taken_over(world: SandboxProcess, folder: Path, tmp_path: Path) -> None:
    before = (folder / "db" / "db.json").read_bytes()
    with sandbox(tmp_path, "--gist-every", "0", "--seed", "7") as other:
        for name in ("PIPEDRIVE_URL", "GITHUB_URL"):
            ran = move(folder, settings_for(world) | {name: settings_for(other)[name]})
            assert (ran.status, ran.err) == (1, "")
            assert ran.out.startswith("Nothing was moved: none of the ")
    assert (folder / "db" / "db.json").read_bytes() == before


def test_a_database_in_use_or_a_service_without_an_answer_moves_nothing(world: SandboxProcess, folder: Path) -> None:
    settings = renamed(world) | {"PIPEDRIVE_URL": "http://127.0.0.1:1"}
    unreachable = move(folder, settings)
    assert (unreachable.status, unreachable.out) == (2, "")
    assert "Pipedrive: connection refused" in unreachable.err
    with daemon(folder, **settings_for(world)) as process:
        process.line("answering on")
        used = move(folder, renamed(world))
        process.stop()
    assert (used.status, used.out) == (2, "")
    assert "is in use by another process" in used.err
