"""The implementations that the contract is checked on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.base import ReactorBase

from pipetest.domain.model import Secret
from tests.support.postgres.world import PostgresWorld
from tests.support.store.worlds import RealThreads, TinyWorld, World


@pytest_twisted.async_yield_fixture
async def tiny(tmp_path: Path) -> AsyncIterator[World]:
    from twisted.internet import reactor

    assert isinstance(reactor, ReactorBase)
    thread = RealThreads(reactor)
    thread.start()
    world = TinyWorld(tmp_path / "db" / "db.json", reactor, thread)
    yield world
    await world.end()
    thread.stop()


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
