"""From the names in a template to what Pipedrive knows them by, or what doesn't fit: asked of the sandbox."""

from random import Random

import msgspec
import pytest
from twisted.internet.task import Clock

from pipetest.config.deals import template
from pipetest.domain.errors import Denied
from pipetest.domain.model import Reply, Request, Secret
from pipetest.domain.template import Field, Ids, Misfit, OrganizationIds
from pipetest.pipedrive.catalog import MOST_TOKENS
from pipetest.pipedrive.client import PipedriveClient
from pipetest.pipedrive.prices import cost_of
from pipetest.sandbox.in_process import InProcessExchange
from pipetest.sandbox.pipedrive.company import Company
from pipetest.sandbox.world import KEY, World
from tests.support.exchanges import CheckedExchange, ScriptedExchange
from tests.support.results import result_of

ROOT = "https://company.pipedrive.com"

ALL_OF_IT = """
title = "{description} · {id}"
pipeline = "Community"
stage = "New"
owner = "anna@example.com"
labels = ["gist", "fresh"]
fields = {"Gist id" = "{id}", "About" = "{files}"}
organization = {owner = "Bob", fields = {"GitHub" = "{profile_url}"}}
"""


class Crm:
    """A company that has all of it, asked through the real client; every exchange is checked."""

    def __init__(self) -> None:
        clock = Clock()
        self.world = World(clock.seconds, Random(1))
        self.company: Company = self.world.crm.company
        in_process = InProcessExchange(self.world.pipedrive, clock, self.world.held_replies)
        self.exchange = CheckedExchange(in_process, ROOT)
        self.client = PipedriveClient(self.exchange, ROOT, Secret(KEY))

    def look_up(self, toml: str) -> Ids | Misfit:
        return result_of(self.client.look_up(template(toml).value))

    def wrong(self, toml: str) -> str:
        misfit = self.look_up(f"title = '{{id}}'\n{toml}")
        assert isinstance(misfit, Misfit)
        return misfit.reason

    @property
    def tokens(self) -> int:
        return sum(cost_of(request).price for request in self.exchange.requests)


@pytest.fixture
def crm() -> Crm:
    crm = Crm()
    company = crm.company
    company.add_user("Anna", "anna@example.com")
    company.add_user("Bob", "bob@example.com")
    company.add_pipeline("Community", ("New", "Talking"))
    company.deal_fields.add("Gist id")
    company.deal_fields.add("About", "text")
    company.organization_fields.add("GitHub")
    for label in ("gist", "fresh"):
        company.deal_fields.add_label(label)
    return crm


def code(crm: Crm, name: str) -> str:
    fields = [*crm.company.deal_fields.listed, *crm.company.organization_fields.listed]
    (found,) = [field.code for field in fields if field.name == name]
    return found


def test_each_name_becomes_the_id_or_code_that_it_stands_for(crm: Crm) -> None:
    new = next(stage.id for stage in crm.company.stages.values() if stage.name == "New")
    assert crm.look_up(ALL_OF_IT) == Ids(
        pipeline=2,
        stage=new,
        owner=2,
        labels=(1, 2),
        fields={"Gist id": Field(code(crm, "Gist id"), 255), "About": Field(code(crm, "About"), 65_000)},
        organization=OrganizationIds(3, {"GitHub": Field(code(crm, "GitHub"), 255)}),
    )
    assert crm.tokens == 50


def test_only_what_a_template_names_is_read(crm: Crm) -> None:
    crm.look_up('[fields]\n"Gist id" = "{id}"')
    assert crm.tokens == 10
    crm.look_up("pipeline = 2\nstage = 'New'")
    assert crm.tokens == 20


def test_more_fields_than_are_on_a_page_are_read_for_sixty_tokens_at_most(crm: Crm) -> None:
    crm.world.pipedrive_api.page_ceiling = 10
    for number in range(9):
        crm.company.deal_fields.add(f"other {number}")
    crm.company.deal_fields.add("Last")
    assert isinstance(crm.look_up(ALL_OF_IT.replace("About", "Last")), Ids)
    assert crm.tokens == MOST_TOKENS
    crm.world.pipedrive_api.page_ceiling = 2
    assert isinstance(crm.look_up(ALL_OF_IT), Misfit)
    assert crm.tokens == 2 * MOST_TOKENS


def test_numbers_are_ids_and_a_stage_tells_its_pipeline(crm: Crm) -> None:
    found = crm.look_up("stage = 6\nowner = 3\nlabels = [2]")
    assert found == Ids(pipeline=2, stage=6, owner=3, labels=(2,))


def test_names_are_found_in_whatever_case_but_as_written_first(crm: Crm) -> None:
    crm.company.add_stage(2, "NEW")
    assert crm.look_up("pipeline = ' community'\nstage = 'New'") == Ids(pipeline=2, stage=6)
    assert "there are 2 stages “new” in pipeline “Community”" in crm.wrong("pipeline = 'Community'\nstage = 'new'")


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("pipeline = 'Comunity'", "there is no pipeline “Comunity” (only “Pipeline”, “Community”)"),
        ("pipeline = 'Community'\nstage = 'Old'", "no stage “Old” in pipeline “Community” (only “New”, “Talking”)"),
        ("pipeline = 1\nstage = 6", "there is no stage 6 in pipeline 1 (only “Qualified”, "),
        ("stage = 99", "there is no stage 99 (only “Qualified”, "),
        ("owner = 'carl@example.com'", "there is no user “carl@example.com” (only “Sandbox”, “Anna”, “Bob”"),
        ("owner = 99", "there is no user 99 (only “Sandbox”"),
        ("labels = ['gist', 'old']", "there is no label “old” (only “gist”, “fresh”"),
        ("fields = {'Gist' = '{id}'}", "there is no deal field “Gist” (only “Gist id”, “About”"),
        ("fields = {'Title' = '{id}'}", "there is no deal field “Title” (only "),
        ("organization.fields = {'Web' = '{user}'}", "there is no organization field “Web” (only “GitHub”"),
        ("organization.owner = 'carl'", "there is no user “carl”"),
    ],
)
def test_what_is_unknown_is_named_with_what_there_is(crm: Crm, toml: str, said: str) -> None:
    assert said in crm.wrong(toml)


