"""The control port: how a test changes a sandbox in another process."""

from typing import Any

import msgspec
import pytest
import pytest_twisted
import treq
from treq.testing import StubTreq

from pipetest.domain.model import Request
from pipetest.sandbox.control import Control, GitHubChanges, PipedriveChanges
from pipetest.sandbox.world import KEY, World

CREATE = Request(
    "POST",
    "https://test.pipedrive.com/api/v2/deals",
    {"x-api-token": KEY, "content-type": "application/json"},
    b'{"title":"a"}',
)


@pytest.fixture
def stub(world: World) -> Any:
    return StubTreq(Control(world).app.resource())


async def send(stub: Any, method: str, path: str, body: object = None) -> tuple[int, Any]:
    data = b"" if body is None else msgspec.json.encode(body)
    response = await stub.request(method, f"http://localhost{path}", data=data)
    return response.code, msgspec.json.decode(await treq.content(response))


@pytest_twisted.ensureDeferred
async def test_a_fault_is_injected_as_asked_for(stub: Any, world: World) -> None:
    fault = {"fault": "late-reset", "service": "Pipedrive", "method": "POST", "path": "/api/v2/deals", "applied": 7}
    assert await send(stub, "POST", "/faults", fault) == (200, {"faults": 1})
    world.pipedrive.handle(CREATE)
    assert not len(world.faults)
    assert world.pipedrive.injected == {"late-reset": 1}
    assert world.state()["deals"] == []


@pytest_twisted.ensureDeferred
async def test_faults_that_have_not_happened_can_be_forgotten(stub: Any, world: World) -> None:
    await send(stub, "POST", "/faults", {"fault": "reset", "times": None, "chance": 0.5})
    assert await send(stub, "DELETE", "/faults") == (200, {"faults": 0})
    assert not len(world.faults)


@pytest_twisted.ensureDeferred
async def test_anybody_writes_a_gist_when_asked_to(stub: Any, world: World) -> None:
    assert await send(stub, "POST", "/gists", {"user": "ada", "id": "a"}) == (200, {"id": "a"})
    await send(stub, "POST", "/gists", {"user": "Ada", "id": "s", "public": False})
    assert world.accounts.public_gists() == {"ada": ["a"]}


@pytest_twisted.ensureDeferred
async def test_the_state_tells_what_the_services_hold(stub: Any, world: World) -> None:
    await send(stub, "POST", "/gists", {"user": "ada", "id": "a"})
    world.pipedrive.handle(CREATE)
    _, state = await send(stub, "GET", "/state")
    assert state["gists"] == {"ada": ["a"]}
    deal = {"id": 1, "title": "a", "org_id": None, "status": "open", "is_archived": False}
    assert (state["deals"], state["organizations"], state["waiting"]) == ([deal], [], [])
    assert (state["held"], state["tokens"]) == (0, 5)


@pytest_twisted.ensureDeferred
async def test_held_replies_are_released(stub: Any, world: World) -> None:
    waiting = world.held_replies.wait()
    assert await send(stub, "POST", "/release") == (200, {"released": 1})
    assert waiting.called


@pytest_twisted.ensureDeferred
async def test_settings_change_while_it_runs(stub: Any, world: World) -> None:
    changes = {
        "github": {"latency": 1.5, "deepest": 300, "without_token": 60},
        "pipedrive": {"latency": 0.5, "key": "new", "burst": 20, "list_lag": 3, "open_deals": 7, "page_ceiling": 5},
    }
    assert await send(stub, "POST", "/settings", changes) == (200, {})
    assert (world.github.latency, world.github_api.deepest, world.github_limits.without_token) == (1.5, 300, 60)
    assert (world.pipedrive.latency, world.pipedrive_api.key, world.pipedrive_limits.burst) == (0.5, "new", 20)
    assert (world.crm.list_lag, world.crm.open_deals, world.pipedrive_api.page_ceiling) == (3, 7, 5)
    assert (world.crm.search_lag, world.pipedrive_limits.search_burst) == (0, 1_000_000)


def test_every_setting_has_one_owner(world: World) -> None:
    github = world.github, world.github_api, world.github_api.quirks, world.github_limits
    pipedrive = world.pipedrive, world.pipedrive_api, world.pipedrive_limits, world.crm
    for changes, owners in ((GitHubChanges, github), (PipedriveChanges, pipedrive)):
        for setting in changes.__struct_fields__:
            assert [hasattr(owner, setting) for owner in owners].count(True) == 1, setting


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("/faults", {"fault": "rain"}, "no such fault: rain; expected one of refused, "),
        ("/faults", {"fault": "reset", "often": True}, "unknown field `often`"),
        ("/gists", {}, "required field `user`"),
        ("/settings", {"pipedrive": {"burst": "20"}}, "Expected `int`, got `str`"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_body_that_makes_no_sense_is_refused(stub: Any, path: str, body: object, reason: str) -> None:
    status, answer = await send(stub, "POST", path, body)
    assert status == 400
    assert reason in answer["error"]
