"""The sandbox's Pipedrive behaves as Pipedrive's reference says, and as people saw who called it."""

import pytest
from twisted.internet.task import Clock

from pipetest.domain.model import Reply, Request
from pipetest.sandbox.pipedrive.bodies import DealChanges, NewDeal, NewOrganization
from pipetest.sandbox.world import KEY, World
from tests.openapi import description
from tests.support.sandbox_client import NOON_AT, Client, data, ids, json

ORGANIZATIONS = "/api/v2/organizations"
DEALS = "/api/v2/deals"
EVERY_STATUS = "status=open,won,lost,deleted"


def read_all(client: Client, path: str) -> list[list[int]]:
    """The ids of every page, cursor after cursor."""
    pages, cursor = [], ""
    while True:
        page = json(client.get(f"{path}{cursor}"))
        pages.append([row["id"] for row in page["data"]])
        following = page["additional_data"]["next_cursor"]
        if following is None:
            return pages
        cursor = f"&cursor={following}"


@pytest.fixture
def ada(world: World) -> int:
    """An organization with deals 1 to 5."""
    organization = world.crm.add_organization(NewOrganization("ada"), NOON_AT).id
    for title in "abcde":
        world.crm.add_deal(NewDeal(title, org_id=organization), NOON_AT)
    return organization


# --- creates ----------------------------------------------------------------------------------------------------------


def test_a_create_answers_200_with_a_growing_id(pipedrive: Client) -> None:
    replies = [pipedrive.post(ORGANIZATIONS, {"name": "ada"}) for _ in range(2)]
    assert [(reply.status, json(reply)["data"]["id"]) for reply in replies] == [(200, 1), (200, 2)]


def test_names_and_titles_need_not_be_unique(pipedrive: Client) -> None:
    pipedrive.post(ORGANIZATIONS, {"name": "ada"})
    pipedrive.post(ORGANIZATIONS, {"name": "ada"})
    for _ in range(2):
        pipedrive.post(DEALS, {"title": "a", "org_id": 1})
    assert ids(pipedrive, f"{ORGANIZATIONS}?limit=500") == [1, 2]
    assert [deal["title"] for deal in data(pipedrive, f"{DEALS}?org_id=1")] == ["a", "a"]


def test_a_deal_is_what_was_sent_and_defaults_for_the_rest(pipedrive: Client, ada: int) -> None:
    deal = json(pipedrive.post(DEALS, {"title": "f", "org_id": ada, "value": 2.5}))["data"]
    assert (deal["title"], deal["org_id"], deal["value"]) == ("f", ada, 2.5)
    assert (deal["status"], deal["is_archived"], deal["is_deleted"]) == ("open", False, False)
    assert deal["add_time"] == "2026-11-23T12:00:00Z"


@pytest.mark.parametrize(("path", "schema"), [(DEALS, "Deal"), (ORGANIZATIONS, "OrganizationItem")])
def test_a_record_shows_every_field_of_the_description(pipedrive: Client, path: str, schema: str) -> None:
    record = json(pipedrive.post(path, {"title": "a"} if schema == "Deal" else {"name": "a"}))["data"]
    described = set(description("pipedrive")["components"]["schemas"][schema]["properties"])
    assert described - set(record) <= {"source_lead_id"}  # shown on demand only


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (ORGANIZATIONS, {}),
        (ORGANIZATIONS, {"name": ""}),
        (ORGANIZATIONS, {"name": "ada", "title": "ada"}),
        (ORGANIZATIONS, {"name": 7}),
        (DEALS, {}),
        (DEALS, {"title": "a", "org_id": "1"}),
        (DEALS, {"title": "a", "org_id": True}),
        (DEALS, {"title": "a" * 256}),
        (DEALS, {"title": "a", "org": 1}),
        (DEALS, {"title": "a", "is_archived": "false"}),
        (DEALS, {"title": "a", "is_deleted": True}),
        (DEALS, {"title": "a", "status": "deleted"}),
        (DEALS, ["a"]),
    ],
)
def test_bodies_are_strict(pipedrive: Client, ada: int, path: str, body: object) -> None:
    reply = pipedrive.post(path, body, wrong=True)
    assert (reply.status, json(reply)["code"]) == (400, "ERR_SCHEMA_VALIDATION_FAILED")
    assert ids(pipedrive, DEALS) == [1, 2, 3, 4, 5]


def test_an_unknown_key_is_named(pipedrive: Client) -> None:
    error = json(pipedrive.post(DEALS, {"title": "a", "foo": 1}, wrong=True))["error"]
    assert error == "Validation failed: foo: Parameter 'foo' is not allowed for this request"


def test_a_body_that_is_not_json_is_400(pipedrive: Client) -> None:
    reply = pipedrive.post(DEALS, {"title": "a"}, {"content-type": "application/x-www-form-urlencoded"}, wrong=True)
    assert reply.status == 400


