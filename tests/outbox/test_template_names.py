"""What the template names is looked up before anything is created, and where refusals make it doubtful."""

from collections.abc import Callable
from itertools import pairwise
from math import inf
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace
from twisted.logger import capturedLogs

from pipetest.config.deals import template
from pipetest.domain.model import Gist, Quarantined, Text
from pipetest.domain.template import DealShape
from pipetest.outbox.template_names import BETWEEN_S, KEPT_S
from pipetest.pipedrive.prices import cost_of
from pipetest.sandbox.faults import FAULTS, Fault, Rule
from tests.support.in_memory import SETTLE_S, InMemoryPipeline
from tests.support.log import lines
from tests.support.results import result_of

TEMPLATE = """
title = "{description} · {id}"
pipeline = "Community"
stage = "New"
fields = {"Gist id" = "{id}"}
organization = {owner = "Anna"}
"""

NO_FIELDS = """
pipeline = "Community"
stage = "New"
"""

HOUR_S = 3600.0


@pytest.fixture
def memory() -> InMemoryPipeline:
    """Whatever the template names is there."""
    memory = InMemoryPipeline()
    company = memory.world.crm.company
    company.add_pipeline("Community", ("New", "Talking"))
    company.add_user("Anna", "anna@example.com")
    company.deal_fields.add("Gist id")
    memory.template = template(TEMPLATE)
    return memory


def stamp(memory: InMemoryPipeline) -> str:
    """The code of the field that holds the gist's id."""
    (code,) = memory.world.crm.company.deal_fields.custom
    return code


def look_ups(memory: InMemoryPipeline) -> int:
    return sum(urlsplit(request.url).path.endswith("/stages") for request in memory.pipedrive.requests)


def misfit(memory: InMemoryPipeline) -> str | None:
    return memory.outbox.breaker.misfit


def creates(memory: InMemoryPipeline) -> list[str]:
    """What each create was of, in the order in which they left."""
    return [urlsplit(request.url).path.rpartition("/")[2] for request in memory.pipedrive.requests if request.body]


def stamps(memory: InMemoryPipeline) -> list[str]:
    memory.world.apply_late_calls()
    return [row.fields["custom_fields"].get(stamp(memory)) for row in memory.world.crm.deals.values()]


def test_records_are_created_as_the_template_says_for_five_tokens_each(memory: InMemoryPipeline) -> None:
    memory.write("a", "b")
    memory.start()
    memory.settle()
    deals = [row.fields for row in memory.world.crm.deals.values()]
    assert {(deal["pipeline_id"], deal["stage_id"]) for deal in deals} == {(2, 6)}
    assert sorted(stamps(memory)) == ["a", "b"]
    assert [row.fields["owner_id"] for row in memory.world.crm.organizations.values()] == [2]
    assert sorted(creates(memory)) == ["deals", "deals", "organizations"]
    assert sum(cost_of(request).price for request in memory.pipedrive.requests if request.body) == 15
    assert look_ups(memory) == 1


def test_a_template_that_names_nothing_looks_nothing_up(memory: InMemoryPipeline) -> None:
    memory.template = template('title = "{user}: {id}"')
    memory.write("a")
    memory.start()
    memory.settle()
    assert memory.deals() == [("ada: a", 1)]
    assert look_ups(memory) == 0


def test_before_anything_was_looked_up_it_is_told_what_the_next_deal_will_look_like(memory: InMemoryPipeline) -> None:
    memory.wire()
    assert memory.outbox.shape == DealShape(memory.template.value)


def test_what_was_looked_up_is_known_for_a_day_over_restarts(memory: InMemoryPipeline) -> None:
    memory.write("a")
    memory.start()
    memory.settle()
    memory.kill()
    memory.clock.advance(KEPT_S - HOUR_S)
    memory.write("b")
    memory.start()
    memory.settle()
    assert (look_ups(memory), len(memory.deals())) == (0, 2)
    memory.pass_time(HOUR_S)
    memory.write("c")
    memory.pass_time(HOUR_S)
    assert (look_ups(memory), len(memory.deals())) == (1, 3)


