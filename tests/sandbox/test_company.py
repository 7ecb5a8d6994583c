"""What a company has set up in its Pipedrive (users, pipelines, stages, labels, fields), and what records may hold."""

import pytest

from pipetest.domain.model import Reply
from pipetest.sandbox.pipedrive.bodies import NewDeal
from pipetest.sandbox.pipedrive.company import Company
from pipetest.sandbox.pipedrive.fields import VALUES
from pipetest.sandbox.world import World
from tests.support.sandbox_client import NOON_AT, Client, data, ids, json

ORGANIZATIONS = "/api/v2/organizations"
DEALS = "/api/v2/deals"
PIPELINES = "/api/v2/pipelines"
STAGES = "/api/v2/stages"
DEAL_FIELDS = "/api/v2/dealFields"
ORGANIZATION_FIELDS = "/api/v2/organizationFields"


@pytest.fixture
def company(world: World) -> Company:
    return world.crm.company


def names(client: Client, path: str) -> list[str]:
    return [row["name"] for row in data(client, path)]


def add(client: Client, *, wrong: bool = False, **more: object) -> Reply:
    return client.post(DEALS, {"title": "a", **more}, wrong=wrong)


def refusal(reply: Reply) -> str:
    assert (reply.status, json(reply)["code"]) == (400, "ERR_SCHEMA_VALIDATION_FAILED")
    return str(json(reply)["error"]).removeprefix("Validation failed: ")


# --- users ------------------------------------------------------------------------------------------------------------


def test_users_are_listed_at_once_those_who_left_marked(pipedrive: Client, company: Company) -> None:
    anna = company.add_user("Anna", "anna@example.com").id
    company.deactivate_user(anna)
    users = data(pipedrive, "/api/v1/users")
    assert [(user["id"], user["email"], user["active_flag"]) for user in users] == [
        (1, "sandbox@example.com", True),
        (anna, "anna@example.com", False),
    ]
    assert data(pipedrive, "/api/v1/users/me") == users[0]


def test_a_record_belongs_to_the_keys_user_or_to_another_who_has_not_left(pipedrive: Client, company: Company) -> None:
    anna = company.add_user("Anna", "anna@example.com").id
    owned = add(pipedrive), add(pipedrive, owner_id=anna)
    assert [json(reply)["data"]["owner_id"] for reply in owned] == [1, anna]
    company.deactivate_user(anna)
    assert refusal(add(pipedrive, owner_id=anna)) == f"owner_id: User with id {anna} was not found"
    assert refusal(pipedrive.post(ORGANIZATIONS, {"name": "a", "owner_id": 99})).startswith("owner_id: ")


# --- pipelines and stages ---------------------------------------------------------------------------------------------


def test_pipelines_and_their_stages_are_listed(pipedrive: Client, company: Company) -> None:
    community = company.add_pipeline("Community", ["New", "Answered"]).id
    assert names(pipedrive, PIPELINES) == ["Pipeline", "Community"]
    assert names(pipedrive, f"{STAGES}?pipeline_id={community}&sort_by=order_nr&sort_direction=desc") == [
        "Answered",
        "New",
    ]
    assert len(data(pipedrive, STAGES)) == 7
    company.rename_pipeline(community, "People")
    company.rename_stage(6, "Fresh")
    assert names(pipedrive, f"{PIPELINES}?sort_direction=desc&limit=1") == ["People"]
    assert names(pipedrive, f"{STAGES}?pipeline_id={community}") == ["Fresh", "Answered"]


def test_a_deal_goes_to_the_first_stage_of_its_pipeline_or_to_the_stage_that_it_names(
    pipedrive: Client, company: Company
) -> None:
    community = company.add_pipeline("Community", ["New", "Answered"]).id
    replies = (
        add(pipedrive),
        add(pipedrive, pipeline_id=community),
        add(pipedrive, stage_id=7),
        add(pipedrive, pipeline_id=1, stage_id=3),
    )
    deals = [json(reply)["data"] for reply in replies]
    assert [(deal["pipeline_id"], deal["stage_id"]) for deal in deals] == [(1, 1), (2, 6), (2, 7), (1, 3)]


def test_a_change_of_pipeline_or_stage_keeps_the_two_together(pipedrive: Client, company: Company) -> None:
    community = company.add_pipeline("Community", ["New", "Answered"]).id
    add(pipedrive)
    for change, place in (
        ({"stage_id": 7}, (2, 7)),
        ({"pipeline_id": 1}, (1, 1)),
        ({"pipeline_id": community}, (2, 6)),
    ):
        deal = json(pipedrive.patch(f"{DEALS}/1", change))["data"]
        assert (deal["pipeline_id"], deal["stage_id"]) == place


