"""An organization that people deleted is made anew; one that they merged or renamed is where its deals are now."""

import pytest
from msgspec.structs import replace
from twisted.logger import capturedLogs

from pipetest.domain.model import Gist, Reply, Request
from pipetest.outbox.reconciliation import ASKED
from pipetest.sandbox.faults import FAULTS, Rule
from tests.support.in_memory import INTERVAL_S, SETTLE_S, InMemoryPipeline

GISTS = [f"{number:032x}" for number in range(1, 7)]


def with_deals(memory: InMemoryPipeline, *gists: str) -> None:
    memory.write(*gists)
    memory.start()
    memory.settle()


def write_on(memory: InMemoryPipeline, *gists: str) -> None:
    memory.write(*gists)
    memory.pass_time(INTERVAL_S + 10 * SETTLE_S)


def places(memory: InMemoryPipeline) -> dict[str, int]:
    """The organization of each gist's deal; a gist has one at most."""
    deals = memory.deals()
    assert len(dict(deals)) == len(deals)
    return dict(deals)


@pytest.mark.parametrize("deleted_shown", [False, True])
def test_the_organization_into_which_a_users_was_merged_is_the_users_from_then_on(
    memory: InMemoryPipeline, deleted_shown: bool
) -> None:
    memory.world.pipedrive_api.deleted_shown = deleted_shown
    with_deals(memory, *GISTS[:3])
    customer = memory.add_organization("A customer")
    memory.world.crm.archive_deal(1)
    memory.world.crm.merge_organizations(1, customer)
    write_on(memory, *GISTS[3:5])
    write_on(memory, GISTS[5])
    assert places(memory) == dict.fromkeys(GISTS, customer)
    assert memory.organizations() == ["ada", "A customer"]


def test_what_the_organization_holds_into_which_a_users_was_merged_is_adopted_before_anything_is_created(
    memory: InMemoryPipeline,
) -> None:
    with_deals(memory, *GISTS[:2])
    customer = memory.add_organization("A customer")
    memory.add_deal("1234", customer)
    memory.world.crm.merge_organizations(1, customer)
    memory.write("1234")
    write_on(memory, GISTS[2])
    assert places(memory) == dict.fromkeys([*GISTS[:3], "1234"], customer)


def test_what_it_holds_of_a_gist_that_is_published_only_afterwards_is_adopted_as_well(memory: InMemoryPipeline) -> None:
    with_deals(memory, *GISTS[:2])
    customer = memory.add_organization("A customer")
    memory.add_deal("1234", customer)
    memory.world.accounts.write("ada", gist_id="1234", public=False)
    memory.world.crm.merge_organizations(1, customer)
    write_on(memory, GISTS[2])
    memory.world.accounts.publish("1234")
    write_on(memory, GISTS[3])
    assert places(memory) == dict.fromkeys([*GISTS[:4], "1234"], customer)


def test_the_organization_that_holds_the_deals_is_the_users_though_another_one_has_the_users_name(
    memory: InMemoryPipeline,
) -> None:
    with_deals(memory, *GISTS[:3])
    customer = memory.add_organization("A customer")
    memory.add_organization("ada")
    memory.world.crm.merge_organizations(1, customer)
    write_on(memory, GISTS[3])
    assert places(memory) == dict.fromkeys(GISTS[:4], customer)


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_an_organization_whose_deals_are_not_mostly_in_another_one_was_deleted_and_is_made_anew(
    memory: InMemoryPipeline, moved: int
) -> None:
    with_deals(memory, *GISTS[:4])
    customer = memory.add_organization("A customer")
    for deal in range(1, moved + 1):
        memory.world.crm.move_deal(deal, customer)
    memory.world.crm.delete_organization(1)
    write_on(memory, GISTS[4])
    assert memory.organizations() == ["ada", "A customer", "ada"]
    assert places(memory)[GISTS[4]] == 3


def test_an_organization_whose_deals_are_in_another_deleted_one_is_made_anew(memory: InMemoryPipeline) -> None:
    with_deals(memory, *GISTS[:3])
    customer = memory.add_organization("A customer")
    memory.world.crm.merge_organizations(1, customer)
    memory.world.crm.delete_organization(customer)
    write_on(memory, GISTS[3])
    assert places(memory)[GISTS[3]] == 3


def test_a_lost_answer_and_a_merge_make_no_second_deal(memory: InMemoryPipeline) -> None:
    with_deals(memory, *GISTS[:3])
    customer = memory.add_organization("A customer")
    memory.fail("applied-silent", "Pipedrive", method="POST", path="/api/v2/deals")
    memory.write(GISTS[3])
    memory.pass_time_until(lambda: len(memory.deals()) == 4)
    memory.world.crm.merge_organizations(1, customer)
    memory.pass_time(10 * SETTLE_S)
    assert places(memory) == dict.fromkeys(GISTS[:4], customer)


