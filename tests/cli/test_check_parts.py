"""What ``pipetest check`` looks at on this machine: database and listeners."""

import gc
import os
import socket
from pathlib import Path

import pytest
import pytest_twisted

from pipetest.cli.check.database import check_database, daemon_runs
from pipetest.cli.check.line import CheckLine
from pipetest.cli.check.listeners import check_listeners
from pipetest.cli.check.pipedrive import whose
from pipetest.config.settings import Settings, load
from pipetest.domain.model import Secret
from pipetest.pipedrive.client import Me
from pipetest.store.tinydb.disk import FolderDisk
from pipetest.store.tinydb.recovery import open_database


def settings(database: str, **more: str) -> Settings:
    names = {f"PIPETEST_{name}": value for name, value in more.items()}
    return load({"PIPETEST_PIEPEDRIVE_API_KEY": "k", "PIPETEST_DATABASE_URL": database, **names})


def found(path: Path, **more: str) -> list[CheckLine]:
    return list(check_database(settings(f"tinydb:{path}", **more)))


def made(path: Path) -> None:
    roots = {"GitHub": "https://api.github.com", "Pipedrive": "https://antonsawesomecompany.pipedrive.com"}
    open_database(FolderDisk(str(path)), roots, lambda: None).storage.close()


def files(folder: Path) -> list[tuple[str, int, int]]:
    return sorted((path.name, path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir())


def test_a_good_database_is_left_as_it_was(tmp_path: Path) -> None:
    made(tmp_path / "db.json")
    before = files(tmp_path)
    assert [line.result for line in found(tmp_path / "db.json")] == ["ok", "ok"]
    assert files(tmp_path) == before


def test_a_lock_that_a_daemon_has_is_no_fault(tmp_path: Path) -> None:
    made(tmp_path / "db.json")
    assert not daemon_runs(settings(f"tinydb:{tmp_path}/db.json"))
    disk = FolderDisk(str(tmp_path / "db.json"))
    disk.open()
    assert daemon_runs(settings(f"tinydb:{tmp_path}/db.json"))
    assert "in use by a daemon" in found(tmp_path / "db.json")[-1].text
    disk.close()


def test_a_damaged_database_is_a_fault_with_a_remedy(tmp_path: Path) -> None:
    made(tmp_path / "db.json")
    (tmp_path / "db.json").write_bytes((tmp_path / "db.json").read_bytes()[:40])
    last = found(tmp_path / "db.json")[-1]
    assert last.result == "fault"
    assert "is damaged" in last.text
    assert last.remedy.startswith("Repair it; or move it away")


def test_a_later_format_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "db.json").write_text('{"pipetest": {"1": {"format": 99}}}')
    last = found(tmp_path / "db.json")[-1]
    assert (last.result, last.remedy) == ("fault", "Install the version that wrote it")


def test_a_hard_link_is_a_fault(tmp_path: Path) -> None:
    made(tmp_path / "db.json")
    os.link(tmp_path / "db.json", tmp_path / "other")
    assert "2 hard links" in found(tmp_path / "db.json")[-1].text


def test_the_database_of_another_company_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "db.json"
    made(path)
    text = path.read_text().replace('"users": {', '"users": {"1": {"username": "ada", "gists": []}')
    path.write_text(text)
    assert found(path)[-1].result == "ok"
    other = found(path, PIEPEDRIVE_COMPANY_NAME="another")[-1]
    assert other.result == "fault"
    assert "belongs to Pipedrive at https://antonsawesomecompany.pipedrive.com" in other.text
    assert other.remedy.endswith("take over a new address of the same one with pipetest move")


def test_a_folder_in_the_way_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "db.json").mkdir()
    assert found(tmp_path / "db.json")[-1].result == "fault"


def test_a_file_where_the_folder_should_be_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "db").write_text("")
    assert found(tmp_path / "db" / "db.json")[0].result == "fault"


def test_a_postgres_database_is_told_in_words(database: Secret) -> None:
    (new,) = check_database(settings(database.reveal()))
    assert (new.result, new.text.endswith("its tables are made at the first start")) == ("ok", True)
    (gone,) = check_database(settings("postgresql://x:pa55@127.0.0.1:1/none"))
    assert gone.result == "fault"
    assert "pa55" not in gone.text + gone.remedy


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # Twisted before 26.10 leaves one that is taken
@pytest_twisted.ensureDeferred
async def test_listeners_are_free_taken_or_wrong() -> None:
    from twisted.internet import reactor

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        at = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
        descriptions = ["tcp:0:interface=127.0.0.1", "systemd:domain=INET:name=http", at, "ssl:0:privateKey=/none", "x"]
        results = [each.result async for each in check_listeners(descriptions, reactor, daemon_runs=False)]
        assert results == ["ok", "ok", "fault", "fault", "fault"]
        places = [at, "tcp:99999", "unix:/nowhere/web"]
        lines = [each async for each in check_listeners(places, reactor, daemon_runs=False)]
        assert [(each.result, each.remedy) for each in lines] == [
            ("fault", "End what listens there, or name another place in PIPETEST_LISTEN"),
            ("fault", "Correct PIPETEST_LISTEN"),
            ("fault", "Correct PIPETEST_LISTEN"),
        ]
        (beside,) = [each.result async for each in check_listeners([at], reactor, daemon_runs=True)]
        assert beside == "ok"
    gc.collect()


@pytest.mark.parametrize(
    ("me", "results"),
    [
        (None, ["ok"]),
        (Me(1, "Ada", "antonsawesomecompany", True), ["ok"]),
        (Me(1, "Ada", "AntonsAwesomeCompany", 0), ["ok"]),
        (Me(1, "Ada", "another", 1), ["ok", "fault"]),
        (Me(1, 7, 7, "x"), ["ok"]),
    ],
)
def test_a_key_of_another_company_is_a_fault(me: Me | None, results: list[str]) -> None:
    assert [line.result for line in whose(me, settings("tinydb:x"))] == results
