"""How the tables come about, and how they become those of a later version."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from pipetest.domain.errors import DatabaseRefused
from pipetest.domain.interfaces import Time
from pipetest.domain.model import Quarantined, Secret
from pipetest.store.postgres import migrations, reads
from pipetest.store.postgres.connection import READING, Connected, Database
from pipetest.store.postgres.store import PostgresStore
from tests.support.postgres.server import Server
from tests.support.results import result_of
from tests.support.simulated_disk import run
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


def test_a_start_waits_for_however_long_another_changes_the_tables(known: Database) -> None:
    impatient = READING.replace("lock_timeout = '5s'", "lock_timeout = '50ms'")
    with known.connect(READING) as other, known.connect(impatient) as waiting, ThreadPoolExecutor(1) as beside:
        with other.transaction():
            other.execute("SELECT pg_advisory_xact_lock(%s)", [migrations.MIGRATION_LOCK])
            migrated = beside.submit(migrations.migrate, waiting, known.name)
            while not (migrated.done() or other.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone()):
                """It waits in a moment."""
            other.execute("SELECT pg_sleep(0.2)")
        migrated.result()
        assert migrations.version_of(waiting) == len(migrations.MIGRATIONS)


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
        assert (entry.deal.status, entry.deal.code) == (0, "")
        assert entry.gist.text is None


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


# --- what a role may do -----------------------------------------------------------------------------------------------


@pytest.fixture
def modest(server_of_all: Server, database: Secret) -> Secret:
    """The URL of a role that owns the schema, and may do nothing else in the database."""
    role = f"modest_{database.reveal().rpartition('/')[2]}"
    with server_of_all.connect(database) as administrator:
        administrator.execute(f"CREATE ROLE {role} LOGIN".encode())
        administrator.execute(f"CREATE SCHEMA pipetest AUTHORIZATION {role}".encode())
    return Secret(database.reveal().replace("postgres:", f"{role}:", 1))


def test_a_role_that_owns_the_schema_needs_no_right_to_make_one(modest: Secret) -> None:
    migrate(Database(modest))
    with Database(modest).connect(READING) as connection:
        assert migrations.version_of(connection) == len(migrations.MIGRATIONS)


def test_a_role_that_may_make_no_schema_is_refused_in_one_line(server_of_all: Server, database: Secret) -> None:
    with server_of_all.connect(database) as administrator:
        administrator.execute(b"DROP ROLE IF EXISTS poor")
        administrator.execute(b"CREATE ROLE poor LOGIN")
    store = store_of(Secret(database.reveal().replace("postgres:", "poor:", 1)))
    with pytest.raises(DatabaseRefused, match=r"^PostgreSQL at [^\n]*CREATE SCHEMA pipetest AUTHORIZATION poor$"):
        store.open()


def test_where_the_service_does_not_tell_which_server_it_is_one_started_again_may_be_another(
    server_of_all: Server, database: Secret, modest: Secret
) -> None:
    """As with Aurora."""
    with server_of_all.connect(database) as administrator:
        administrator.execute(b"REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
        opened(modest)  # new, so that it is unreconciled
        administrator.execute(b"UPDATE pipetest.about SET unmarked = false")
        assert opened(modest) is False
        administrator.execute(b"UPDATE pipetest.about SET server = replace(server, 'started/', 'started/1')")
        assert opened(modest) is True


def opened(url: Secret) -> bool:
    """Whether the store finds itself unreconciled."""
    store = store_of(url)
    store.open()
    assert store.writer.holds_lease
    result_of(store.writer.close())
    return store.unreconciled


def store_of(url: Secret) -> PostgresStore:
    return PostgresStore(url, run, run, Time(time.time, time.monotonic), Clock(), roots=ROOTS, instance="here")


# --- which services it belongs to -------------------------------------------------------------------------------------

OTHERS = ROOTS | {"Pipedrive": "https://other.pipedrive.com"}


def test_a_database_that_has_recorded_nothing_yet_may_become_that_of_other_services(known: Database) -> None:
    migrate(known)
    with known.connect(READING) as connection:
        connection.execute("UPDATE pipetest.about SET unmarked = false")
        migrations.claim(connection, known.name, OTHERS)
        assert dict(connection.execute("SELECT service, root FROM pipetest.roots").fetchall()) == OTHERS
        assert connection.execute("SELECT unmarked FROM pipetest.about").fetchone() == (True,)
        connection.execute("INSERT INTO pipetest.users (key, name) VALUES ('ada', 'ada')")
        with pytest.raises(DatabaseRefused, match=r"belongs to Pipedrive at https://other\.pipedrive\.com"):
            migrations.claim(connection, known.name, ROOTS)


def test_an_empty_database_with_which_another_instance_works_stays_what_it_is(known: Database) -> None:
    migrate(known)
    with known.connect(READING) as leading, known.connect(READING) as connection:
        leading.execute("SELECT pg_advisory_lock(%s)", [migrations.SCANNER_LOCK])
        with pytest.raises(DatabaseRefused, match="belongs to Pipedrive"):
            migrations.claim(connection, known.name, OTHERS)
