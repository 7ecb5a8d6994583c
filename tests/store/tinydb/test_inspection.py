"""A database can be looked at beside the daemon that has it: nothing is made, and nothing is in the daemon's way."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from pipetest.domain.errors import DatabaseRefused
from pipetest.domain.model import Gist, PassResult
from pipetest.store.tinydb.disk import FolderDisk
from pipetest.store.tinydb.inspection import Snapshot
from pipetest.store.tinydb.store import TinyStore
from tests.support.results import result_of
from tests.support.simulated_disk import run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db" / "db.json"


def opened(path: Path) -> TinyStore:
    store = TinyStore(FolderDisk(str(path)), run, Clock(), roots={"GitHub": "https://api.github.com"})
    store.open()
    return store


@pytest.fixture
def store(path: Path) -> Iterator[TinyStore]:
    """A database with a gist, and a previous generation without it, held by a daemon."""
    store = opened(path)
    result_of(store.add_gists(PassResult("ada", 1, None, [Gist("one", 1.0)])))
    yield store
    result_of(store.close())


def test_a_database_is_in_use_while_a_daemon_has_it(store: TinyStore, path: Path) -> None:
    assert [Snapshot(path).in_use() for _ in range(2)] == [True, True]
    result_of(store.close())
    assert not Snapshot(path).in_use()


def test_who_looks_keeps_out_neither_others_who_look_nor_afterwards_a_daemon(store: TinyStore, path: Path) -> None:
    result_of(store.close())
    with path.with_name("db.json.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        assert not Snapshot(path).in_use()
    result_of(opened(path).close())


def test_where_there_is_nothing_a_start_would_make_a_new_database_and_a_look_makes_none(path: Path) -> None:
    snapshot = Snapshot(path)
    found = snapshot.find({})
    assert (snapshot.in_use(), found.suffix, found.memory.unreconciled) == (False, None, True)
    assert not path.parent.exists()


def test_what_a_daemon_has_stored_is_found_through_a_link_too(store: TinyStore, path: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(path)
    snapshot = Snapshot(tmp_path / "link")
    found = snapshot.find({"GitHub": "https://api.github.com"})
    assert (found.suffix, found.memory.feed.slice(0, 9)) == ("", ["one"])
    assert (snapshot.path, snapshot.folder, snapshot.in_use()) == (str(path), path.parent, True)


class BetweenRenames(Snapshot):
    """Looks when a commit has renamed the current generation, and not yet put the new one in its place; that happens
    before the second look."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._new = path.rename(path.with_name("new"))
        self._looked = False

    def at(self, suffix: str) -> Path:
        if self._looked and self._new.exists():
            self._new.rename(self.path)
        self._looked = True
        return super().at(suffix)


def test_a_look_between_the_two_renames_of_a_commit_finds_the_new_generation(store: TinyStore, path: Path) -> None:
    assert BetweenRenames(path).find({}).suffix == ""


def test_the_previous_generation_is_found_where_the_current_one_stays_away(store: TinyStore, path: Path) -> None:
    path.unlink()
    found = Snapshot(path).find({})
    assert (found.suffix, found.memory.feed.length) == (".previous", 0)


def test_what_a_start_would_refuse_is_refused(store: TinyStore, path: Path) -> None:
    with pytest.raises(DatabaseRefused, match=r"db\.json belongs to GitHub at https://api\.github\.com, and"):
        Snapshot(path).find({"GitHub": "https://github.example"})
    path.with_name("other.json").hardlink_to(path)
    with pytest.raises(DatabaseRefused, match=rf"^{path} has 2 hard links"):
        Snapshot(path).find({})
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DatabaseRefused, match=rf"^{path} is no file"):
        Snapshot(path).find({})
