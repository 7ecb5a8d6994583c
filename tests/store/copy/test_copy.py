"""``python -m pipetest.store.copy``: all of a database, from one kind of store to the other and back."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from pipetest.domain.errors import DatabaseRefused
from pipetest.domain.model import (
    DealChange,
    Done,
    Gist,
    Organization,
    OrganizationChange,
    PassResult,
    Quarantined,
    Secret,
    Sent,
    Text,
)
from pipetest.store.copy.__main__ import main
from pipetest.store.copy.content import About, Row, Source
from pipetest.store.copy.copying import copy, open_both
from pipetest.store.copy.postgres import PostgresSource
from pipetest.store.copy.tiny import TinySource
from pipetest.store.postgres import migrations
from pipetest.store.postgres.connection import READING, Database
from pipetest.store.tinydb.disk import FolderDisk
from pipetest.store.tinydb.format import FOUND_DEALS, GISTS, SESSIONS, USERS
from pipetest.store.tinydb.store import TinyStore
from tests.support.postgres.server import Server
from tests.support.processes import Process, clean_environment
from tests.support.results import result_of
from tests.support.simulated_disk import run
from tests.support.store.worlds import ROOTS

MEDDLING = """
    CREATE FUNCTION pipetest.meddle() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.shown := NEW.shown + 1; RETURN NEW; END $$;
    CREATE TRIGGER meddling BEFORE INSERT ON pipetest.sessions FOR EACH ROW EXECUTE FUNCTION pipetest.meddle()
"""

Content = tuple[About, list[list[Row]]]

GISTS_OF_ADA = [Gist(f"gist{number}", 1_700_000_000.1234567 + number) for number in range(3_000)]


BEFORE_ALL_DATES = Gist("ancient", datetime(1, 1, 1, tzinfo=UTC).timestamp() - 3600.0)
"""As version 1.0.0 may have recorded one, of the year 1 in a zone east of Greenwich."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with something of everything."""
    path = tmp_path / "db" / "db.json"
    store = TinyStore(FolderDisk(str(path)), run, Clock(), roots=ROOTS)
    store.open()
    result_of(store.add_gists(PassResult("ada", 7, '"etag"', GISTS_OF_ADA, 5.000001)))
    result_of(store.add_gists(PassResult("Bob", None, None, [Gist("one", 0.0), Gist("two", 2.0)])))
    said = Text('Äda\'s "last"\u202a', ("a b.py", "ü.md"))
    result_of(store.add_gists(PassResult("ada", 7, None, [Gist("last", 3.0, said), Gist("silent", 4.0, Text())])))
    result_of(store.add_gists(PassResult("cyd", 9, None, [Gist("old", 1.0), Gist("new", 3.0)], 4.0, wanted_since=2.0)))
    result_of(store.add_gists(PassResult("eve", 8, None, [BEFORE_ALL_DATES])))
    result_of(store.save(OrganizationChange("ada", Organization(Done(5), reconciled_at=7.0))))
    result_of(store.save(OrganizationChange("bob", Organization(Quarantined("n\0 name", 1.25, True, 400, "n\0")))))
    result_of(store.save(DealChange("gist0", Done(1)), DealChange("gist1", Done(None)), DealChange("gist2", Sent())))
    result_of(
        store.save(
            DealChange("one", Quarantined("no", 1.5, status=422, code="NO")),
            DealChange("two", Quarantined("no", 1.5, sent=True)),
        )
    )
    result_of(store.put_value("quota", {"used": 1.5, "days": ["a", None]}))
    result_of(store.mark_reconciled())
    result_of(store.adopt({"two of ada's": 22, "Äda's": 21, "gist3": 20}))
    for session in ("b", "Ä", "a"):
        result_of(store.advance_session(session, 9, 1_700_000_000.75))
    result_of(store.resume_session("a", 1_700_000_001.0))
    result_of(store.close())
    return path


@contextmanager
def held(path: Path) -> Iterator[None]:
    """A process that has it open."""
    argv = (sys.executable, "-m", "tests.support.store.process", str(path))
    with Process(*argv, env=clean_environment(), cwd=Path(__file__).parents[3]) as process:
        process.line("^1$")
        yield


def tiny_content(path: Path) -> Content:
    return content(TinySource(path))


def content(source: Source) -> Content:
    try:
        return source.about(), [list(source.rows(table)) for table in (USERS, GISTS, SESSIONS, FOUND_DEALS)]
    finally:
        source.close()


class Interrupted:
    """A source whose reader presses Ctrl-C after so many rows: each is read twice, to be copied and to be compared."""

    def __init__(self, source: Source, after: int) -> None:
        self._source = source
        self._left = after
        self.name, self.counts, self.about, self.close = source.name, source.counts, source.about, source.close

    def rows(self, table: str) -> Iterator[Row]:
        for row in self._source.rows(table):
            if self._left == 0:
                raise KeyboardInterrupt
            self._left -= 1
            yield row


