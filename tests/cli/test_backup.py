"""``pipetest backup`` says what it did, or what to do."""

import json
import shutil
from pathlib import Path

import pytest

from tests.support.command import run_alone

SAMPLE = Path(__file__).parents[1] / "store" / "tinydb" / "samples" / "format-1.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Has a database where it is by default."""
    (tmp_path / "db").mkdir()
    shutil.copy(SAMPLE, tmp_path / "db" / "db.json")
    return tmp_path


def test_people_and_programs_are_told_what_was_backed_up(folder: Path) -> None:
    ran = run_alone("backup", "b.json", cwd=folder)
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith(f"{folder}/db/db.json, with ")
    assert ran.out.endswith(f" is backed up as {folder}/b.json\n")
    told = json.loads(run_alone("backup", "b.json", "--json", cwd=folder).out)
    assert told["database"] == f"{folder}/db/db.json"
    assert told["gists"] > 0


@pytest.mark.parametrize(
    ("file", "settings", "said"),
    [
        ("b.json", {"DATABASE_URL": "tinydb:none.json"}, "none.json does not exist"),
        ("b.json", {"DATABASE_URL": "nonsense"}, "PIPETEST_DATABASE_URL: expected tinydb:PATH"),
        ("db/db.json", {}, "is a file of the database itself. Name another one for its backup."),
        ("nowhere/b.json", {}, "nowhere/b.json: No such file or directory; nothing was backed up"),
    ],
)
def test_what_cannot_be_backed_up_is_told_in_one_line(
    file: str, settings: dict[str, str], said: str, folder: Path
) -> None:
    ran = run_alone("backup", file, cwd=folder, **settings)
    assert (ran.status, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert said in ran.err


def test_for_postgres_it_says_what_to_run_without_the_password(folder: Path) -> None:
    ran = run_alone("backup", "my file", cwd=folder, DATABASE_URL="postgresql://pipetest:pa55@db.example.com/pipetest")
    assert (ran.status, ran.out) == (2, "")
    assert "pg_dump --format=custom --schema=pipetest --file='my file' DATABASE" in ran.err
    assert "pa55" not in ran.err
