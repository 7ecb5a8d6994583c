"""The store on a real folder, with real processes."""

import errno
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from tinydb import TinyDB
from twisted.internet.task import Clock

from pipetest.domain.errors import DatabaseRefused
from pipetest.domain.model import Gist, PassResult
from pipetest.store.tinydb.disk import FolderDisk
from pipetest.store.tinydb.generations import WRITE_BYTES
from pipetest.store.tinydb.group_commit import RETRY_FIRST_S, RETRY_LONGEST_S
from pipetest.store.tinydb.store import TinyStore
from tests.support.results import result_of
from tests.support.simulated_disk import run
from tests.support.store.machine import begun
from tests.support.store.worlds import ROOTS

NOBODY = 65534


def opened(path: Path, clock: Clock | None = None) -> TinyStore:
    store = TinyStore(FolderDisk(str(path)), run, clock or Clock(), roots=ROOTS)
    store.open()
    return store


def found(*gist_ids: str) -> PassResult:
    return PassResult("ada", 7, None, [Gist(gist_id, 1.0) for gist_id in gist_ids])


@contextmanager
def process(path: Path) -> Iterator["subprocess.Popen[str]"]:
    """One that holds the database and changes it without end, until it is killed."""
    command = [sys.executable, "-m", "tests.support.store.process", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        yield running
        running.kill()


def test_the_files_are_for_their_owner_only(tmp_path: Path) -> None:
    store = opened(tmp_path / "db.json")
    result_of(store.put_value("paused", True))
    assert {path.name for path in tmp_path.iterdir()} == {"db.json", "db.json.previous", "db.json.lock"}
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    result_of(store.close())


def test_tinydb_itself_can_read_the_file(tmp_path: Path) -> None:
    store = opened(tmp_path / "db.json")
    result_of(store.add_gists(found("one", "two")))
    result_of(store.add_gists(PassResult("bob", 8, None, [])))
    result_of(store.adopt({"three": 3, "four": 4}))
    result_of(store.close())
    with TinyDB(tmp_path / "db.json", access_mode="r") as db:
        assert [(row.doc_id, row["gists"]) for row in db.table("users")] == [(1, ["one", "two"]), (2, [])]
        assert [(row.doc_id, row["gist"]) for row in db.table("gists")] == [(1, "one"), (2, "two")]
        assert [(row.doc_id, row["gist"]) for row in db.table("found_deals")] == [(1, "three"), (2, "four")]


def test_a_second_process_is_refused_in_one_line_that_names_the_database(tmp_path: Path) -> None:
    store = opened(tmp_path / "db.json")
    with process(tmp_path / "db.json") as second:
        _, output = second.communicate()
    assert (second.returncode, output) == (
        1,
        f"{tmp_path}/db.json is in use by another process: stop that one, or give this one a database of its own\n",
    )
    result_of(store.close())


def test_a_process_killed_while_it_writes_has_stored_what_it_acknowledged(tmp_path: Path) -> None:
    random = Random(0)
    for _ in range(4):
        with process(tmp_path / "db.json") as running:
            assert running.stdout is not None
            for _ in range(random.randint(1, 60)):
                acknowledged = running.stdout.readline()
            running.send_signal(signal.SIGKILL)
        store = opened(tmp_path / "db.json")
        assert result_of(store.feed_length()) >= int(acknowledged)
        result_of(store.close())


@pytest.mark.parametrize("come_again", [False, True])
def test_a_folder_that_disappears_is_a_failed_commit_and_no_new_database(tmp_path: Path, come_again: bool) -> None:
    clock, folder = Clock(), tmp_path / "db"
    store = opened(folder / "db.json", clock)
    shutil.rmtree(folder)
    if come_again:
        folder.mkdir()
    kept = begun(store.put_value("paused", True))
    clock.advance(RETRY_LONGEST_S)
    reason = "its folder was replaced by another" if come_again else "No such file or directory"
    assert store.problem == f"{folder}/db.json: {reason}"
    assert (kept.called, list(tmp_path.rglob("*.json"))) == (False, [])
    result_of(store.close())


def test_another_database_in_the_folders_place_is_not_overwritten(tmp_path: Path) -> None:
    folder, other = tmp_path / "db", tmp_path / "other"
    for path in (folder, other):
        result_of(opened(path / "db.json").close())
    store = opened(folder / "db.json")
    before = (other / "db.json").read_bytes()
    folder.rename(tmp_path / "elsewhere")
    other.rename(folder)
    kept = begun(store.put_value("paused", True))
    assert (kept.called, (folder / "db.json").read_bytes()) == (False, before)
    assert store.problem == f"{folder}/db.json: its folder was replaced by another"
    result_of(store.close())


def test_a_folder_that_was_away_heals_when_it_is_back(tmp_path: Path) -> None:
    clock, folder = Clock(), tmp_path / "db"
    store = opened(folder / "db.json", clock)
    folder.rename(tmp_path / "elsewhere")
    kept = begun(store.put_value("paused", True))
    assert store.problem is not None
    (tmp_path / "elsewhere").rename(folder)
    clock.advance(RETRY_LONGEST_S)
    assert (bool(store.problem), kept.called) == (False, True)
    result_of(store.close())


# --- links and mounts -------------------------------------------------------------------------------------------------


def test_a_symbolic_link_stays_one_and_its_target_is_what_is_written(tmp_path: Path) -> None:
    volume, link = tmp_path / "volume", tmp_path / "db" / "db.json"
    volume.mkdir()
    link.parent.mkdir()
    link.symlink_to("../volume/db.json")
    store = opened(link)
    result_of(store.put_value("paused", True))
    assert link.is_symlink()
    assert [path.name for path in link.parent.iterdir()] == ["db.json"]
    assert sorted(path.name for path in volume.iterdir()) == ["db.json", "db.json.lock", "db.json.previous"]
    result_of(store.close())
    store = opened(volume / "db.json")
    assert result_of(store.get_value("paused", bool)) is True
    result_of(store.close())


@pytest.mark.parametrize("linked", ["file", "folder"])
def test_a_second_name_of_a_database_is_refused_while_the_first_is_open(tmp_path: Path, linked: str) -> None:
    first, second = tmp_path / "db" / "db.json", tmp_path / "link" / "db.json"
    store = opened(first)
    if linked == "folder":
        second.parent.symlink_to(first.parent)
    else:
        second.parent.mkdir()
        second.symlink_to(first)
    with pytest.raises(DatabaseRefused, match="in use by another process"):
        opened(second)
    result_of(store.close())


def test_a_file_with_several_hard_links_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    result_of(opened(tmp_path / "db.json").close())
    (tmp_path / "db.json.previous").unlink(missing_ok=True)
    (tmp_path / "other.json").hardlink_to(tmp_path / "db.json")
    with pytest.raises(DatabaseRefused, match=r"db\.json has 2 hard links.*: remove the others, or copy the file"):
        opened(tmp_path / "db.json")
    assert (tmp_path / "db.json").samefile(tmp_path / "other.json")


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "db.json")
    with pytest.raises(DatabaseRefused, match="is no file"):
        opened(tmp_path / "db.json")