def test_what_was_looked_up_for_another_template_does_not_count(memory: InMemoryPipeline) -> None:
    memory.write("a")
    memory.start()
    memory.settle()
    memory.kill()
    memory.template = template(TEMPLATE.replace("New", "Talking"))
    memory.write("b")
    memory.start()
    memory.settle()
    assert look_ups(memory) == 1
    assert [row.fields["stage_id"] for row in memory.world.crm.deals.values()] == [6, 7]


@pytest.mark.parametrize("restarted", [False, True])
def test_an_organization_that_only_a_backfill_asks_for_shows_the_number_of_its_account(
    memory: InMemoryPipeline, restarted: bool
) -> None:
    memory.world.crm.company.organization_fields.add("Account")
    memory.template = template('[organization.fields]\nAccount = "{owner_id}"')
    memory.backfill_since = inf
    memory.write("a")
    memory.start()
    memory.settle()
    if restarted:
        memory.kill()
        memory.start()
    memory.outbox.skipped_no_more(result_of(memory.store.want_skipped("ada")))
    memory.settle()
    (organization,) = memory.world.crm.organizations.values()
    (user,) = result_of(memory.store.users())
    assert [*organization.fields["custom_fields"].values()] == [str(user.owner_id)]


# --- a template that doesn't fit --------------------------------------------------------------------------------------


def test_while_the_template_does_not_fit_nothing_is_created_and_scans_go_on(memory: InMemoryPipeline) -> None:
    memory.template = template(TEMPLATE.replace("Community", "Comunity"))
    memory.write("a")
    memory.start()
    memory.settle()
    memory.write("b")
    memory.pass_time(HOUR_S)
    assert misfit(memory) == ("there is no pipeline “Comunity” (only “Pipeline”, “Community”)")
    assert (memory.feed(), creates(memory)) == (["a", "b"], [])


