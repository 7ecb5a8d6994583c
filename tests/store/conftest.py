"""The implementations that the contract is checked on."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.base import ReactorBase

from pipetest.model import Secret
from tests.store.postgres.server import Server, server
from tests.store.postgres.world import PostgresWorld
from tests.store.worlds import OneThread, TinyWorld, World


@pytest_twisted.async_yield_fixture
async def tiny(tmp_path: Path) -> AsyncIterator[World]:
    from twisted.internet import reactor

    assert isinstance(reactor, ReactorBase)
    thread = OneThread(reactor)
    thread.pool.start()
    world = TinyWorld(tmp_path / "db" / "db.json", reactor, thread)
    yield world
    await world.end()
    thread.pool.stop()


@pytest.fixture(scope="session")
def server_of_all() -> Iterator[Server]:
    """A server for a whole run: each test has a database of its own in it."""
    with server() as running:
        yield running


@pytest.fixture
def database(server_of_all: Server) -> Secret:
    return server_of_all.database()


@pytest_twisted.async_yield_fixture
async def postgres(database: Secret) -> AsyncIterator[PostgresWorld]:
    from twisted.internet import reactor

    assert isinstance(reactor, ReactorBase)
    world = PostgresWorld(database, reactor)
    yield world
    await world.end()


@pytest.fixture(params=["tiny", "postgres"])
def world(request: pytest.FixtureRequest) -> World:
    implementation: World = request.getfixturevalue(request.param)
    return implementation
