"""``pipetest copy`` copies as ``python -m pipetest.store.copy`` does."""

import json
import shutil
from pathlib import Path

import pytest

from pipetest.domain.model import Secret
from tests.support.command import run_alone

SAMPLE = Path(__file__).parents[1] / "store" / "tinydb" / "samples" / "format-1.json"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    shutil.copy(SAMPLE, tmp_path / "db.json")
    return tmp_path / "db.json"


def test_a_database_is_copied_to_where_a_file_says(path: Path, database: Secret) -> None:
    (path.parent / "url").write_text(f"{database.reveal()}\n")
    there = run_alone("copy", f"tinydb:{path}", "@url", "--json", cwd=path.parent)
    assert (there.status, json.loads(there.out)["gists"]) == (0, 5)
    back = run_alone("copy", "@url", "tinydb:back.json", cwd=path.parent)
    assert (back.status, "copied and compared: 2 users, 5 gists" in back.out) == (0, True)


@pytest.mark.parametrize(
    ("given", "other", "said"),
    [
        ("tinydb:none.json", "postgresql://x:pa55@127.0.0.1:1/x", "none.json does not exist"),
        ("tinydb:db.json", "tinydb:other.json", "FROM and TO are of one kind"),
        ("nonsense", "tinydb:x", "FROM: expected tinydb:PATH or postgresql://"),
        ("@none", "tinydb:x", "FROM: cannot read none: No such file or directory"),
        ("tinydb:db.json", "postgresql://x:pa55@127.0.0.1:1/x", "Nothing was copied."),
    ],
)
def test_what_cannot_be_copied_is_told_in_one_line(given: str, other: str, said: str, path: Path) -> None:
    ran = run_alone("copy", given, other, cwd=path.parent)
    assert (ran.status, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert said in ran.err
    assert "pa55" not in ran.err