def test_it_is_looked_up_again_after_five_minutes_doubling_to_an_hour(memory: InMemoryPipeline) -> None:
    memory.template = template(TEMPLATE.replace("Community", "Comunity"))
    memory.write("a")
    memory.start()
    moments, began = list[float](), memory.clock.seconds()
    for _ in range(6 * 60):
        before = look_ups(memory)
        memory.pass_time(60.0, step=10.0)
        if look_ups(memory) > before:
            moments.append((memory.clock.seconds() - began) // 60)
    asked = [after - before for before, after in pairwise(moments)]
    assert asked[:6] == [5, 10, 20, 40, 60, 60]


def test_it_is_looked_up_at_once_when_people_ask_and_then_all_is_created(memory: InMemoryPipeline) -> None:
    memory.template = template(TEMPLATE.replace("Community", "Partners"))
    memory.write("a", "b")
    memory.start()
    memory.settle()
    assert misfit(memory) is not None
    memory.world.crm.company.rename_pipeline(2, "Partners")
    memory.outbox.look_up_now()
    memory.pass_time(2.0)
    assert misfit(memory) is None
    assert len(memory.deals()) == 2


def test_another_template_counts_at_once_for_what_is_created_from_then_on(memory: InMemoryPipeline) -> None:
    memory.template = template(TEMPLATE.replace("Community", "Comunity"))
    memory.write("a")
    memory.start()
    memory.settle()
    memory.template.renew(template(TEMPLATE))
    memory.outbox.template_changed()
    memory.pass_time(2.0)
    assert (misfit(memory), stamps(memory)) == (None, ["a"])
    memory.template.renew(template(""))
    memory.outbox.template_changed()
    memory.write("b")
    memory.pass_time(HOUR_S)
    assert memory.deals()[1] == ("b", 1)


def go_on_with_a_full_disk(memory: InMemoryPipeline, gist: str) -> None:
    """What begins now waits for room before it is stored."""
    memory.create_ready = inf
    memory.record(Gist(gist, memory.clock.seconds(), Text()))
    memory.disk.capacity = 0
    memory.create_ready = 0.0
    memory.outbox.wake()
    memory.pass_time(10.0)


@pytest.mark.parametrize("text", [TEMPLATE, NO_FIELDS])
@pytest.mark.parametrize("begun", ["the create", "the look-up"])
def test_what_has_begun_when_another_template_comes_is_done_by_that_one(
    memory: InMemoryPipeline, text: str, begun: str
) -> None:
    memory.template = template(text)
    memory.write("a")
    memory.start()
    memory.settle()
    memory.pass_time(KEPT_S if begun == "the look-up" else 0.0, step=60.0)
    before = look_ups(memory), len(creates(memory))
    go_on_with_a_full_disk(memory, "b")
    assert (look_ups(memory) > before[0], len(creates(memory))) == (begun == "the look-up", before[1])
    memory.template.renew(template(text.replace("New", "Talking")))
    memory.outbox.template_changed()
    memory.disk.capacity = None
    memory.settle()
    assert [row.fields["stage_id"] for row in memory.world.crm.deals.values()] == [6, 7]


def test_without_a_name_a_template_fits_anything(memory: InMemoryPipeline) -> None:
    memory.template = template(TEMPLATE.replace("Community", "Comunity"))
    memory.write("a")
    memory.start()
    memory.settle()
    memory.template.renew(template(""))
    memory.outbox.template_changed()
    memory.pass_time(2.0)
    assert (misfit(memory), memory.deals()) == (None, [("a", 1)])


def test_a_look_up_that_fails_is_made_again_and_nothing_is_created_before(memory: InMemoryPipeline) -> None:
    memory.fail("500", "Pipedrive", path="/api/v2/dealFields", times=2)
    memory.write("a")
    memory.start()
    memory.settle()
    assert look_ups(memory) == 3
    assert stamps(memory) == ["a"]


def test_a_dry_run_says_what_does_not_fit(memory: InMemoryPipeline) -> None:
    memory.template = template(TEMPLATE.replace("Community", "Comunity"))
    memory.write("a")
    memory.start(dry_run=True)
    memory.settle()
    assert misfit(memory) is not None


# --- what changes in Pipedrive since ----------------------------------------------------------------------------------


def test_a_field_that_goes_away_quarantines_no_gist(memory: InMemoryPipeline) -> None:
    memory.write("a")
    memory.start()
    memory.settle()
    memory.pass_time(BETWEEN_S)
    memory.world.crm.company.deal_fields.delete(stamp(memory))
    memory.write("b", "c", "d", "e")
    with capturedLogs() as events:
        memory.pass_time(2 * HOUR_S)
    assert misfit(memory) == "there is no deal field “Gist id” (only none)"
    assert not memory.outbox.tasks.quarantined
    assert not [line for line in lines(events) if "is quarantined" in line]
    memory.world.crm.company.deal_fields.add("Gist id")
    memory.pass_time(2 * HOUR_S)
    assert len(memory.deals()) == 5


def test_one_that_goes_away_just_after_a_look_up_quarantines_none_either(memory: InMemoryPipeline) -> None:
    memory.write("a")
    memory.start()
    memory.settle()
    memory.world.crm.company.deal_fields.delete(stamp(memory))
    memory.write("b", "c", "d", "e")
    memory.pass_time(HOUR_S)
    assert misfit(memory) is not None
    assert not memory.outbox.tasks.quarantined


def put_right(memory: InMemoryPipeline) -> None:
    """The field is there again, and people ask for a look-up."""
    memory.world.crm.company.deal_fields.add("Gist id")
    memory.outbox.look_up_now()


def use_the_default(memory: InMemoryPipeline) -> None:
    memory.template.renew(template(""))
    memory.outbox.template_changed()


@pytest.mark.parametrize("remedy", [put_right, use_the_default])
def test_what_waits_for_a_look_up_goes_on_at_once_when_people_ask_or_change_the_template(
    memory: InMemoryPipeline, remedy: Callable[[InMemoryPipeline], None]
) -> None:
    memory.write("a")
    memory.start()
    memory.pass_time(2 * SETTLE_S)
    memory.world.crm.company.deal_fields.delete(stamp(memory))
    memory.write("b", "c")
    memory.scanner.scan_now()
    memory.pass_time(2.0)
    assert (len(memory.deals()), memory.outbox.template_in_doubt) == (1, True)
    remedy(memory)
    memory.pass_time(2.0)
    assert (len(memory.deals()), memory.outbox.template_in_doubt) == (3, False)


def test_an_owner_who_left_quarantines_no_organization(memory: InMemoryPipeline) -> None:
    memory.users = ("ada", "bob")
    memory.write("a")
    memory.start()
    memory.settle()
    memory.pass_time(BETWEEN_S)
    memory.world.crm.company.deactivate_user(2)
    memory.world.accounts.open("bob")
    memory.write("b", user="bob")
    memory.pass_time(HOUR_S)
    assert not memory.outbox.tasks.quarantined
    assert misfit(memory) == "there is no user “Anna” (only “Sandbox”)"


def test_a_gist_that_is_refused_by_itself_is_quarantined_after_one_look_up(memory: InMemoryPipeline) -> None:
    memory.write("a")
    memory.start()
    memory.settle()
    memory.pass_time(BETWEEN_S)
    memory.refuse("400", "/api/v2/deals", body='"bad"')
    memory.write("bad", "good")
    memory.pass_time(HOUR_S)
    assert isinstance(memory.outbox.tasks.state_of("bad"), Quarantined)
    assert (look_ups(memory), len(memory.deals())) == (2, 2)


SLOW_400 = replace(FAULTS["400"], delay=10.0)


def refuse_while_template_changes(memory: InMemoryPipeline, text: str, *faults: Fault) -> None:
    """One deal is made; the next one's creates meet these faults, and another template comes while one is under way."""
    memory.write("a")
    memory.start()
    memory.settle()
    memory.pass_time(BETWEEN_S)
    for fault in faults:
        memory.world.faults.add(Rule(fault, "Pipedrive", "POST", "/api/v2/deals", times=1))
    memory.write("b")
    memory.scanner.scan_now()
    memory.pass_time(5.0)
    memory.template.renew(template(text))
    memory.outbox.template_changed()


@pytest.mark.parametrize("refused_before", [False, True])
@pytest.mark.parametrize("text", ["", TEMPLATE])
def test_one_that_is_refused_while_names_or_template_change_is_tried_again_with_those(
    memory: InMemoryPipeline, text: str, refused_before: bool
) -> None:
    refuse_while_template_changes(memory, text, *(FAULTS["400"], SLOW_400)[not refused_before :])
    with capturedLogs() as events:
        memory.pass_time(60.0)
    assert not [line for line in lines(events) if "is quarantined" in line]
    assert len(memory.deals()) == 2


def test_one_that_is_refused_by_two_templates_in_a_row_is_quarantined_without_another_look_up(
    memory: InMemoryPipeline,
) -> None:
    refuse_while_template_changes(memory, TEMPLATE, SLOW_400, FAULTS["400"])
    memory.pass_time(60.0)
    assert isinstance(memory.outbox.tasks.state_of("b"), Quarantined)
    assert look_ups(memory) == 2


def test_however_many_are_refused_it_is_looked_up_every_ten_minutes_at_most(memory: InMemoryPipeline) -> None:
    memory.start()
    memory.settle()
    memory.refuse("400", "/api/v2/deals", body="bad")
    for number in range(12):
        memory.write(f"bad{number}")
        memory.pass_time(300.0)
    memory.pass_time(2 * HOUR_S)
    assert len(memory.outbox.tasks.quarantined) == 12
    assert 2 <= look_ups(memory) <= 1 + (memory.clock.seconds() - 1_700_000_000.0) / BETWEEN_S


def test_after_a_look_up_the_first_create_goes_alone(memory: InMemoryPipeline) -> None:
    memory.world.pipedrive.latency = 1.0
    memory.write("a", "b", "c", "d")
    memory.start()
    memory.settle()
    memory.pass_time(KEPT_S)
    memory.write("e", "f", "g", "h")
    already = len(creates(memory))
    memory.pass_time_until(lambda: len(creates(memory)) > already, step=0.1)
    memory.pass_time(0.7, step=0.1)
    assert len(creates(memory)) == already + 1
    memory.settle()
    assert len(memory.deals()) == 8


def test_settling_is_no_reason_to_look_up(memory: InMemoryPipeline) -> None:
    memory.fail("applied-reset", "Pipedrive", method="POST", path="/api/v2/deals")
    memory.write("a")
    memory.start()
    memory.pass_time(10 * SETTLE_S)
    assert (look_ups(memory), stamps(memory)) == (1, ["a"])