def test_a_deal_needs_an_organization_that_is_not_deleted(pipedrive: Client, world: World, ada: int) -> None:
    assert pipedrive.post(DEALS, {"title": "f", "org_id": 99}).status == 400
    world.crm.delete_organization(ada)
    reply = pipedrive.post(DEALS, {"title": "f", "org_id": ada})
    assert reply.status == 400
    assert "org_id" in json(reply)["error"]


def test_a_wrong_key_is_401_until_it_is_right_again(pipedrive: Client, world: World) -> None:
    world.pipedrive_api.key = "another"
    reply = pipedrive.post(ORGANIZATIONS, {"name": "ada"})
    assert (reply.status, json(reply)["error"]) == (401, "unauthorized access")
    world.pipedrive_api.key = "sandbox-key"
    assert pipedrive.post(ORGANIZATIONS, {"name": "ada"}).status == 200


def test_the_limit_of_open_deals_refuses_and_keeps_a_waiting_list(pipedrive: Client, world: World, ada: int) -> None:
    world.crm.open_deals = 5
    reply = pipedrive.post(DEALS, {"title": "f", "org_id": ada})
    assert (reply.status, json(reply)["code"]) == (403, "feature_capping_deals_limit")
    world.crm.win_deal(1)
    assert pipedrive.post(DEALS, {"title": "g", "org_id": ada}).status == 200
    world.crm.archive_deal(2)
    assert pipedrive.post(DEALS, {"title": "h", "org_id": ada}).status == 200  # archived ones aren't counted
    world.crm.import_waiting_list()
    assert [deal["title"] for deal in data(pipedrive, f"{DEALS}?org_id={ada}")] == list("acdeghf")


# --- lists ------------------------------------------------------------------------------------------------------------


def test_a_list_goes_on_by_cursor_until_there_is_none(pipedrive: Client, ada: int) -> None:
    assert read_all(pipedrive, f"{DEALS}?limit=2") == [[1, 2], [3, 4], [5]]
    assert read_all(pipedrive, f"{DEALS}?limit=5") == [[1, 2, 3, 4, 5]]


@pytest.mark.parametrize("key", ["id", "add_time", "update_time"])
def test_a_list_can_be_sorted_either_way(pipedrive: Client, world: World, clock: Clock, ada: int, key: str) -> None:
    assert read_all(pipedrive, f"{DEALS}?limit=2&sort_by={key}&sort_direction=desc") == [[5, 4], [3, 2], [1]]
    assert read_all(pipedrive, f"{DEALS}?limit=2&sort_by={key}&sort_direction=asc") == [[1, 2], [3, 4], [5]]


def test_a_change_moves_a_deal_in_the_list_by_update_time(
    pipedrive: Client, world: World, clock: Clock, ada: int
) -> None:
    clock.advance(1)
    world.crm.rename_deal(2, "renamed")
    assert ids(pipedrive, f"{DEALS}?sort_by=update_time&sort_direction=desc&limit=1") == [2]


def test_a_list_of_what_has_changed_since_a_moment_includes_that_moment(
    pipedrive: Client, world: World, clock: Clock, ada: int
) -> None:
    clock.advance(5.0)
    world.crm.rename_deal(2, "B")
    clock.advance(5.0)
    world.crm.rename_deal(4, "D")
    assert ids(pipedrive, f"{DEALS}?updated_since=2026-11-23T12:00:05Z") == [2, 4]
    assert ids(pipedrive, f"{DEALS}?updated_since=2026-11-23T12:00:06Z") == [4]
    assert pipedrive.get(f"{DEALS}?updated_since=2026-11-23T12:00:05.000Z", wrong=True).status == 400


def test_people_rename_and_merge_organizations_and_move_deals(pipedrive: Client, world: World, ada: int) -> None:
    bob = world.crm.add_organization(NewOrganization("bob"), NOON_AT).id
    world.crm.rename_organization(bob, "Bob Ltd")
    world.crm.move_deal(2, bob)
    assert (ids(pipedrive, f"{DEALS}?org_id={ada}"), ids(pipedrive, f"{DEALS}?org_id={bob}")) == ([1, 3, 4, 5], [2])
    world.crm.merge_organizations(ada, bob)
    assert (ids(pipedrive, f"{DEALS}?org_id={ada}"), ids(pipedrive, f"{DEALS}?org_id={bob}")) == ([], [1, 2, 3, 4, 5])
    assert [row["name"] for row in data(pipedrive, ORGANIZATIONS)] == ["Bob Ltd"]


