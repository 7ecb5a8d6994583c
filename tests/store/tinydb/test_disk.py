"""A folder on a real disk, and the simulated one that stands in for it: the same contract."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from pipetest.domain.errors import DatabaseRefused
from pipetest.store.tinydb.disk import Disk, FolderDisk
from tests.support.simulated_disk import SimDisk


class Disks:
    """Disks on the same files, as one process after the other sees them."""

    def __init__(self, kind: str, path: Path) -> None:
        self._path = str(path / "made" / "on the way" / "db.json")
        self._machine = SimDisk(Random(0)) if kind == "simulated" else None

    def another(self) -> Disk:
        return FolderDisk(self._path) if self._machine is None else self._machine.folder()


@pytest.fixture(params=["folder", "simulated"])
def disks(request: pytest.FixtureRequest, tmp_path: Path) -> Disks:
    return Disks(request.param, tmp_path)


@pytest.fixture
def disk(disks: Disks) -> Iterator[Disk]:
    disk = disks.another()
    disk.open()
    yield disk
    disk.close()


def put(disk: Disk, suffix: str, *chunks: bytes) -> None:
    file = disk.create(suffix)
    for chunk in chunks:
        file.write(chunk)
    file.sync()
    file.close()


def test_what_is_written_is_read(disk: Disk) -> None:
    put(disk, ".new", b"one", b"", b"two")
    assert (disk.exists(".new"), disk.read(".new")) == (True, b"onetwo")
    assert (disk.exists(""), disk.read("")) == (False, None)


def test_a_new_file_replaces_the_old_one_from_its_start(disk: Disk) -> None:
    put(disk, ".new", b"the first one")
    put(disk, ".new", b"second")
    assert disk.read(".new") == b"second"


def test_a_renamed_file_replaces_what_was_there(disk: Disk) -> None:
    put(disk, "", b"old")
    put(disk, ".new", b"new")
    disk.rename(".new", "")
    disk.sync()
    assert (disk.read(""), disk.exists(".new")) == (b"new", False)


def test_what_is_removed_is_gone_and_may_be_removed_again(disk: Disk) -> None:
    put(disk, ".new", b"new")
    disk.remove(".new")
    disk.remove(".new")
    assert not disk.exists(".new")


def test_one_process_at_a_time_has_it(disks: Disks, disk: Disk) -> None:
    second = disks.another()
    with pytest.raises(DatabaseRefused, match=r"db\.json is in use by another process"):
        second.open()
    put(disk, "", b"mine")
    disk.close()
    second.open()
    assert second.read("") == b"mine"
    second.close()