def test_a_link_that_leads_elsewhere_by_now_is_a_failed_commit(tmp_path: Path) -> None:
    link, clock = tmp_path / "db.json", Clock()
    link.symlink_to(tmp_path / "one" / "db.json")
    store = opened(link, clock)
    link.unlink()
    link.symlink_to(tmp_path / "two" / "db.json")
    (tmp_path / "two").mkdir()
    kept = begun(store.put_value("paused", True))
    assert (kept.called, list((tmp_path / "two").iterdir())) == (False, [])
    assert store.problem is not None
    link.unlink()
    link.symlink_to(tmp_path / "one" / "db.json")
    clock.advance(RETRY_LONGEST_S)
    assert (bool(store.problem), kept.called) == (False, True)
    result_of(store.close())


def test_a_lock_file_that_was_removed_is_made_anew_and_keeps_others_away(tmp_path: Path) -> None:
    store = opened(tmp_path / "db.json")
    (tmp_path / "db.json.lock").unlink()
    result_of(store.put_value("paused", True))
    with pytest.raises(DatabaseRefused, match="in use by another process"):
        opened(tmp_path / "db.json")
    result_of(store.close())


def test_a_database_that_another_process_got_after_its_lock_file_was_removed_is_left_to_that(tmp_path: Path) -> None:
    store = opened(tmp_path / "db.json")
    (tmp_path / "db.json.lock").unlink()
    other = opened(tmp_path / "db.json")
    kept = begun(store.put_value("paused", True))
    assert (kept.called, bool(store.problem)) == (False, True)
    result_of(other.put_value("paused", False))
    result_of(store.close())
    result_of(other.close())


def test_a_lock_that_another_process_had_for_a_while_heals_once_it_is_free(tmp_path: Path) -> None:
    clock, lock = Clock(), tmp_path / "db.json.lock"
    store = opened(tmp_path / "db.json", clock)
    lock.unlink()
    with lock.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        kept = begun(store.put_value("paused", True))
        clock.advance(RETRY_FIRST_S)
        assert (kept.called, store.problem) == (False, f"{tmp_path}/db.json: another process has it by now")
    clock.advance(RETRY_LONGEST_S)
    assert (bool(store.problem), kept.called) == (False, True)
    result_of(store.close())