def test_a_merge_of_deals_keeps_the_survivors_values_where_both_have_one(
    pipedrive: Client, world: World, ada: int
) -> None:
    stamp, about = (world.crm.company.deal_fields.add(name).code for name in ("Gist id", "About"))
    world.crm.change_deal(1, DealChanges(custom_fields={stamp: "one", about: "text"}))
    world.crm.change_deal(2, DealChanges(custom_fields={stamp: "two"}))
    world.crm.merge_deals(1, 2)
    assert ids(pipedrive, DEALS) == [2, 3, 4, 5]
    deal = data(pipedrive, f"{DEALS}/2")
    assert (deal["title"], deal["custom_fields"]) == ("b", {stamp: "two", about: "text"})
    world.crm.merge_deals(3, world.crm.add_deal(NewDeal("nobody's"), NOON_AT).id)
    assert ids(pipedrive, f"{DEALS}?org_id={ada}") == [2, 4, 5, 6]


def test_an_answer_tells_when_it_was_made(pipedrive: Client) -> None:
    assert pipedrive.get(DEALS).headers["date"] == "Mon, 23 Nov 2026 12:00:00 GMT"


def test_hidden_records_leave_pages_short_or_empty_with_a_cursor(pipedrive: Client, world: World, ada: int) -> None:
    for number in (1, 3, 4):
        world.crm.delete_deal(number)
    assert read_all(pipedrive, f"{DEALS}?limit=2") == [[2], [], [5]]


def test_pages_may_be_shorter_than_asked_for(pipedrive: Client, world: World, ada: int) -> None:
    world.pipedrive_api.page_ceiling = 3
    assert read_all(pipedrive, f"{DEALS}?limit=500") == [[1, 2, 3], [4, 5]]


@pytest.mark.parametrize("query", ["limit=501", "limit=0", "limit=x", "title=a", "sort_by=title", "status=new"])
def test_wrong_queries_are_400(pipedrive: Client, query: str) -> None:
    assert pipedrive.get(f"{DEALS}?{query}", wrong=True).status == 400


@pytest.mark.parametrize("cursor", ["x", "bm8", "WzEsMiwzXQ", "%C3%A9"])
def test_a_cursor_that_is_not_ours_is_400(pipedrive: Client, cursor: str) -> None:
    assert pipedrive.get(f"{DEALS}?cursor={cursor}").status == 400


def test_deals_are_found_by_organization(pipedrive: Client, world: World, ada: int) -> None:
    world.crm.add_deal(NewDeal("another's"), NOON_AT)
    assert ids(pipedrive, f"{DEALS}?org_id={ada}") == [1, 2, 3, 4, 5]
    assert ids(pipedrive, f"{DEALS}?org_id=99") == []


def test_won_and_lost_deals_are_listed_deleted_ones_when_asked_for(pipedrive: Client, world: World, ada: int) -> None:
    world.crm.win_deal(1)
    world.crm.lose_deal(2)
    world.crm.delete_deal(3)
    assert ids(pipedrive, DEALS) == [1, 2, 4, 5]
    assert ids(pipedrive, f"{DEALS}?status=won") == [1]
    assert ids(pipedrive, f"{DEALS}?{EVERY_STATUS}") == [1, 2, 3, 4, 5]


def test_archived_deals_have_a_list_of_their_own(pipedrive: Client, world: World, ada: int) -> None:
    world.crm.archive_deal(1)
    world.crm.archive_deal(2)
    world.crm.delete_deal(2)
    assert ids(pipedrive, f"{DEALS}?{EVERY_STATUS}") == [3, 4, 5]
    assert ids(pipedrive, f"{DEALS}/archived?org_id={ada}") == [1]
    assert ids(pipedrive, f"{DEALS}/archived?org_id={ada}&{EVERY_STATUS}") == [1, 2]


def test_deleted_deals_are_gone_after_thirty_days(pipedrive: Client, world: World, clock: Clock, ada: int) -> None:
    world.crm.delete_deal(1)
    clock.advance(30 * 24 * 3600 - 1)
    assert 1 in ids(pipedrive, f"{DEALS}?{EVERY_STATUS}")
    clock.advance(1)
    assert 1 not in ids(pipedrive, f"{DEALS}?{EVERY_STATUS}")


def test_lists_by_ids_leave_out_what_is_missing_or_deleted(pipedrive: Client, world: World, ada: int) -> None:
    for _ in range(2):
        world.crm.add_organization(NewOrganization("bo"), NOON_AT)
    world.crm.delete_organization(2)
    assert ids(pipedrive, f"{ORGANIZATIONS}?ids=1,2,3,99") == [1, 3]
    too_many = ",".join(map(str, range(101)))
    assert pipedrive.get(f"{ORGANIZATIONS}?ids={too_many}").status == 400


def test_one_record_is_read_by_id(pipedrive: Client, ada: int) -> None:
    assert data(pipedrive, f"{DEALS}/2")["title"] == "b"
    assert data(pipedrive, f"{ORGANIZATIONS}/{ada}")["name"] == "ada"
    assert pipedrive.get(f"{DEALS}/99").status == 404


