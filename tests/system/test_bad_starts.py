"""A start that cannot succeed ends at once: with a status above 0, a last line that says why, and no traceback."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon_process import daemon
from tests.support.processes import powerless

KEY = "hush-0123456789"
WORKING = {"PIEPEDRIVE_API_KEY": KEY, "DATABASE_URL": "tinydb:db/db.json", "LISTEN": "tcp:0:interface=127.0.0.1"}


def refusal(cwd: Path, *options: str, **settings: str) -> str:
    """The last line of a start that fails. It says what was wrong."""
    with daemon(cwd, *options, before=powerless(), **{**WORKING, **settings}) as process:
        status = process.ended()
    assert status > 0
    assert "Traceback" not in process.output
    assert KEY not in process.output
    return process.output.splitlines()[-1]


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_without_a_key_it_says_which_variable_to_set(tmp_path: Path) -> None:
    assert "PIPETEST_PIEPEDRIVE_API_KEY is not set" in refusal(tmp_path, PIEPEDRIVE_API_KEY="")


def test_a_bad_setting_is_named(tmp_path: Path) -> None:
    assert "PIPETEST_QUERYING_INTERVAL" in refusal(tmp_path, QUERYING_INTERVAL="soon")


@pytest.mark.parametrize("description", ["tcp:eighty", "nowhere", "tcp:8080:interface"])
def test_a_bad_endpoint_description_is_shown(description: str, tmp_path: Path) -> None:
    assert description in refusal(tmp_path, LISTEN=description)
    assert description in refusal(tmp_path, "--listen", description)


def test_a_port_that_is_taken_is_named(taken: int, tmp_path: Path) -> None:
    assert str(taken) in refusal(tmp_path, LISTEN=f"tcp:{taken}:interface=127.0.0.1")


def test_where_the_older_service_still_has_the_port_its_database_stays_as_it_is(taken: int, tmp_path: Path) -> None:
    database = tmp_path / "db.json"
    database.write_text('{"users": {"1": {"username": "ada", "gists": ["a"]}}}', encoding="utf-8")
    before = database.read_bytes()
    port = f"tcp:{taken}:interface=127.0.0.1"
    assert str(taken) in refusal(tmp_path, LISTEN=port, DATABASE_URL=f"tinydb:{database}")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"db.json": before}


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    assert str(folder) in refusal(tmp_path, DATABASE_URL=f"tinydb:{folder}/db.json")
    assert not list(folder.iterdir())


def test_a_file_that_is_no_database_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    database = tmp_path / "db.json"
    database.write_text('{"users": ', encoding="utf-8")
    assert str(database) in refusal(tmp_path, DATABASE_URL=f"tinydb:{database}")
    assert database.read_text(encoding="utf-8") == '{"users": '


def test_an_unknown_option_is_named(tmp_path: Path) -> None:
    assert "--sandbax" in refusal(tmp_path, "--sandbax")