def test_a_stage_that_is_gone_or_in_another_pipeline_is_400(pipedrive: Client, world: World, company: Company) -> None:
    community = company.add_pipeline("Community", ["New", "Answered"]).id
    assert refusal(add(pipedrive, pipeline_id=community, stage_id=1)).startswith("pipeline_id, stage_id: ")
    deal = json(add(pipedrive, stage_id=7))["data"]["id"]
    world.crm.delete_stage(7)
    assert refusal(add(pipedrive, stage_id=7))
    assert data(pipedrive, f"{DEALS}/{deal}")["stage_id"] == 6
    world.crm.delete_pipeline(community)
    assert refusal(add(pipedrive, pipeline_id=community))
    assert data(pipedrive, f"{DEALS}/{deal}")["pipeline_id"] == 1
    assert names(pipedrive, PIPELINES) == ["Pipeline"]
    assert len(data(pipedrive, STAGES)) == 5


def test_a_deleted_pipeline_may_be_listed_as_deleted(pipedrive: Client, world: World, company: Company) -> None:
    world.crm.delete_pipeline(company.add_pipeline("Community").id)
    world.pipedrive_api.deleted_shown = True
    assert [row["is_deleted"] for row in data(pipedrive, PIPELINES)] == [False, True]


# --- labels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "listed"), [(DEALS, DEAL_FIELDS), (ORGANIZATIONS, ORGANIZATION_FIELDS)])
def test_a_label_is_an_option_of_the_field_that_every_record_has(
    pipedrive: Client, company: Company, path: str, listed: str
) -> None:
    fields = company.deal_fields if path == DEALS else company.organization_fields
    hot, cold = fields.add_label("hot"), fields.add_label("cold")
    labels = next(field for field in data(pipedrive, listed) if field["field_code"] == "label_ids")
    assert labels["options"] == [{"id": hot, "label": "hot"}, {"id": cold, "label": "cold"}]
    body = {"title": "a"} if path == DEALS else {"name": "a"}
    assert json(pipedrive.post(path, {**body, "label_ids": [cold]}))["data"]["label_ids"] == [cold]
    assert refusal(pipedrive.post(path, {**body, "label_ids": [cold, 99]})) == "label_ids: Unknown option 99"


# --- custom fields ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "listed"), [(DEALS, DEAL_FIELDS), (ORGANIZATIONS, ORGANIZATION_FIELDS)])
def test_a_custom_field_is_known_by_a_code_of_forty_hex_digits(
    pipedrive: Client, company: Company, path: str, listed: str
) -> None:
    fields = company.deal_fields if path == DEALS else company.organization_fields
    first, second = fields.add("Gist"), fields.add("Gist", "text")
    custom = [field for field in data(pipedrive, listed) if field["is_custom_field"]]
    assert [(field["field_name"], field["field_type"]) for field in custom] == [("Gist", "varchar"), ("Gist", "text")]
    assert [field["field_code"] for field in custom] == [first.code, second.code]
    assert all(len(bytes.fromhex(field.code)) == 20 for field in (first, second))
    fields.rename(first.code, "Link")
    assert first.name in {field["field_name"] for field in data(pipedrive, listed)}


def test_fields_are_listed_page_by_page(pipedrive: Client, company: Company) -> None:
    whole = data(pipedrive, DEAL_FIELDS)
    page = json(pipedrive.get(f"{DEAL_FIELDS}?limit=5"))
    rest = json(pipedrive.get(f"{DEAL_FIELDS}?limit=500&cursor={page['additional_data']['next_cursor']}"))
    assert (page["data"] + rest["data"], rest["additional_data"]["next_cursor"]) == (whole, None)


@pytest.mark.parametrize(("path", "body"), [(DEALS, {"title": "a"}), (ORGANIZATIONS, {"name": "a"})])
def test_a_record_holds_custom_fields_by_code_and_null_where_it_holds_nothing(
    pipedrive: Client, company: Company, path: str, body: dict[str, object]
) -> None:
    fields = company.deal_fields if path == DEALS else company.organization_fields
    gist, about = fields.add("Gist").code, fields.add("About", "text").code
    created = json(pipedrive.post(path, {**body, "custom_fields": {gist: "aa5a"}}))["data"]
    assert created["custom_fields"] == {gist: "aa5a", about: None}
    changed = json(pipedrive.patch(f"{path}/1", {"custom_fields": {about: "text"}}))["data"]
    assert changed["custom_fields"] == {gist: "aa5a", about: "text"}
    assert data(pipedrive, path)[0] == data(pipedrive, f"{path}/1") == changed


