"""How the tables come about, and how they become those of a later version."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipetest.domain.errors import DatabaseRefused
from pipetest.domain.model import Quarantined, Secret
from pipetest.store.postgres import migrations, reads
from pipetest.store.postgres.connection import READING, Connected, Database
from tests.support.postgres.server import Server
from tests.support.store.worlds import ROOTS


@pytest.fixture
def known(database: Secret) -> Database:
    return Database(database)


def migrate(database: Database) -> None:
    with database.connect(READING) as connection:
        migrations.migrate(connection, database.name)
        migrations.claim(connection, database.name, ROOTS)


def test_a_database_without_an_encoding_is_as_good_as_any(server_of_all: Server) -> None:
    url = server_of_all.url("of_bytes")
    with server_of_all.connect() as administrator:
        administrator.execute("CREATE DATABASE of_bytes TEMPLATE template0 ENCODING 'SQL_ASCII'")
    migrate(Database(url))
    with Database(url).connect(READING) as connection:
        assert dict(connection.execute(b"SELECT service, root FROM pipetest.roots").fetchall()) == ROOTS


def to_version(connection: Connected, version: int) -> None:
    """Make the tables as that version of ours made them."""
    connection.execute("CREATE SCHEMA pipetest")
    for migration in migrations.MIGRATIONS[:version]:
        connection.execute(migration.encode())
    connection.execute("UPDATE pipetest.about SET version = %s", [version])


def test_migrations_are_numbered_without_a_gap() -> None:
    numbers = sorted(int(path.name[:4]) for path in Path(migrations.__file__).parent.glob("*.sql"))
    assert numbers == list(range(1, len(migrations.MIGRATIONS) + 1))


def test_instances_that_start_together_make_the_tables_once(known: Database) -> None:
    with ThreadPoolExecutor(4) as together:
        list(together.map(migrate, [known] * 4))
    with known.connect(READING) as connection:
        assert migrations.version_of(connection) == len(migrations.MIGRATIONS)


def test_what_an_earlier_version_wrote_is_kept(known: Database) -> None:
    with known.connect(READING) as connection:
        to_version(connection, 1)
        connection.execute(
            "INSERT INTO pipetest.gists VALUES (1, 'one', 'ada', now(), 'quarantined', NULL, 'no', now())"
        )
        migrate(known)
        (entry,) = reads.open_entries(connection)
        assert isinstance(entry.deal, Quarantined)
        assert (entry.gist.id, entry.deal.reason, entry.deal.sent) == ("one", "no", False)


def test_what_a_later_version_has_changed_is_refused_and_left_alone(known: Database) -> None:
    migrate(known)
    with known.connect(READING) as connection:
        connection.execute("UPDATE pipetest.about SET version = 99")
        with pytest.raises(DatabaseRefused, match=r"format 99.*install the version"):
            migrate(known)
        assert migrations.version_of(connection) == 99


def test_a_migration_that_fails_leaves_all_as_it_was(known: Database) -> None:
    with known.connect(READING) as connection:
        to_version(connection, 1)
        connection.execute("ALTER TABLE pipetest.gists ADD COLUMN sent text")  # somebody was here
        with pytest.raises(Exception, match="already exists"):
            migrate(known)
        assert migrations.version_of(connection) == 1
        assert connection.execute("SELECT * FROM pipetest.users LIMIT 0").description is not None
