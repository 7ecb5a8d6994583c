"""What docs/postgres.md has people do with a database works."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_twisted

from pipetest.domain.model import Gist, PassResult, Secret
from tests.support.postgres.server import BINARIES, Server
from tests.support.postgres.world import PostgresWorld

GUIDE = (Path(__file__).parents[3] / "docs" / "postgres.md").read_text(encoding="utf-8")
STATEMENTS = re.findall(r"```sql\n(.*?)```", GUIDE, re.DOTALL)


@pytest.fixture
def role(server_of_all: Server) -> Iterator[str]:
    """Somebody without any right but to log in."""
    with server_of_all.connect() as administrator:
        administrator.execute("CREATE ROLE ordinary LOGIN")
        yield "ordinary"
        administrator.execute("DROP DATABASE IF EXISTS of_ordinary")
        administrator.execute("DROP ROLE ordinary")


@pytest_twisted.ensureDeferred
async def test_the_owner_of_the_database_needs_no_other_right(server_of_all: Server, role: str) -> None:
    from twisted.internet import reactor

    with server_of_all.connect() as administrator:
        administrator.execute(f"CREATE DATABASE of_ordinary OWNER {role}".encode())
    url = server_of_all.url("of_ordinary").reveal().replace("//postgres:", f"//{role}:")
    world = PostgresWorld(Secret(url), reactor)  # type: ignore[arg-type]
    store = world.instance().store
    assert await store.add_gists(PassResult("ada", 7, None, [Gist("one", 1.0)]))
    assert await store.writer.renew() == []
    await world.end()


@pytest_twisted.ensureDeferred
async def test_the_statements_of_the_guide_can_be_typed(postgres: PostgresWorld, server_of_all: Server) -> None:
    await postgres.instance().store.add_gists(PassResult("ada", 7, None, [Gist("one", 1.0)]))
    with server_of_all.connect(postgres.url) as somebody, somebody.transaction(force_rollback=True):
        for statement in STATEMENTS:
            somebody.execute(statement.encode())
    assert len(STATEMENTS) > 3


@pytest_twisted.ensureDeferred
async def test_a_dump_that_is_restored_counts_as_unreconciled(
    postgres: PostgresWorld, server_of_all: Server, tmp_path: Path
) -> None:
    from twisted.internet import reactor

    store = postgres.instance().store
    await store.add_gists(PassResult("ada", 7, None, [Gist("one", 1.0)]))
    await store.mark_reconciled()
    dump, target = tmp_path / "pipetest.dump", server_of_all.database()
    tool(postgres.url, "pg_dump", "--format=custom", "--schema=pipetest", f"--file={dump}")
    tool(target, "pg_restore", "--no-owner", str(dump))
    restored = PostgresWorld(target, reactor)  # type: ignore[arg-type]
    again = restored.instance().store
    assert (again.unreconciled, list(await again.feed(0, 9))) == (True, ["one"])
    await restored.end()


@pytest_twisted.ensureDeferred
async def test_a_snapshot_that_is_put_back_counts_as_unreconciled_once_the_guide_is_followed(
    postgres: PostgresWorld, server_of_all: Server
) -> None:
    (statement,) = re.findall(r'"(UPDATE pipetest\.about .*?)"', GUIDE)
    instance = postgres.instance()
    await instance.store.mark_reconciled()
    await instance.close()
    again = postgres.instance()
    assert not again.store.unreconciled
    await again.close()
    with server_of_all.connect(postgres.url) as somebody:
        somebody.execute(statement.encode())
    assert postgres.instance().store.unreconciled


def tool(url: Secret, command: str, *arguments: str) -> None:
    """One of PostgreSQL's own, on this database."""
    argv = (str(BINARIES / command), f"--dbname={url.reveal()}", *arguments)
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