def test_a_deleted_organization_is_404_or_marked(pipedrive: Client, world: World, ada: int) -> None:
    world.crm.delete_organization(ada)
    assert ids(pipedrive, ORGANIZATIONS) == []
    assert pipedrive.get(f"{ORGANIZATIONS}/{ada}").status == 404
    world.pipedrive_api.deleted_shown = True
    assert data(pipedrive, f"{ORGANIZATIONS}/{ada}")["is_deleted"] is True


# --- changes ----------------------------------------------------------------------------------------------------------


def test_a_change_leaves_what_it_does_not_name(pipedrive: Client, ada: int) -> None:
    deal = json(pipedrive.patch(f"{DEALS}/2", {"title": "B", "value": 7}))["data"]
    assert (deal["title"], deal["value"], deal["org_id"], deal["status"]) == ("B", 7, ada, "open")
    assert json(pipedrive.patch(f"{ORGANIZATIONS}/{ada}", {"website": "https://ada.example"}))["data"]["name"] == "ada"
    assert data(pipedrive, f"{DEALS}/2") == deal


def test_a_change_moves_a_deal_to_another_organization(pipedrive: Client, world: World, ada: int) -> None:
    bob = world.crm.add_organization(NewOrganization("bob"), NOON_AT).id
    pipedrive.patch(f"{DEALS}/2", {"org_id": bob})
    assert (ids(pipedrive, f"{DEALS}?org_id={ada}"), ids(pipedrive, f"{DEALS}?org_id={bob}")) == ([1, 3, 4, 5], [2])


def test_what_is_archived_deleted_or_absent_cannot_be_changed(pipedrive: Client, world: World, ada: int) -> None:
    world.crm.archive_deal(1)
    world.crm.delete_deal(2)
    world.crm.delete_organization(ada)
    assert [pipedrive.patch(f"{DEALS}/{number}", {"value": 7}).status for number in (1, 2, 99)] == [400, 404, 404]
    assert pipedrive.patch(f"{ORGANIZATIONS}/{ada}", {"name": "bob"}).status == 404


# --- what the key's user may do and see -------------------------------------------------------------------------------


def test_a_user_may_lack_the_permission_to_add_one_kind_of_record(pipedrive: Client, world: World, ada: int) -> None:
    world.crm.may_add_deals = False
    assert pipedrive.post(DEALS, {"title": "f", "org_id": ada}).status == 403
    assert pipedrive.post(ORGANIZATIONS, {"name": "bob"}).status == 200
    world.crm.may_add_deals, world.crm.may_add_organizations = True, False
    assert pipedrive.post(DEALS, {"title": "f", "org_id": ada}).status == 200
    assert pipedrive.post(ORGANIZATIONS, {"name": "eve"}).status == 403


def test_what_the_user_cannot_see_is_in_no_list_and_in_no_search(pipedrive: Client, world: World, ada: int) -> None:
    world.crm.hide_deal(2)
    world.crm.hide_organization(ada)
    assert ids(pipedrive, f"{DEALS}?{EVERY_STATUS}") == ids(pipedrive, f"{DEALS}?ids=1,2,3,4,5") == [1, 3, 4, 5]
    assert pipedrive.get(f"{DEALS}/2").status == pipedrive.get(f"{ORGANIZATIONS}/{ada}").status == 404
    assert data(pipedrive, f"{ORGANIZATIONS}/search?term=ada")["items"] == []


def test_a_user_may_not_see_what_it_creates(pipedrive: Client, world: World, ada: int) -> None:
    world.crm.hides_new_organizations = world.crm.hides_new_deals = True
    assert json(pipedrive.post(DEALS, {"title": "f", "org_id": ada}))["data"]["id"] == 6
    assert pipedrive.get(f"{DEALS}/6").status == 404
    assert ids(pipedrive, DEALS) == [1, 2, 3, 4, 5]


# --- elsewhere --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/deals", 410),
        ("POST", "/v1/organizations", 410),
        ("GET", "/api/v1/stages", 410),
        ("GET", "/api/v1/persons", 404),
        ("GET", "/api/v2/persons", 404),
        ("GET", "/", 404),
        ("PUT", "/api/v2/deals", 405),
        ("DELETE", "/api/v2/deals/1", 405),
    ],
)
def test_what_the_sandbox_does_not_have_is_refused(world: World, method: str, path: str, status: int) -> None:
    request = Request(method, f"https://test.pipedrive.com{path}", {"x-api-token": KEY})
    ending = world.pipedrive.handle(request).ending
    assert isinstance(ending, Reply)
    assert (ending.status, json(ending)["success"]) == (status, False)