def test_many_gists_that_find_the_organization_gone_ask_once_where_its_deals_are(memory: InMemoryPipeline) -> None:
    with_deals(memory, *GISTS[:3])
    memory.world.crm.merge_organizations(1, memory.add_organization("A customer"))
    write_on(memory, *(f"{number:032x}" for number in range(100, 120)))
    asked = [r for r in memory.pipedrive.requests if "/deals?ids=" in r.url]
    assert (len(asked), len(memory.deals())) == (1, 23)


@pytest.mark.parametrize("status", [400, 404])
def test_where_the_list_of_a_deleted_organization_is_refused_ever_after_its_gists_go_on_in_a_new_one(
    memory: InMemoryPipeline, status: int
) -> None:
    with_deals(memory, GISTS[0])
    sandbox = memory.pipedrive.exchange

    async def exchange(request: Request) -> Reply:
        refused = Reply(status, {}, b'{"success": false, "error": "no such organization"}')
        return refused if "org_id=1&" in request.url else await sandbox(request)

    memory.pipedrive.exchange = exchange
    memory.fail("reset", "Pipedrive", method="POST", path="/api/v2/deals")
    memory.record(Gist(GISTS[1], memory.clock.seconds()))
    memory.pass_time(1.0)
    memory.world.crm.delete_organization(1)
    memory.pass_time(10 * SETTLE_S)
    assert places(memory) == {GISTS[0]: 1, GISTS[1]: 2}


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_living_organization_whose_list_is_refused_does_not_count_as_empty(
    memory: InMemoryPipeline, status: int
) -> None:
    memory.add_deal("1234", memory.add_organization("ada"))
    memory.write("1234")
    memory.start()
    sandbox = memory.pipedrive.exchange

    async def exchange(request: Request) -> Reply:
        refused = Reply(status, {}, b'{"success": false, "error": "no"}')
        return refused if "org_id=1&" in request.url else await sandbox(request)

    memory.pipedrive.exchange = exchange
    memory.pass_time(3600.0, step=10.0)
    assert memory.posts() == 0
    memory.pipedrive.exchange = sandbox
    memory.pass_time(3600.0, step=10.0)
    assert (memory.deals(), memory.done) == ([("1234", 1)], {"1234": 1})


def test_an_organization_that_is_deleted_again_is_made_anew_again(memory: InMemoryPipeline) -> None:
    with_deals(memory, GISTS[0])
    for number in (1, 2):
        memory.world.crm.delete_organization(number)
        write_on(memory, GISTS[number])
    assert places(memory) == {GISTS[0]: 1, GISTS[1]: 2, GISTS[2]: 3}


@pytest.mark.parametrize("delay", [0.0, 15.0])
def test_a_gist_that_finds_its_organization_gone_when_another_has_found_that_out_is_in_no_quarantine(
    memory: InMemoryPipeline, delay: float
) -> None:
    with_deals(memory, GISTS[0])
    memory.world.pipedrive.latency = 0.3
    memory.world.crm.delete_organization(1)
    for gist in GISTS[1:3]:
        memory.record(Gist(gist, memory.clock.seconds()))
    memory.pass_time(SETTLE_S / 2)  # both were refused, and are searched for before that counts
    late = replace(FAULTS["slow"], delay=delay)
    memory.world.faults.add(Rule(late, "Pipedrive", "GET", "/api/v2/organizations/1", times=1))
    with capturedLogs() as events:
        memory.pass_time_until(lambda: len(memory.organizations()) == 2, step=0.1)
        assert not memory.outbox.tasks.quarantined
        memory.pass_time(10 * SETTLE_S, step=0.5)
    assert [event.get("event") for event in events].count("organization_deleted") == 1
    assert places(memory) == {GISTS[0]: 1, GISTS[1]: 2, GISTS[2]: 2}


def lose_database(memory: InMemoryPipeline) -> None:
    memory.kill()
    for suffix in list(memory.disk.files):
        memory.disk.take_away(suffix)


