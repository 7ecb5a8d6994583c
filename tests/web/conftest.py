"""The site on real sockets; its clock is the test's."""

from collections.abc import AsyncIterator

import pytest
import pytest_twisted
from twisted.internet.task import Clock

from pipetest.domain.model import Secret
from pipetest.web.site import WebSite
from tests.support.web.client import Client
from tests.support.web.serving import TOKEN, Connect, serve, site_of
from tests.support.web.store import BlockableStore
from tests.support.web.stub_daemon import StubDaemon


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> BlockableStore:
    store = BlockableStore()
    store.record("antomer", ["a1", "b2"])
    store.record("Torvalds", ["c3"])
    return store


@pytest.fixture
def stub_daemon() -> StubDaemon:
    return StubDaemon()


@pytest.fixture
def site(store: BlockableStore, clock: Clock, stub_daemon: StubDaemon) -> WebSite:
    return site_of(store, clock, stub_daemon, ["antomer", "Torvalds"], admin_token=Secret(TOKEN))


@pytest_twisted.async_yield_fixture
async def connect(site: WebSite) -> AsyncIterator[Connect]:
    served = await serve(site)
    yield served.connect
    await served.stop()


@pytest_twisted.async_fixture
async def client(connect: Connect) -> Client:
    return await connect()