@pytest.mark.parametrize("new", [True, False], ids=["new", "old"])
def test_a_folder_that_cannot_be_flushed_to_disk_is_refused_at_the_start_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new: bool
) -> None:
    if not new:
        result_of(opened(tmp_path / "db.json").close())
    fsync = os.fsync

    def of_files_alone(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", of_files_alone)
    with pytest.raises(DatabaseRefused, match=r"^[^\n]*db\.json cannot be used: .*on another one$"):
        opened(tmp_path / "db.json")


MOUNTED = """
import sys
from pathlib import Path
from subprocess import run

from twisted.internet.task import Clock

from pipetest.domain.errors import DatabaseRefused
from tests.store.tinydb.test_folder import begun, opened, result_of

place, image, RETRY_S = Path(sys.argv[1]), sys.argv[2], 60.0


def mount(*what):
    run(["mount", *what], check=True)
"""
"""In a namespace of its own, which needs root."""

REMOUNTED = f"""{MOUNTED}
clock = Clock()
mount("-o", "loop", image, place)
store = opened(place / "db.json", clock)
run(["umount", "--lazy", place], check=True)
kept = begun(store.put_value("paused", True))
assert not kept.called and store.problem, store.problem
mount("-o", "loop", image, place)
clock.advance(RETRY_S)
assert kept.called and store.problem is None, store.problem
result_of(store.close())
store = opened(place / "db.json")
assert result_of(store.get_value("paused", bool)) is True
"""

MOUNTED_ALONE = f"""{MOUNTED}
result_of(opened(Path(image).with_name("one.json")).close())
file = place / "db.json"
file.touch()
mount("--bind", Path(image).with_name("one.json"), file)
try:
    opened(file)
except DatabaseRefused as e:
    assert "mount its folder" in str(e), e
    assert not (place / "db.json.new").exists()
else:
    raise AssertionError
"""


@pytest.mark.parametrize("script", [REMOUNTED, MOUNTED_ALONE], ids=["goes_on_once_mounted_again", "refused_alone"])
def test_a_volume(tmp_path: Path, script: str) -> None:
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    place, image = tmp_path / "place", tmp_path / "image"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    command = ["unshare", "--mount", sys.executable, "-c", script, str(place), str(image)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr


@contextmanager
def unprivileged() -> Iterator[None]:
    """As somebody whom permissions bind."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that everybody reaches, unlike pytest's."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)
        Path(folder).chmod(0o777)


@pytest.mark.parametrize("name", ["db.json", "db.json.lock"])
def test_a_file_that_somebody_else_made_is_named(shared: Path, name: str) -> None:
    """As after a first start as root."""
    with unprivileged():
        result_of(opened(shared / "db.json").close())
    (shared / name).chmod(0)
    with unprivileged(), pytest.raises(DatabaseRefused, match=f"to own its files: see {name}$"):
        opened(shared / "db.json")


def test_a_folder_that_cannot_be_written_is_refused_at_the_start(shared: Path) -> None:
    with unprivileged():
        result_of(opened(shared / "db.json").close())
    shared.chmod(0o555)
    with unprivileged(), pytest.raises(DatabaseRefused) as caught:
        opened(shared / "db.json")
    assert str(caught.value).startswith(f"{shared}/db.json cannot be used: Permission denied; user ")


def test_a_folder_that_turns_read_only_is_a_failed_commit(shared: Path) -> None:
    clock = Clock()
    with unprivileged():
        store = opened(shared / "db.json", clock)
    shared.chmod(0o555)
    with unprivileged():
        kept = begun(store.put_value("paused", True))
    assert store.problem == f"{shared}/db.json: Permission denied"
    shared.chmod(0o777)
    clock.advance(RETRY_LONGEST_S)
    assert (bool(store.problem), kept.called) == (False, True)
    result_of(store.close())


def test_a_lock_that_cannot_be_had_is_refused(tmp_path: Path) -> None:
    (tmp_path / "db.json.lock").mkdir()
    with pytest.raises(DatabaseRefused, match=r"db\.json cannot be used: Is a directory"):
        opened(tmp_path / "db.json")


def test_a_path_that_cannot_be_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "db").touch()
    with pytest.raises(DatabaseRefused, match=r"used: Not a directory; give the database another path$"):
        opened(tmp_path / "db" / "db.json")


def test_a_folder_that_was_deleted_while_somebody_is_in_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(DatabaseRefused, match=r"^db\.json: the folder in which pipetest is started was deleted"):
        FolderDisk("db.json")


def test_a_file_of_several_writes_is_read_as_one(tmp_path: Path) -> None:
    gist_ids = [f"gist {number:032}" for number in range(20_000)]
    store = opened(tmp_path / "db.json")
    result_of(store.add_gists(found(*gist_ids)))
    result_of(store.close())
    assert (tmp_path / "db.json").stat().st_size > 2 * WRITE_BYTES
    store = opened(tmp_path / "db.json")
    assert result_of(store.feed(0, 30_000)) == gist_ids
    result_of(store.close())


def test_a_path_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "db.json").mkdir()
    with pytest.raises(DatabaseRefused, match=r"db\.json cannot be used: Is a directory"):
        opened(tmp_path / "db.json")


@pytest.mark.parametrize("suffix", [".lock", ".new"])
def test_a_folder_where_another_file_of_the_database_belongs_is_named(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"db.json{suffix}").mkdir()
    with pytest.raises(DatabaseRefused, match=rf"Is a directory; move db\.json{suffix} away"):
        opened(tmp_path / "db.json")
