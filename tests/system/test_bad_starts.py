"""A start that cannot succeed ends at once: with a status that says whether a setting was wrong, a last line that says
what, and no traceback; as a daemon, too."""

import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.daemon_process import daemon
from tests.support.processes import Process, clean_environment, powerless, until

KEY = "hush-0123456789"
WORKING = {"PIEPEDRIVE_API_KEY": KEY, "DATABASE_URL": "tinydb:db/db.json", "LISTEN": "tcp:0:interface=127.0.0.1"}


FAILED = 1
MISCONFIGURED = 78
"""Exit statuses. Of the second, systemd is told that a restart will not help."""


def refusal(cwd: Path, *options: str, status: int = FAILED, **settings: str) -> str:
    """The last line of a start that fails. It says what was wrong."""
    return refused(cwd, *options, status=status, **settings).splitlines()[-1]


def refused(cwd: Path, *options: str, status: int = FAILED, **settings: str) -> str:
    """All that a start that fails says."""
    with daemon(cwd, *options, before=powerless(), **{**WORKING, **settings}) as process:
        assert process.ended() == status
    assert "Traceback" not in process.output
    assert KEY not in process.output
    return process.output


def misconfigured(cwd: Path, *options: str, **settings: str) -> str:
    """All that a start with a wrong setting says: one line."""
    with daemon(cwd, *options, before=powerless(), **{**WORKING, **settings}) as process:
        assert process.ended() == MISCONFIGURED
    assert KEY not in process.output
    (line,) = process.output.splitlines()
    return line


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_without_a_key_it_says_which_variable_to_set(tmp_path: Path) -> None:
    assert "PIPETEST_PIEPEDRIVE_API_KEY is not set" in misconfigured(tmp_path, PIEPEDRIVE_API_KEY="")


def test_a_bad_setting_is_named(tmp_path: Path) -> None:
    assert "PIPETEST_QUERYING_INTERVAL" in misconfigured(tmp_path, QUERYING_INTERVAL="soon")


def test_a_folder_that_was_deleted_is_no_place_to_start_in(tmp_path: Path) -> None:
    before = (*powerless(), "sh", "-c", 'rmdir "$PWD"; exec "$@"', "sh")
    with daemon(tmp_path, before=before, **WORKING) as process:
        assert process.ended() == MISCONFIGURED
    (line,) = process.output.splitlines()
    assert "was deleted" in line


def test_a_socket_in_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path, LISTEN="unix:/nowhere/web").endswith(
        "cannot listen on unix:/nowhere/web: No such file or directory: correct PIPETEST_LISTEN"
    )


@pytest.mark.parametrize("description", ["tcp:eighty", "nowhere"])
def test_a_bad_endpoint_description_is_shown(description: str, tmp_path: Path) -> None:
    assert description in misconfigured(tmp_path, LISTEN=description)
    assert description in misconfigured(tmp_path, "--listen", description)


def test_an_interface_that_the_machine_does_not_have_is_named(tmp_path: Path) -> None:
    assert "tcp:8080:interface" in refusal(tmp_path, LISTEN="tcp:8080:interface")


def test_a_port_that_is_taken_is_named(taken: int, tmp_path: Path) -> None:
    assert refusal(tmp_path, LISTEN=f"tcp:{taken}:interface=127.0.0.1").endswith(
        f"cannot listen on tcp:{taken}:interface=127.0.0.1: Address already in use: "
        "end what listens there, or name another place in PIPETEST_LISTEN"
    )


def test_where_the_older_service_still_has_the_port_its_database_stays_as_it_is(taken: int, tmp_path: Path) -> None:
    database = tmp_path / "db.json"
    database.write_text('{"users": {"1": {"username": "ada", "gists": ["a"]}}}', encoding="utf-8")
    before = database.read_bytes()
    port = f"tcp:{taken}:interface=127.0.0.1"
    assert str(taken) in refusal(tmp_path, LISTEN=port, DATABASE_URL=f"tinydb:{database}")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"db.json": before, "db.json.lock": b""}


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    assert str(folder) in refusal(tmp_path, DATABASE_URL=f"tinydb:{folder}/db.json")
    assert not list(folder.iterdir())


def test_a_file_that_is_no_database_is_named_and_left_as_it_is_before_anything_listens(tmp_path: Path) -> None:
    database = tmp_path / "db.json"
    database.write_text('{"users": ', encoding="utf-8")
    said = refused(tmp_path, DATABASE_URL=f"tinydb:{database}")
    assert str(database) in said.splitlines()[-1]
    assert "starting on" not in said
    assert database.read_text(encoding="utf-8") == '{"users": '


def test_an_unknown_option_is_named(tmp_path: Path) -> None:
    assert "--sandbax" in misconfigured(tmp_path, "--sandbax")


@pytest.mark.parametrize("query", ["schema=public", "connect_timeout=soon"])
def test_a_database_url_that_the_client_library_cannot_read_is_a_wrong_setting(query: str, tmp_path: Path) -> None:
    url = f"postgresql://ada@127.0.0.1/pipetest?{query}"
    assert "PIPETEST_DATABASE_URL" in misconfigured(tmp_path, DATABASE_URL=url)


# --- as a daemon ------------------------------------------------------------------------------------------------------