@pytest.mark.parametrize("lost", [False, True])
def test_of_a_user_with_many_deals_the_newest_hundred_are_asked_where_they_are(
    memory: InMemoryPipeline, lost: bool
) -> None:
    with_deals(memory, *(f"{number:032x}" for number in range(100, 100 + ASKED + 1)))
    customer = memory.add_organization("A customer")
    memory.world.crm.merge_organizations(1, customer)
    memory.pipedrive.requests.clear()
    if lost:
        lose_database(memory)
    memory.write(GISTS[0])
    if lost:
        memory.start()
    memory.pass_time(INTERVAL_S + 10 * SETTLE_S, step=5.0)
    assert places(memory)[GISTS[0]] == customer
    asked = {r.url.partition("ids=")[2].partition("&")[0].count(",") + 1 for r in memory.pipedrive.requests}
    assert max(asked) == ASKED


@pytest.mark.parametrize("merged", [False, True])
def test_without_a_database_a_renamed_or_merged_organization_is_found_by_its_deals(
    memory: InMemoryPipeline, merged: bool
) -> None:
    with_deals(memory, *GISTS[:3])
    customer = memory.add_organization("A customer")
    if merged:
        memory.world.crm.merge_organizations(1, customer)
    else:
        memory.world.crm.rename_organization(1, "Ada Ltd")
    lose_database(memory)
    memory.write(GISTS[3])
    memory.start()
    memory.settle()
    assert places(memory) == dict.fromkeys(GISTS[:4], customer if merged else 1)


def test_without_a_database_the_organization_of_the_users_name_that_holds_most_deals_is_the_users(
    memory: InMemoryPipeline,
) -> None:
    older = memory.add_organization("ADA")
    memory.add_organization("bob")
    younger = memory.add_organization("ada")
    memory.add_deal(GISTS[0], older)
    for gist in GISTS[1:3]:
        memory.add_deal(gist, younger)
    with_deals(memory, *GISTS[:4])
    assert places(memory) == {GISTS[0]: older} | dict.fromkeys(GISTS[1:4], younger)


@pytest.mark.parametrize("page", ["403-html", "502"])
def test_a_page_that_is_not_pipedrives_own_does_not_show_that_an_organization_is_gone(
    memory: InMemoryPipeline, page: str
) -> None:
    with_deals(memory, GISTS[0])
    memory.fail("400", "Pipedrive", method="POST", path="/api/v2/deals")
    memory.fail(page, "Pipedrive", method="GET", path="/api/v2/organizations/1", times=3)
    write_on(memory, GISTS[1])
    assert memory.organizations() == ["ada"]


@pytest.mark.parametrize("cause", ["a cap", "a lost answer"])
def test_a_deal_of_which_nobody_knows_yet_is_found_though_people_merged_its_organization_meanwhile(
    memory: InMemoryPipeline, cause: str
) -> None:
    other, crm = memory.add_organization("a customer"), memory.world.crm
    memory.write(GISTS[0])
    if cause == "a cap":
        crm.open_deals = 0
    else:
        memory.fail("applied-reset", "Pipedrive", method="POST", path="/api/v2/deals")
    memory.start()
    memory.pass_time_until(lambda: len(crm.waiting_list) + len(crm.deals) == 1)
    crm.open_deals = None
    crm.import_waiting_list()
    crm.merge_organizations(2, other)
    memory.pass_time(3 * 3600.0, step=10.0)
    assert memory.deals() == [(GISTS[0], other)]
    assert memory.done == {GISTS[0]: 1}


def test_where_all_deals_are_too_dear_to_list_a_lost_answer_is_looked_for_where_the_known_deals_are(
    memory: InMemoryPipeline,
) -> None:
    memory.tokens_a_day = 200.0
    with_deals(memory, *GISTS[:3])
    customer = memory.add_organization("A customer")
    memory.fail("applied-silent", "Pipedrive", method="POST", path="/api/v2/deals")
    memory.record(Gist(GISTS[3], memory.clock.seconds()))
    memory.world.crm.merge_organizations(1, customer)
    with capturedLogs() as events:
        memory.pass_time(10 * SETTLE_S)
    assert places(memory) == dict.fromkeys(GISTS[:4], customer)
    assert {"organization_moved"} == {event.get("event") for event in events} & {
        "organization_moved",
        "deals_listed_again",
    }


def test_an_organization_that_is_gone_costs_no_list_of_all_deals_where_nothing_is_in_doubt(
    memory: InMemoryPipeline,
) -> None:
    memory.write(GISTS[0])
    memory.start()
    memory.settle()
    memory.world.crm.delete_organization(1)
    memory.pipedrive.requests.clear()
    memory.write(GISTS[1])
    memory.pass_time(3600.0, step=10.0)
    assert memory.deals() == [(GISTS[0], 1), (GISTS[1], 2)]
    assert not any("updated_since" in request.url for request in memory.pipedrive.requests)