def test_all_of_it_goes_to_postgresql_and_back(
    path: Path, database: Secret, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there, back = f"tinydb:{path}", f"tinydb:{tmp_path / 'back.json'}"
    assert main(there, database.reveal()) is None
    assert capsys.readouterr().out == "copied and compared: 4 users, 3,007 gists, 3 sessions, 2 found deals\n"
    assert main(database.reveal(), back) is None
    assert tiny_content(tmp_path / "back.json") == content(PostgresSource(database)) == tiny_content(path)


def test_a_copy_is_as_careful_as_a_new_database(path: Path, database: Secret, server_of_all: Server) -> None:
    """Whatever was done with the original since, nothing is made twice."""
    assert main(f"tinydb:{path}", database.reveal()) is None
    with server_of_all.connect(database) as onlooker:
        (row,) = onlooker.execute("SELECT unmarked, (SELECT count(listed_at) FROM pipetest.users) FROM pipetest.about")
    assert row == (True, 0)


def test_a_database_that_a_daemon_holds_is_refused(path: Path, database: Secret, server_of_all: Server) -> None:
    with held(path.with_name("held.json")):
        refusal = main(f"tinydb:{path.with_name('held.json')}", database.reveal())
        assert refusal is not None
        assert "in use" in refusal
    assert main(f"tinydb:{path}", database.reveal()) is None
    holder = PostgresSource(database)
    for given in ((database.reveal(), f"tinydb:{path}2"), (f"tinydb:{path}", database.reveal())):
        refusal = main(*given)
        assert refusal is not None
        assert "is in use: stop every instance" in refusal
    holder.close()


def test_a_target_that_holds_something_is_refused(path: Path, database: Secret) -> None:
    assert main(f"tinydb:{path}", database.reveal()) is None
    refusals = [main(f"tinydb:{path}", database.reveal()), main(database.reveal(), f"tinydb:{path}")]
    assert "is not empty" in str(refusals[0])
    assert "exists: move it away" in str(refusals[1])
    assert "unprintable" not in str(refusals)


def test_an_interrupted_copy_leaves_nothing_and_can_be_begun_again(path: Path, database: Secret) -> None:
    for rows in (0, 1, 2_500, 3_010, 6_000):
        source, target = open_both(f"tinydb:{path}", database.reveal())
        with pytest.raises(KeyboardInterrupt):
            copy(Interrupted(source, rows), target)
        target.close()
        source.close()
    assert main(f"tinydb:{path}", database.reveal()) is None


def test_the_half_written_file_of_a_killed_copy_is_not_in_the_way(path: Path, database: Secret, tmp_path: Path) -> None:
    assert main(f"tinydb:{path}", database.reveal()) is None
    target = tmp_path / "killed.json"
    (tmp_path / "killed.json.new").write_text("half of")
    assert main(database.reveal(), f"tinydb:{target}") is None
    assert tiny_content(target) == tiny_content(path)


def test_a_copy_that_differs_from_its_source_is_not_kept(path: Path, database: Secret) -> None:
    with Database(database).connect(READING) as onlooker:
        migrations.migrate(onlooker, "")
        onlooker.execute(MEDDLING)
        assert "does not hold what" in str(main(f"tinydb:{path}", database.reveal()))
        onlooker.execute("DROP TRIGGER meddling ON pipetest.sessions")
    assert main(f"tinydb:{path}", database.reveal()) is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("tinydb:a",), "usage"),
        (("tinydb:a", "tinydb:b"), "of one kind"),
        (("mysql://x", "tinydb:b"), r"FROM: expected tinydb:PATH or postgresql"),
        (("tinydb:/nowhere/db.json", "postgresql://me:unprintable@127.0.0.1:1/db"), "/nowhere/db.json does not exist"),
        (("postgresql://me:unprintable@127.0.0.1:1/db", "tinydb:b"), "refused"),
        (("postgresql://me:unprintable@127.0.0.1:x/db", "tinydb:b"), "port"),
        (("@/nowhere/url", "tinydb:b"), "FROM: cannot read /nowhere/url"),
    ],
)
def test_what_cannot_be_copied_is_refused_in_one_line_without_a_password(given: tuple[str, ...], expected: str) -> None:
    refusal = main(*given)
    assert refusal is not None
    assert expected in refusal
    assert "\n" not in refusal
    assert "unprintable" not in refusal


def test_a_url_can_be_read_from_a_file_and_each_table_is_reported_once_it_is_copied(
    path: Path, database: Secret, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "url").write_text(f"{database.reveal()}\n", encoding="utf-8")
    assert main(f"tinydb:{path}", f"@{tmp_path / 'url'}") is None
    assert capsys.readouterr().err == "copied 4 users\ncopied 3,007 gists\ncopied 3 sessions\ncopied 2 found deals\n"


def test_the_exit_status_of_the_command_shows_whether_it_copied(path: Path, database: Secret) -> None:
    argv = (sys.executable, "-m", "pipetest.store.copy", f"tinydb:{path}", database.reveal())
    with Process(*argv, env=clean_environment(), cwd=path.parent) as process:
        assert process.ended() == 0
    with Process(*argv, env=clean_environment(), cwd=path.parent) as process:
        assert process.ended() == 1
        assert "is not empty" in process.output


def test_a_database_that_is_given_other_addresses_counts_as_restored(path: Path, database: Secret) -> None:
    assert main(f"tinydb:{path}", database.reveal()) is None
    connection = Database(database).connect(READING)
    connection.execute("UPDATE pipetest.about SET unmarked = false")
    roots = {service: f"{root}/new" for service, root in ROOTS.items()}
    for opened in (lambda: TinySource(path), lambda: PostgresSource(database)):
        about, rows = content(opened())
        moved = opened()
        moved.give_to(roots)
        moved.close()
        assert content(opened()) == (About(roots, about.values), rows)
    assert connection.execute("SELECT unmarked FROM pipetest.about").fetchall() == [(True,)]
    connection.close()
    store = TinyStore(FolderDisk(str(path)), run, Clock(), roots=roots)
    store.open()
    assert store.unreconciled
    result_of(store.close())


def test_a_database_that_a_start_has_to_mend_is_not_given_to_others(path: Path) -> None:
    path.rename(path.with_name("db.json.previous"))
    source = TinySource(path)
    with pytest.raises(DatabaseRefused, match="start pipetest on it once"):
        source.give_to(ROOTS)
    source.close()
