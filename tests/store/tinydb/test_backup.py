"""A backup is whole, whatever the daemon does meanwhile, and a start on it knows that it is one."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from pipetest.domain.errors import DatabaseRefused
from pipetest.domain.model import Done, Gist, Organization, OrganizationChange, PassResult
from pipetest.store.tinydb.backup import Backup, back_up
from pipetest.store.tinydb.disk import FolderDisk
from pipetest.store.tinydb.store import TinyStore
from tests.support.results import result_of
from tests.support.simulated_disk import run


def opened(path: Path) -> TinyStore:
    store = TinyStore(FolderDisk(str(path)), run, Clock(), roots={})
    store.open()
    return store


def add(store: TinyStore, *gists: str) -> None:
    result_of(store.add_gists(PassResult("ada", 1, None, [Gist(gist, 1.0) for gist in gists])))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db" / "db.json"


@pytest.fixture
def store(path: Path) -> Iterator[TinyStore]:
    """A reconciled database with two gists, held by a daemon."""
    store = opened(path)
    add(store, "a1", "b2")
    result_of(store.save(OrganizationChange("ada", Organization(Done(7), 5.0))))
    result_of(store.mark_reconciled())
    yield store
    result_of(store.close())


def test_a_backup_holds_everything_and_counts_as_unreconciled(store: TinyStore, path: Path, tmp_path: Path) -> None:
    made = back_up(path, tmp_path / "backup.json")
    assert made == Backup(str(path), str(tmp_path / "backup.json"), users=1, gists=2)
    copy = opened(tmp_path / "backup.json")
    assert list(result_of(copy.feed(0, 9))) == ["a1", "b2"]
    assert copy.unreconciled
    (user,) = result_of(copy.users())
    assert user.organization == Organization(Done(7), None)
    result_of(copy.close())


def test_a_start_on_a_backup_says_that_it_is_one(store: TinyStore, path: Path, tmp_path: Path) -> None:
    back_up(path, tmp_path / "backup.json")
    with capturedLogs() as events:
        copy = opened(tmp_path / "backup.json")
    assert [event["event"] for event in events] == ["database_prepared"]
    result_of(copy.mark_reconciled())
    result_of(copy.close())
    with capturedLogs() as events:
        result_of(opened(tmp_path / "backup.json").close())
    assert events == []


def test_the_database_itself_stays_as_it_was(store: TinyStore, path: Path, tmp_path: Path) -> None:
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    back_up(path, tmp_path / "backup.json")
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before
    assert not store.unreconciled


def test_a_backup_beside_a_storm_of_commits_holds_what_was_acknowledged(
    store: TinyStore, path: Path, tmp_path: Path
) -> None:
    acknowledged, ended = ["a1", "b2"], Event()

    def commit() -> None:
        for number in range(300):
            if not ended.is_set():
                add(store, f"storm{number}")
                acknowledged.append(f"storm{number}")

    storm = Thread(target=commit)
    storm.start()
    try:
        for _ in range(40):
            before = len(acknowledged)
            made = back_up(path, tmp_path / "backup.json")
            assert before <= made.gists <= len(acknowledged) + 1
    finally:
        ended.set()
        storm.join()


def test_only_its_owner_may_read_a_backup(store: TinyStore, path: Path, tmp_path: Path) -> None:
    (tmp_path / "backup.json").write_text("an earlier one")
    (tmp_path / "backup.json").chmod(0o644)
    back_up(path, tmp_path / "backup.json")
    assert stat.S_IMODE((tmp_path / "backup.json").stat().st_mode) == 0o600
    assert sorted(file.name for file in tmp_path.iterdir()) == ["backup.json", "db"]


def test_all_of_a_backup_is_on_disk_before_it_gets_its_name(
    store: TinyStore, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[int, list[str]]] = []

    def fsync(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_size, sorted(file.name for file in tmp_path.iterdir())))

    monkeypatch.setattr(os, "fsync", fsync)
    back_up(path, tmp_path / "backup.json")
    (size, (new, _)), (_, names) = synced
    assert (size, names) == ((tmp_path / "backup.json").stat().st_size, ["backup.json", "db"])
    assert new.startswith("backup.json.")


@pytest.mark.parametrize("name", ["db.json", "db.json.previous", "db.json.new", "db.json.lock"])
def test_the_databases_own_files_are_not_written_over(store: TinyStore, path: Path, name: str) -> None:
    add(store, "c3")
    (path.parent / "link").symlink_to(path.parent / name)
    for target in (path.parent / name, path.parent / "link"):
        with pytest.raises(DatabaseRefused, match="a file of the database itself"):
            back_up(path, target)


def test_what_is_no_file_is_not_replaced_by_a_backup(store: TinyStore, path: Path, tmp_path: Path) -> None:
    """As ``/dev/null`` would be, by root."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DatabaseRefused, match="is no file"):
        back_up(path, tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()


def test_without_a_database_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(DatabaseRefused, match="does not exist"):
        back_up(tmp_path / "db.json", tmp_path / "backup.json")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_database_leaves_an_earlier_backup_as_it_was(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    path.write_text("{")
    (tmp_path / "backup.json").write_text("an earlier one")
    with pytest.raises(DatabaseRefused, match="is damaged"):
        back_up(path, tmp_path / "backup.json")
    assert (tmp_path / "backup.json").read_text() == "an earlier one"


def test_the_older_services_database_is_not_taken_for_ours(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{"users": {"1": {"username": "ada", "gists": ["a1"]}}}')
    with pytest.raises(DatabaseRefused, match="older service"):
        back_up(path, tmp_path / "backup.json")


def test_where_it_cannot_be_written_nothing_is_left_behind(store: TinyStore, path: Path, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        back_up(path, tmp_path / "nowhere" / "backup.json")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="directory"):
        back_up(path, tmp_path / "folder")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["db", "folder"]
