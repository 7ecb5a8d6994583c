"""How Pipedrive's reads lag behind its writes, and what its search finds."""

from twisted.internet.task import Clock

from pipetest.sandbox.pipedrive.bodies import NewOrganization
from pipetest.sandbox.world import World
from tests.support.sandbox_client import NOON_AT, Client, data, ids, json

ORGANIZATIONS = "/api/v2/organizations"
DEALS = "/api/v2/deals"


def test_reads_may_lag_behind_creates(pipedrive: Client, world: World, clock: Clock) -> None:
    world.crm.list_lag = 10
    pipedrive.post(ORGANIZATIONS, {"name": "ada"})
    assert pipedrive.post(DEALS, {"title": "a", "org_id": 1}).status == 200  # writes don't lag
    clock.advance(9)
    assert ids(pipedrive, DEALS) == []
    assert pipedrive.get(f"{ORGANIZATIONS}/1").status == 404
    clock.advance(1)
    assert ids(pipedrive, DEALS) == [1]
    assert pipedrive.get(f"{ORGANIZATIONS}/1").status == 200


def found(client: Client, query: str) -> list[int]:
    return [hit["item"]["id"] for hit in data(client, f"{ORGANIZATIONS}/search?{query}")["items"]]


def test_an_exact_search_compares_the_whole_name_without_case(pipedrive: Client, world: World) -> None:
    for name in ("ada", "ADA", "adalbert"):
        world.crm.add_organization(NewOrganization(name), NOON_AT)
    assert found(pipedrive, "term=Ada&exact_match=true&fields=name") == [1, 2]
    assert found(pipedrive, "term=Ada&fields=name") == [1, 2, 3]


def test_a_search_in_all_fields_finds_more_than_names(pipedrive: Client, world: World) -> None:
    world.crm.add_organization(NewOrganization("bo", address={"value": "ada"}), NOON_AT)
    assert found(pipedrive, "term=ada&exact_match=true") == [1]
    assert found(pipedrive, "term=ada&exact_match=true&fields=name") == []


def test_a_term_of_one_letter_must_be_exact(pipedrive: Client) -> None:
    assert pipedrive.get(f"{ORGANIZATIONS}/search?term=a").status == 400
    assert found(pipedrive, "term=a&exact_match=true") == []


def test_a_search_goes_on_by_cursor(pipedrive: Client, world: World) -> None:
    for _ in range(3):
        world.crm.add_organization(NewOrganization("ada"), NOON_AT)
    page = json(pipedrive.get(f"{ORGANIZATIONS}/search?term=ada&limit=2"))
    cursor = page["additional_data"]["next_cursor"]
    assert found(pipedrive, f"term=ada&limit=2&cursor={cursor}") == [3]


def test_the_search_index_lags_more_than_lists(pipedrive: Client, world: World, clock: Clock) -> None:
    world.crm.search_lag = 30
    pipedrive.post(ORGANIZATIONS, {"name": "ada"})
    assert ids(pipedrive, ORGANIZATIONS) == [1]
    assert found(pipedrive, "term=ada") == []
    clock.advance(30)
    assert found(pipedrive, "term=ada") == [1]


def test_deleted_organizations_are_still_found_and_not_marked(pipedrive: Client, world: World) -> None:
    ada = world.crm.add_organization(NewOrganization("ada"), NOON_AT).id
    world.crm.delete_organization(ada)
    hit = data(pipedrive, f"{ORGANIZATIONS}/search?term=ada")["items"][0]["item"]
    assert hit["id"] == ada
    assert "is_deleted" not in hit
