"""The Klein apps answer as their services do, over real sockets and through treq.testing."""

import re
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any

import msgspec
import pytest
import pytest_twisted
import treq
from treq.client import HTTPClient
from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.web.client import Agent, ResponseFailed, ResponseNeverReceived

from pipetest.domain.model import Reply, Request
from pipetest.sandbox.faults import FAULTS, Rule
from pipetest.sandbox.http import resource
from pipetest.sandbox.server import Sandbox, SandboxSettings
from pipetest.sandbox.world import KEY, World
from tests.openapi import check
from tests.support.sandbox_client import NOON_AT

HEADERS = {"x-api-token": KEY, "content-type": "application/json"}
AGENT = {"user-agent": "test"}


@pytest_twisted.async_yield_fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """On real sockets. Its wall time stands still, and nobody writes a gist."""
    from twisted.internet import reactor

    sandbox = Sandbox(reactor, lambda: NOON_AT, Random(1), SandboxSettings(gist_every=0, latency=0))  # type: ignore[arg-type]
    sandbox.start()
    yield sandbox
    await sandbox.stop()


@pytest.fixture
def client() -> HTTPClient:
    """It keeps no connection: treq would send a request again when a kept connection is lost."""
    from twisted.internet import reactor

    return HTTPClient(Agent(reactor))


async def ask(client: Any, request: Request) -> Reply:
    response = await client.request(request.method, request.url, headers=dict(request.headers), data=request.body)
    headers = {name.decode().lower(): values[-1].decode() for name, values in response.headers.getAllRawHeaders()}
    return Reply(response.code, headers, await treq.content(response))


# --- over real sockets ------------------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_every_page_of_a_list_is_reached_by_its_links(sandbox: Sandbox, client: HTTPClient) -> None:
    user, titles = sandbox.users[0], []
    url: str | None = f"{sandbox.github_url}/users/{user}/gists?per_page=5"
    while url is not None:
        request = Request("GET", url, AGENT)
        reply = await ask(client, request)
        check(request, reply)
        titles += [gist["id"] for gist in _json(reply)]
        url = _next(reply)
    assert titles == list(sandbox.world.accounts.public_gists()[user])


@pytest_twisted.ensureDeferred
async def test_what_is_created_is_listed(sandbox: Sandbox, client: HTTPClient) -> None:
    root = f"{sandbox.pipedrive_url}/api/v2"
    for request in (
        Request("POST", f"{root}/organizations", HEADERS, b'{"name":"ada"}'),
        Request("POST", f"{root}/deals", HEADERS, b'{"title":"a","org_id":1}'),
        Request("GET", f"{root}/deals?org_id=1", HEADERS),
    ):
        reply = await ask(client, request)
        check(request, reply)
    assert [deal["title"] for deal in _json(reply)["data"]] == ["a"]


@pytest_twisted.ensureDeferred
async def test_a_304_has_no_body(sandbox: Sandbox, client: HTTPClient) -> None:
    url = f"{sandbox.github_url}/users/{sandbox.users[0]}/gists"
    first = await ask(client, Request("GET", url, AGENT))
    reply = await ask(client, Request("GET", url, AGENT | {"if-none-match": first.headers["etag"]}))
    assert (reply.status, reply.body) == (304, b"")
    assert "content-length" not in reply.headers  # it would be that of the page


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("reset", ResponseNeverReceived),
        ("refused", ResponseNeverReceived),
        ("applied-reset", ResponseNeverReceived),
        ("applied-torn", ResponseFailed),
    ],
)
@pytest_twisted.ensureDeferred
async def test_lost_connections_are_lost(
    sandbox: Sandbox, client: HTTPClient, fault: str, error: type[Exception]
) -> None:
    sandbox.world.faults.add(Rule(FAULTS[fault], times=1))
    with pytest.raises(error):
        await ask(client, Request("POST", f"{sandbox.pipedrive_url}/api/v2/organizations", HEADERS, b'{"name":"ada"}'))
    assert len(sandbox.world.crm.organizations) == fault.startswith("applied")


@pytest_twisted.ensureDeferred
async def test_a_held_reply_comes_when_it_is_released(sandbox: Sandbox, client: HTTPClient) -> None:
    world = sandbox.world
    world.faults.add(Rule(FAULTS["held"], times=1))
    create = Request("POST", f"{sandbox.pipedrive_url}/api/v2/organizations", HEADERS, b'{"name":"ada"}')
    reply = Deferred.fromCoroutine(ask(client, create))
    await until(lambda: len(world.held_replies) == 1)
    assert len(world.crm.organizations) == 1
    assert not reply.called
    world.held_replies.release()
    assert (await reply).status == 200


@pytest_twisted.ensureDeferred
async def test_a_client_that_hangs_up_holds_no_reply(sandbox: Sandbox, client: HTTPClient) -> None:
    world = sandbox.world
    world.faults.add(Rule(FAULTS["held"], times=1))
    reply = Deferred.fromCoroutine(ask(client, Request("GET", f"{sandbox.github_url}/users/a/gists", AGENT)))
    await until(lambda: len(world.held_replies) == 1)
    reply.addErrback(lambda failure: None)
    reply.cancel()
    await until(lambda: len(world.held_replies) == 0)


# --- in memory, through treq.testing ----------------------------------------------------------------------------------


@pytest.fixture
def stub(world: World, clock: Clock) -> StubTreq:
    return StubTreq(resource(world.pipedrive, clock, world.held_replies))


CREATE = Request("POST", "https://test.pipedrive.com/api/v2/organizations", HEADERS, b'{"name":"ada"}')


@pytest_twisted.ensureDeferred
async def test_the_same_app_answers_in_memory(stub: StubTreq) -> None:
    reply = await ask(stub, CREATE)
    check(CREATE, reply)
    assert _json(reply)["data"]["name"] == "ada"


@pytest_twisted.ensureDeferred
async def test_latency_in_memory_runs_on_the_given_clock(stub: StubTreq, world: World, clock: Clock) -> None:
    world.pipedrive.latency = 2.0
    reply = Deferred.fromCoroutine(ask(stub, CREATE))
    clock.advance(1.9)
    stub.flush()
    assert not reply.called
    clock.advance(0.1)
    stub.flush()
    assert (await reply).status == 200


@pytest.mark.parametrize("fault", ["reset", "applied-torn"])
@pytest_twisted.ensureDeferred
async def test_connections_can_be_lost_in_memory(stub: StubTreq, world: World, fault: str) -> None:
    world.faults.add(Rule(FAULTS[fault]))
    reply = Deferred.fromCoroutine(ask(stub, CREATE))
    stub.flush()
    with pytest.raises((ResponseNeverReceived, ResponseFailed)):
        await reply


# --- helpers ----------------------------------------------------------------------------------------------------------


async def until(condition: Callable[[], bool]) -> None:
    """Let the reactor run until the condition is true."""
    from twisted.internet import reactor

    waited = Deferred.fromCoroutine(_run_until(condition, reactor))
    await waited.addTimeout(10, reactor)


async def _run_until(condition: Callable[[], bool], reactor: Any) -> None:
    while not condition():
        await deferLater(reactor, 0.001)


def _json(reply: Reply) -> Any:
    return msgspec.json.decode(reply.body)


def _next(reply: Reply) -> str | None:
    found = re.search('<([^>]+)>; rel="next"', reply.headers.get("link", ""))
    return found and found[1]