def test_lists_and_reads_show_the_custom_fields_that_are_asked_for(pipedrive: Client, company: Company) -> None:
    gist, about = company.deal_fields.add("Gist").code, company.deal_fields.add("About").code
    add(pipedrive, custom_fields={gist: "aa5a", about: "text"})
    for listed in (
        data(pipedrive, f"{DEALS}?custom_fields={gist}")[0],
        data(pipedrive, f"{DEALS}/1?custom_fields={gist}"),
    ):
        assert listed["custom_fields"] == {gist: "aa5a"}
    assert refusal(pipedrive.get(f"{DEALS}?custom_fields={gist},0000")) == "custom_fields: Unknown key '0000'"
    many = ",".join(company.deal_fields.add(str(number)).code for number in range(16))
    assert refusal(pipedrive.get(f"{DEALS}?custom_fields={many}")) == "custom_fields: at most 15 keys are allowed"


def test_what_a_deleted_field_held_is_shown_no_more_and_its_code_is_unknown(
    pipedrive: Client, company: Company
) -> None:
    gist = company.deal_fields.add("Gist").code
    add(pipedrive, custom_fields={gist: "aa5a"})
    company.deal_fields.delete(gist)
    assert data(pipedrive, f"{DEALS}/1")["custom_fields"] == {}
    assert company.deal_fields.add("Gist").code != gist
    assert refusal(add(pipedrive, custom_fields={gist: "aa5a"})) == f"custom_fields: Unknown key '{gist}'"


GOOD_VALUES = {
    "varchar": "a" * 255,
    "varchar_auto": "a",
    "text": "a" * 256,
    "phone": "1",
    "double": 2,
    "monetary": {"value": 2.5, "currency": "EUR"},
    "date": "2026-11-27",
    "daterange": {"value": "2026-11-27", "until": "2026-11-28"},
    "time": {"value": "12:00:00"},
    "timerange": {"value": "12:00:00", "until": "13:00:00"},
    "address": {"value": "Tallinn"},
    "enum": 1,
    "set": [1, 2],
    "user": 1,
    "org": 1,
    "people": 1,
}
BAD_VALUES = [
    ("varchar", "a" * 256),
    ("varchar", 7),
    ("varchar", None),
    ("text", ["a"]),
    ("double", "2"),
    ("date", "27.11.2026"),
    ("enum", 3),
    ("enum", "warm"),
    ("set", 1),
    ("set", [1, 3]),
]


@pytest.mark.parametrize("field_type", VALUES)
def test_a_field_takes_what_its_type_takes(pipedrive: Client, company: Company, field_type: str) -> None:
    code, value = company.deal_fields.add("A field", field_type, ["warm", "cold"]).code, GOOD_VALUES[field_type]
    assert json(add(pipedrive, custom_fields={code: value}))["data"]["custom_fields"][code] == value


@pytest.mark.parametrize(("field_type", "value"), BAD_VALUES)
def test_a_field_refuses_a_value_of_another_type(
    pipedrive: Client, company: Company, field_type: str, value: object
) -> None:
    code = company.deal_fields.add("A field", field_type, ["warm", "cold"]).code
    assert refusal(add(pipedrive, custom_fields={code: value})).startswith(f"custom_fields: {code}: ")


# --- prices -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "price"),
    [(PIPELINES, 5), (STAGES, 5), (DEAL_FIELDS, 10), (ORGANIZATION_FIELDS, 10), ("/api/v1/users", 20)],
)
def test_a_look_at_what_is_set_up_has_its_price(pipedrive: Client, world: World, path: str, price: int) -> None:
    pipedrive.get(path)
    assert world.pipedrive_limits.tokens_used == price


def test_a_change_costs_what_a_create_does(pipedrive: Client, world: World) -> None:
    world.crm.add_deal(NewDeal("a"), NOON_AT)
    pipedrive.patch(f"{DEALS}/1", {"title": "b"})
    assert world.pipedrive_limits.tokens_used == 5
    assert ids(pipedrive, DEALS) == [1]
