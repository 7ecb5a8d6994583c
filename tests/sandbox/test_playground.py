"""The playground breaks what its buttons say, and mends it again, by plain forms."""

from random import Random
from typing import Any

import pytest
import pytest_twisted
import treq
from treq.testing import StubTreq
from twisted.internet.testing import MemoryReactorClock

from pipetest.domain.model import Reply, Request
from pipetest.sandbox.calls import LostReply
from pipetest.sandbox.pages.playground import BREAKABLE, Playground, Tally, tally
from pipetest.sandbox.pipedrive.bodies import NewDeal
from pipetest.sandbox.server import Sandbox, SandboxSettings
from pipetest.sandbox.world import KEY, World
from tests.support.sandbox_client import NOON_AT

DEALS = "https://test.pipedrive.com/api/v2/deals"
JSON = {"x-api-token": KEY, "content-type": "application/json"}
CREATE = Request("POST", DEALS, JSON, b'{"title":"a"}')
LIST = Request("GET", DEALS, JSON)
GISTS = Request("GET", "https://api.github.com/users/ada-of-sandbox/gists", {"user-agent": "test"})


@pytest.fixture
def sandbox() -> Sandbox:
    reactor: Any = MemoryReactorClock()
    sandbox = Sandbox(reactor, lambda: NOON_AT, Random(1), SandboxSettings(gist_every=0, latency=0))
    sandbox.start()
    return sandbox


@pytest.fixture
def world(sandbox: Sandbox) -> World:
    return sandbox.world


@pytest.fixture
def stub(sandbox: Sandbox) -> Any:
    return StubTreq(
        Playground(sandbox.world, sandbox.write_gist, sandbox.pipedrive_url, "http://localhost:8080/").app.resource()
    )


async def shown(stub: Any) -> str:
    return str(await treq.text_content(await stub.get("http://localhost/")))


async def press(stub: Any, action: str) -> str:
    """Where the browser goes then."""
    response = await stub.post(f"http://localhost{action}", allow_redirects=False)
    assert response.code == 303
    return str(response.headers.getRawHeaders("location")[0])


def ending(world: World, request: Request) -> int | str:
    service = world.pipedrive if request.url.startswith(DEALS) else world.github
    ended = service.handle(request).ending
    return ended.status if isinstance(ended, Reply) else ended.how


@pytest.mark.parametrize(
    ("name", "request_", "broken"),
    [("pipedrive", LIST, "refused"), ("key", LIST, 401), ("github", GISTS, "refused"), ("answer", CREATE, "reset")],
)
@pytest_twisted.ensureDeferred
async def test_what_is_broken_is_so_until_it_is_mended(
    stub: Any, world: World, name: str, request_: Request, broken: int | str
) -> None:
    assert f'action="/break/{name}"' in await shown(stub)
    assert await press(stub, f"/break/{name}") == f"/#{name}"
    await press(stub, f"/break/{name}")  # pressed twice
    assert f'action="/mend/{name}"' in await shown(stub)
    assert await press(stub, f"/mend/{name}") == f"/#{name}"
    assert f'action="/break/{name}"' in await shown(stub)
    assert ending(world, request_) == 200
    await press(stub, f"/break/{name}")
    assert ending(world, request_) == broken


def test_the_page_can_break_no_more_than_it_says() -> None:
    assert set(BREAKABLE) == {"answer", "pipedrive", "key", "github"}


@pytest_twisted.ensureDeferred
async def test_one_answer_is_lost_although_its_deal_is_made(stub: Any, world: World) -> None:
    await press(stub, "/break/answer")
    planned = world.pipedrive.handle(CREATE)
    assert planned.ending == LostReply("reset")
    assert len(world.crm.deals) == 1
    assert "1 answer lost so far" in await shown(stub)
    assert ending(world, CREATE) == 200


@pytest_twisted.ensureDeferred
async def test_a_gist_is_written_when_asked_for_and_waits_for_its_deal(stub: Any, sandbox: Sandbox) -> None:
    before = tally(sandbox.world)
    while tally(sandbox.world) == before:  # now and then somebody writes a secret one
        assert await press(stub, "/write") == "/#now"
    assert tally(sandbox.world) == Tally(before.gists + 1, before.wait + 1, 0)
    assert f"{before.wait + 1} of {before.gists + 1} gists wait for a deal" in await shown(stub)


@pytest_twisted.ensureDeferred
async def test_a_gist_has_its_deal_by_its_title_or_by_a_custom_field(stub: Any, world: World) -> None:
    stamp = world.crm.company.deal_fields.add("Gist id").code
    gists = [gist for written in world.accounts.public_gists().values() for gist in written]
    titles = [gists[0], f"Notes · {gists[1]}"]
    for new in (*map(NewDeal, titles), *(NewDeal("Call them", custom_fields={stamp: gist}) for gist in gists[2:])):
        world.crm.add_deal(new, NOON_AT)
    assert tally(world) == Tally(len(gists), 0, 0)
    assert f"Each of {len(gists)} gists has its deal" in await shown(stub)
    world.crm.add_deal(NewDeal(gists[0]), NOON_AT)
    assert tally(world) == Tally(len(gists), 0, 1)
    assert "1 gist has two deals" in await shown(stub)


@pytest_twisted.ensureDeferred
async def test_the_newest_deals_are_linked_and_the_daemons_page_too(stub: Any, sandbox: Sandbox) -> None:
    for number in range(12):
        sandbox.world.crm.add_deal(NewDeal(f"deal <{number}>"), NOON_AT)
    page = await shown(stub)
    assert f'<a href="{sandbox.pipedrive_url}/deal/12">deal &lt;11&gt;</a>' in page
    assert "deal &lt;1&gt;" not in page
    assert 'href="http://localhost:8080/"' in page


@pytest_twisted.ensureDeferred
async def test_the_control_port_is_there_too_and_nothing_else(stub: Any) -> None:
    state = await treq.json_content(await stub.get("http://localhost/state"))
    assert state["deals"] == []
    assert (await stub.post("http://localhost/break/hearts")).code == 404
    assert (await stub.get("http://localhost/static/playground.js")).code == 200