def refused_daemon(cwd: Path, status: int = FAILED, *, program: Sequence[str] = ("twistd",), **settings: str) -> str:
    """All that a command says which would leave a daemon behind, and cannot: one line."""
    name, *options = program
    argv = (*powerless(), str(Path(sys.executable).with_name(name)), *options, "pipetest")
    with Process(*argv, env=clean_environment(**{**WORKING, **settings}), cwd=cwd) as process:
        assert process.ended() == status
    assert KEY not in process.output
    assert not (cwd / "twistd.pid").exists()
    (line,) = process.output.splitlines()
    return line


def test_as_a_daemon_it_names_a_port_that_is_taken(taken: int, tmp_path: Path) -> None:
    assert str(taken) in refused_daemon(tmp_path, LISTEN=f"tcp:{taken}:interface=127.0.0.1")


def test_as_a_daemon_it_names_a_database_that_it_refuses(tmp_path: Path) -> None:
    (tmp_path / "db.json").write_text('{"users": ', encoding="utf-8")
    assert "db.json is damaged" in refused_daemon(tmp_path, DATABASE_URL="tinydb:db.json")


def test_as_a_daemon_it_names_a_wrong_setting(tmp_path: Path) -> None:
    assert "PIPETEST_QUERYING_INTERVAL" in refused_daemon(tmp_path, MISCONFIGURED, QUERYING_INTERVAL="soon")


def test_as_a_daemon_it_names_a_server_that_cannot_be_asked(tmp_path: Path) -> None:
    url = "postgresql://ada@127.0.0.1:1/pipetest"
    assert "PostgreSQL at 127.0.0.1/pipetest" in refused_daemon(tmp_path, DATABASE_URL=url)


def test_as_a_daemon_it_names_a_port_of_the_demonstration_that_is_taken(taken: int, tmp_path: Path) -> None:
    with Process(
        str(Path(sys.executable).with_name("twistd")),
        "pipetest",
        "--sandbox",
        env=clean_environment(LISTEN=f"tcp:{taken}:interface=127.0.0.1"),
        cwd=tmp_path,
    ) as process:
        assert process.ended() == FAILED
    (line,) = process.output.splitlines()
    assert str(taken) in line


@pytest.mark.parametrize("options", [(), ("--logfile", "locked/log"), ("--pidfile", "locked/pid")])
def test_as_a_daemon_it_names_a_folder_that_may_not_be_written(options: Sequence[str], tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (place / "locked").mkdir(mode=0o555)
    if not options:
        place.chmod(0o555)
    assert "Permission denied" in refused_daemon(
        place, program=("twistd", *options), DATABASE_URL=f"tinydb:{tmp_path}/db.json"
    )


@pytest.mark.parametrize("option", [("--rundir", "/nowhere"), ("--pidfile", "nowhere/pid")])
def test_in_the_foreground_it_names_a_folder_that_is_not_there(option: Sequence[str], tmp_path: Path) -> None:
    said = refused_daemon(tmp_path, program=("twistd", "--nodaemon", *option))
    assert "nowhere" in said
    assert "No such file" in said


def test_a_daemon_that_can_start_does_and_says_what_it_mended(tmp_path: Path) -> None:
    good = tmp_path / "good"
    good.mkdir()
    with daemon(good, **WORKING) as process:
        until((good / "db" / "db.json").exists)
        process.stop()
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "db.json.previous").write_bytes((good / "db" / "db.json").read_bytes())
    (tmp_path / "db" / "db.json").write_text("torn")
    argv = (str(Path(sys.executable).with_name("twistd")), "pipetest")
    with Process(*argv, env=clean_environment(**WORKING), cwd=tmp_path) as process:
        assert process.ended() == 0
    assert process.output == ""
    pid = int((tmp_path / "twistd.pid").read_text())
    os.kill(pid, signal.SIGTERM)
    until(lambda: "Server Shut Down" in (tmp_path / "twistd.log").read_text())
    log = (tmp_path / "twistd.log").read_text()
    assert log.count("was damaged and is kept as") == 1
    assert "Traceback" not in log


# --- without what a process usually has -------------------------------------------------------------------------------


def test_it_starts_without_standard_output(tmp_path: Path) -> None:
    closed = ("sh", "-c", 'exec "$@" >&-', "sh")
    with daemon(tmp_path, before=closed, **WORKING) as process:
        until((tmp_path / "db" / "db.json").exists)
        process.stop()
    assert process.output == ""


def test_twist_runs_it_in_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir(mode=0o555)
    argv = (*powerless(), str(Path(sys.executable).with_name("twist")), "pipetest")
    settings = {**WORKING, "DATABASE_URL": f"tinydb:{tmp_path}/db.json"}
    with Process(*argv, env=clean_environment(**settings), cwd=place) as process:
        process.line("starting on")
        process.stop()
    assert "Traceback" not in process.output


def test_a_unix_socket_of_a_killed_process_whose_number_lives_again_is_taken_over(tmp_path: Path) -> None:
    listening = {**WORKING, "LISTEN": f"unix:{tmp_path}/web"}
    (tmp_path / "web.lock").symlink_to(str(os.getpid()))  # alive, as process 1 of a container is
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(tmp_path / "web"))
    with daemon(tmp_path, **listening) as process:
        process.line("starting on")
        assert "web" in refusal(tmp_path, LISTEN=listening["LISTEN"], DATABASE_URL="tinydb:other.json")