def test_what_people_have_deleted_or_left_is_unknown(crm: Crm) -> None:
    crm.world.pipedrive_api.deleted_shown = True
    crm.company.deactivate_user(2)
    crm.company.delete_stage(6)
    crm.company.deal_fields.delete(code(crm, "Gist id"))
    assert "no user “anna@example.com” (only “Sandbox”, “Bob”" in crm.wrong("owner = 'anna@example.com'")
    assert "no stage “New” in pipeline 2 (only “Talking”)" in crm.wrong("pipeline = 2\nstage = 'New'")
    assert "no deal field “Gist id” (only “About”" in crm.wrong("fields = {'Gist id' = '{id}'}")
    crm.company.delete_pipeline(2)
    assert "no pipeline 2 (only “Pipeline”" in crm.wrong("pipeline = 2\nstage = 'Talking'")


def test_what_several_records_are_called_is_ambiguous(crm: Crm) -> None:
    crm.company.deal_fields.add("Gist id")
    crm.company.add_user("Anna", "anna@other.example")
    assert "there are 2 deal fields “Gist id” (rename one of them)" in crm.wrong("fields = {'Gist id' = '{id}'}")
    assert "there are 2 users “Anna” (write the id of one instead: 2, 4)" in crm.wrong("owner = 'Anna'")
    assert crm.look_up("owner = 'anna@other.example'") == Ids(owner=4)


def test_only_text_fields_with_room_can_be_filled(crm: Crm) -> None:
    crm.company.deal_fields.add("Worth", "monetary")
    assert "deal field “Worth” is of type monetary, but only text" in crm.wrong("fields = {Worth = '{id}'}")
    text = "x" * 256
    assert "deal field “Gist id” has room for 255 characters" in crm.wrong(f"fields = {{'Gist id' = '{text}'}}")
    assert isinstance(crm.look_up(f"fields = {{'About' = '{text}'}}"), Ids)


def test_all_that_is_wrong_is_told_at_once_on_one_line(crm: Crm) -> None:
    crm.company.deal_fields.add("a\nb")
    told = crm.wrong("pipeline = 'x'\nowner = 'y'\norganization.owner = 'y'\nfields = {'z' = '{id}'}")
    assert len(told.splitlines()) == 1
    assert [told.count(f"there is no {kind}") for kind in ("pipeline", "user", "deal field")] == [1, 1, 1]


def test_of_much_that_there_is_the_first_twenty_are_told(crm: Crm) -> None:
    for number in range(30):
        crm.company.deal_fields.add(f"other {number}")
    told = crm.wrong("fields = {'z' = '{id}'}")
    assert told.endswith("“other 17” and 12 more)")


# --- what others may answer -------------------------------------------------------------------------------------------


def answering(status: int, body: object) -> PipedriveClient:
    reply = Reply(status, {}, msgspec.json.encode(body))
    return PipedriveClient(ScriptedExchange(lambda request: reply), ROOT, Secret(KEY))


def test_a_look_up_that_is_forbidden_does_not_fit() -> None:
    client = answering(403, {"success": False, "error": "No permission"})
    assert result_of(client.look_up(template("stage = 3").value)) == Misfit(
        "the API key may not read what there is: not allowed (403): No permission"
    )


def test_a_refused_key_is_about_the_account() -> None:
    with pytest.raises(Denied):
        result_of(answering(401, {"success": False, "error": "unauthorized access"}).look_up(template("stage=3").value))


@pytest.mark.parametrize(
    "rows",
    [
        None,
        [],
        [{"id": None, "name": None}, {}, {"id": "7", "name": "New"}, {"id": 7, "name": 7}],
        [{"field_name": "New", "field_code": "../a", "field_type": "varchar", "is_custom_field": True}],
        [{"field_name": "New", "field_code": "label_ids", "options": [None, 7, {}, {"id": "a", "label": "New"}]}],
    ],
)
def test_rows_that_make_no_sense_are_nobodys(rows: object) -> None:
    client = answering(200, {"success": True, "data": rows})
    for toml in ("stage = 3", "owner = 'New'", "fields = {New = '{id}'}", "labels = ['New']"):
        found = result_of(client.look_up(template(f"title = '{{id}}'\n{toml}").value))
        assert isinstance(found, Misfit), toml


def test_users_are_asked_for_without_a_query() -> None:
    asked: list[Request] = []

    def answer(request: Request) -> Reply:
        asked.append(request)
        return Reply(200, {}, b'{"success": true, "data": []}')

    client = PipedriveClient(ScriptedExchange(answer), ROOT, Secret(KEY))
    result_of(client.look_up(template("owner = 3").value))
    assert [request.url for request in asked] == [f"{ROOT}/api/v1/users"]
