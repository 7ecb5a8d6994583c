"""A daemon's site to ask, on a real socket."""

from collections.abc import AsyncIterator

import pytest
import pytest_twisted
from twisted.internet.task import Clock

from pipetest.domain.model import Secret
from tests.support.web.serving import serve, site_of
from tests.support.web.store import BlockableStore
from tests.support.web.stub_daemon import StubDaemon

TOKEN = "open-sesame-open-sesame"


@pytest.fixture
def stub_daemon() -> StubDaemon:
    return StubDaemon()


async def _served(daemon: StubDaemon, token: str | None) -> AsyncIterator[str]:
    site = site_of(BlockableStore(), Clock(), daemon, admin_token=None if token is None else Secret(token))
    served = await serve(site)
    yield f"http://127.0.0.1:{served.port.getHost().port}"
    await served.stop()


@pytest_twisted.async_yield_fixture
async def url(stub_daemon: StubDaemon) -> AsyncIterator[str]:
    """Where the daemon answers, the admin too."""
    async for url in _served(stub_daemon, TOKEN):
        yield url


@pytest_twisted.async_yield_fixture
async def closed_url(stub_daemon: StubDaemon) -> AsyncIterator[str]:
    """Where a daemon answers that has no admin token."""
    async for url in _served(stub_daemon, None):
        yield url
