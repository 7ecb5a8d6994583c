"""The image on a real Docker engine: ``make image-test``."""

import json
import os
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.support.deploy.containers import (
    IMAGE,
    LOCKED_UP,
    URL,
    SandboxContainer,
    build,
    docker,
    network,
    running,
    sandbox,
)
from tests.support.processes import ask, until
from tests.support.sandbox_state import gists, titles

Measured = Callable[[str], None]

DOCKER_KILLS_AFTER_S = 10


@pytest.fixture(scope="session", autouse=True)
def image(measured: Measured) -> str:
    seconds = build()
    size = int(docker("image", "inspect", "--format={{.Size}}", IMAGE))
    measured(f"the image is built in {seconds:.0f} s and has {size / 1e6:.0f} MB")
    return IMAGE


@pytest.fixture
def world() -> Iterator[SandboxContainer]:
    with sandbox() as world:
        yield world


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of the user with the id 1000, for ``-v ${PWD}:/db``."""
    if os.geteuid() == 0:
        os.chown(tmp_path, 1000, 1000)
    return tmp_path


def older_command(world: SandboxContainer, folder: Path) -> list[str]:
    """``docker run -v ${PWD}:/db -e … -e … -p 8080:8080 pipetest``, the command of the older service. The port is the
    sandbox's."""
    company, key = "-ePIPETEST_PIEPEDRIVE_COMPANY_NAME=acme", f"-ePIPETEST_PIEPEDRIVE_API_KEY={world.printed['key']}"
    return [*world.network, *world.settings, "-v", f"{folder}:/db", company, key]


def stored(folder: Path) -> dict[str, Any]:
    """By gist, what the database says of its deal."""
    rows = json.loads(folder.joinpath("db.json").read_bytes())["gists"].values()
    return {row["gist"]: row["deal"] for row in rows}


def test_the_image_says_what_it_is_and_does_not_run_as_root() -> None:
    (inspected,) = json.loads(docker("image", "inspect", IMAGE))
    config = inspected["Config"]
    assert config["User"] == "1000:1000"
    assert list(config["ExposedPorts"]) == ["8080/tcp"]
    assert list(config["Volumes"]) == ["/db"]
    assert config["Entrypoint"][0] == "twistd"
    assert config["Labels"]["org.opencontainers.image.title"] == "pipetest"
    assert config["Labels"]["org.opencontainers.image.version"] == version("pipetest")
    assert {"PIPETEST_LISTEN=tcp:8080", "PIPETEST_DATABASE_URL=tinydb:/db/db.json"} <= set(config["Env"])


def test_the_older_command_makes_each_gist_a_deal_and_becomes_healthy(
    world: SandboxContainer, folder: Path, measured: Measured
) -> None:
    with running("pipetest-tried", *older_command(world, folder), IMAGE) as tried:
        until(world.settled)
        until(tried.healthy)
        assert ask(f"{URL}/health").json() == {"status": "UP"}
        assert set(ask(f"{URL}/getGists").json()) == gists(world.state())
        seconds, status = tried.stop()
        assert (status, folder.joinpath("db.json").exists()) == (0, True)
    assert sorted(titles(world.state())) == sorted(gists(world.state()))
    measured(f"docker stop of an idle daemon takes {seconds:.1f} s")


def test_it_needs_no_file_system_but_its_volume_and_no_capability(world: SandboxContainer, folder: Path) -> None:
    with running("pipetest-tried", *LOCKED_UP, *older_command(world, folder), IMAGE) as tried:
        until(world.settled)
        assert tried.stop()[1] == 0


def test_a_stop_waits_for_the_reply_under_way_and_stores_it_and_a_restart_makes_no_second_deal(
    world: SandboxContainer, folder: Path, measured: Measured
) -> None:
    with running("pipetest-tried", *LOCKED_UP, *older_command(world, folder), IMAGE) as tried:
        until(world.settled)
        world.post("/faults", fault="slow", method="POST", path="/api/v2/deals")
        world.post("/gists", user=world.printed["users"][0])
        until(world.settled)  # the deal is made, and its reply takes another 5 s
        seconds, status = tried.stop()
        assert seconds < DOCKER_KILLS_AFTER_S
        assert status == 0
    assert stored(folder) == {deal["title"]: {"type": "done", "id": deal["id"]} for deal in world.state()["deals"]}
    measured(f"docker stop takes {seconds:.1f} s while a reply of 5 s is under way")
    before = titles(world.state())
    world.post("/gists", user=world.printed["users"][0])
    with running("pipetest-tried", *LOCKED_UP, *older_command(world, folder), IMAGE) as tried:
        until(world.settled)
        assert len(titles(world.state())) == len(before) + 1
        assert sorted(titles(world.state())) == sorted(gists(world.state()))


def test_the_sandbox_shows_the_demonstration(measured: Measured) -> None:
    with running("pipetest-shown", *(network() or ["-p", "8080:8080"]), *LOCKED_UP, IMAGE, "--sandbox") as shown:
        until(shown.healthy)
        assert ask(f"{URL}/getCurrentlyScannedUsers").json()
        assert until(lambda: ask(f"{URL}/getGists").json())
        seconds, status = shown.stop()
        assert status == 0
    measured(f"docker stop of the demonstration takes {seconds:.1f} s")


def test_a_folder_that_the_user_may_not_write_is_refused_in_one_line_that_names_the_user(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with running(
        "pipetest-refused", *network(), "-v", f"{tmp_path}:/db", "-ePIPETEST_PIEPEDRIVE_API_KEY=k", IMAGE
    ) as it:
        until(lambda: it.inspect("{{.State.Running}}") == "false")
        assert int(it.inspect("{{.State.ExitCode}}")) > 0
        last = it.log.splitlines()[-1]
        assert "/db" in last
        assert "1000" in last
        assert "Traceback" not in it.log


def test_without_a_key_it_says_what_to_set() -> None:
    with running("pipetest-refused", *network(), IMAGE) as it:
        until(lambda: it.inspect("{{.State.Running}}") == "false")
        assert "PIPETEST_PIEPEDRIVE_API_KEY is not set" in it.log.splitlines()[-1]
