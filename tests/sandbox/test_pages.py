"""What people see of the sandbox in a browser."""

from typing import Any

import pytest
import pytest_twisted
import treq
from treq.testing import StubTreq
from twisted.internet.task import Clock

from pipetest.sandbox.http import resource
from pipetest.sandbox.pages.github import GitHubPages
from pipetest.sandbox.pages.pipedrive import PipedrivePages
from pipetest.sandbox.pipedrive.bodies import NewDeal, NewOrganization
from pipetest.sandbox.world import KEY, World
from tests.support.sandbox_client import NOON_AT


@pytest.fixture
def github(world: World, clock: Clock) -> Any:
    api = resource(world.github, clock, world.held_replies)
    return StubTreq(GitHubPages(world.accounts, api).app.resource())


@pytest.fixture
def pipedrive(world: World, clock: Clock) -> Any:
    api = resource(world.pipedrive, clock, world.held_replies)
    return StubTreq(PipedrivePages(world.crm, api).app.resource())


async def read(stub: Any, path: str, **headers: str) -> tuple[int, str]:
    response = await stub.get(path if path.startswith("http") else f"http://localhost{path}", headers=headers)
    return response.code, await treq.text_content(response)


@pytest_twisted.ensureDeferred
async def test_a_gist_is_where_the_api_says_that_it_is(github: Any, world: World) -> None:
    world.accounts.open("ada")
    world.accounts.write("ada", gist_id="aa5a", description="Notes <on> bird songs", files=["notes.md"])
    response = await github.get("http://localhost/users/ada/gists", headers={"user-agent": "test"})
    (gist,) = await treq.json_content(response)
    for url in (gist["html_url"], "/gist/aa5a"):
        status, page = await read(github, url)
        assert status == 200
        assert "<h1>Notes &lt;on&gt; bird songs</h1>" in page
        assert "notes.md" in page
    assert 'href="/gist/aa5a"' in (await read(github, gist["owner"]["html_url"]))[1]


@pytest_twisted.ensureDeferred
async def test_a_gist_without_a_description_is_called_by_its_file(github: Any, world: World) -> None:
    world.accounts.open("ada")
    world.accounts.write("ada", gist_id="aa5a", files=["fib.py", "README.md"])
    assert "<h1>fib.py</h1>" in (await read(github, "/gist/aa5a"))[1]


@pytest_twisted.ensureDeferred
async def test_a_deal_shows_all_that_sales_can_work_with(pipedrive: Any, world: World) -> None:
    crm, company = world.crm, world.crm.company
    anna = company.add_user("Anna", "anna@example.com").id
    community = company.add_pipeline("Community", ["New", "Answered"]).id
    link, hidden = company.deal_fields.add("Gist").code, company.deal_fields.add("Empty").code
    profile = company.organization_fields.add("GitHub").code
    ada = crm.add_organization(NewOrganization("ada", custom_fields={profile: "https://github.com/ada"}), NOON_AT).id
    labels = [company.deal_fields.add_label("gist")]
    fields = {link: "https://gist.github.com/aa5a"}
    crm.add_deal(
        NewDeal("Notes", ada, owner_id=anna, pipeline_id=community, label_ids=labels, custom_fields=fields), NOON_AT
    )
    status, page = await read(pipedrive, "/deal/1")
    assert status == 200
    for shown in ("<h1>Notes</h1>", "Anna", "Community", ">gist<", '<li aria-current="step">New</li>', ">ada<", "Open"):
        assert shown in page, shown
    for url in ("https://gist.github.com/aa5a", "https://github.com/ada"):
        assert f'href="{url}"' in page
    assert hidden not in page
    assert "Empty" not in page


@pytest_twisted.ensureDeferred
async def test_what_is_not_there_is_a_page_that_says_so(github: Any, pipedrive: Any) -> None:
    for stub, path, what in (
        (github, "/gist/no", "gist"),
        (github, "/nobody", "account"),
        (pipedrive, "/deal/7", "deal"),
    ):
        status, page = await read(stub, path)
        assert (status, f"no such {what} here" in page) == (404, True)


@pytest_twisted.ensureDeferred
async def test_everything_else_is_the_api_and_its_key_is_asked_for(github: Any, pipedrive: Any) -> None:
    assert (await read(pipedrive, "/api/v2/deals"))[0] == 401
    assert (await read(pipedrive, "/api/v2/deals", **{"x-api-token": KEY}))[0] == 200
    status, answer = await read(github, "/users/nobody/gists", **{"user-agent": "test"})
    assert (status, "documentation_url" in answer) == (404, True)


@pytest_twisted.ensureDeferred
async def test_a_page_loads_nothing_but_files_of_its_own(pipedrive: Any) -> None:
    response = await pipedrive.get("http://localhost/deal/7")
    assert "default-src 'none'" in response.headers.getRawHeaders("content-security-policy")[0]
    assert (await read(pipedrive, "/static/sandbox.css"))[0] == 200
    assert (await read(pipedrive, "/static/html.py"))[0] == 404
