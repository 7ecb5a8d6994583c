"""Behind a real PgBouncer: in session mode all works, in the others it is refused."""

from collections.abc import AsyncIterator

import pytest
import pytest_twisted

from pipetest.domain.errors import DatabaseRefused, Unstored
from pipetest.domain.model import Gist, PassResult, Secret
from tests.support.postgres.pooler import needs_pgbouncer, pooler
from tests.support.postgres.server import Server
from tests.support.postgres.world import PostgresWorld

pytestmark = needs_pgbouncer

ONE = Gist("one", 1.0)


@pytest_twisted.async_yield_fixture
async def pooled(server_of_all: Server, database: Secret) -> AsyncIterator[PostgresWorld]:
    from twisted.internet import reactor

    with pooler(server_of_all, database, "session") as url:
        world = PostgresWorld(url, reactor)  # type: ignore[arg-type]
        yield world
        await world.end()


@pytest_twisted.ensureDeferred
async def test_in_session_mode_one_writes_and_another_takes_over(pooled: PostgresWorld) -> None:
    one, two = pooled.instance(), pooled.instance()
    await one.store.add_gists(PassResult("ada", 7, None, [ONE]))
    for _ in range(10):  # as often as it takes for statements to be prepared
        assert list(await two.store.feed(0, 9)) == [ONE.id]
        assert list(await one.store.writer.renew()) == []
    with pytest.raises(Unstored, match="lease"):
        await two.store.add_gists(PassResult("ada", 7, None, [Gist("two", 2.0)]))
    await one.close()
    assert await two.store.writer.acquire()
    assert await two.store.add_gists(PassResult("ada", 7, None, [Gist("two", 2.0)]))


@pytest_twisted.ensureDeferred
async def test_in_session_mode_the_lease_goes_with_the_session(pooled: PostgresWorld, server_of_all: Server) -> None:
    store = pooled.instance().store
    with server_of_all.connect(pooled.url) as onlooker:
        onlooker.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
    with pytest.raises(Unstored, match="lost"):
        await store.add_gists(PassResult("ada", 7, None, [ONE]))
    assert not store.writer.holds_lease


@pytest.mark.parametrize("mode", ["transaction", "statement"])
@pytest_twisted.ensureDeferred
async def test_in_every_other_mode_it_is_refused_in_one_line(
    server_of_all: Server, database: Secret, mode: str
) -> None:
    from twisted.internet import reactor

    with pooler(server_of_all, database, mode) as url:
        with pytest.raises(DatabaseRefused) as refused:
            PostgresWorld(url, reactor).start()  # type: ignore[arg-type]
        assert str(refused.value).endswith("shares sessions among clients: set its pool_mode to session")
        assert "unprintable" not in str(refused.value)
    with server_of_all.connect(database) as onlooker:
        assert onlooker.execute("SELECT to_regclass('pipetest.about')").fetchone() == (None,)
