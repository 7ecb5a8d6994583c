"""The first organization and the first deal are read back: what cannot be seen is not created any further."""

import pytest

from pipetest.config.deals import template
from pipetest.domain.model import Gist
from pipetest.outbox.first_creates import FIRST_CREATED
from tests.support.in_memory import SETTLE_S, InMemoryPipeline
from tests.support.results import result_of

DEALS = "/api/v2/deals"
ORGANIZATIONS = "/api/v2/organizations"
HOUR_S = 3600.0


def hidden(memory: InMemoryPipeline) -> dict[str, int]:
    """What the daemon says of it."""
    return dict(memory.outbox.status.hidden())


def reads_back(memory: InMemoryPipeline) -> list[str]:
    """The paths at which one record was asked for."""
    paths = (request.url.partition(".com")[2] for request in memory.pipedrive.requests if request.method == "GET")
    return [path for path in paths if path.rpartition("/")[2].isdecimal()]


def hide_new(memory: InMemoryPipeline, kind: str) -> None:
    """From the key's user."""
    memory.world.crm.hides_new_organizations = kind == "organization"
    memory.world.crm.hides_new_deals = kind == "deal"


def created(memory: InMemoryPipeline) -> tuple[int, int]:
    return len(memory.organizations()), len(memory.deals())


@pytest.fixture
def blind(memory: InMemoryPipeline) -> InMemoryPipeline:
    """Three gists of two users; the key's user does not see the deals that it creates."""
    memory.users = ("ada", "bob")
    memory.world.accounts.open("bob")
    memory.world.crm.hides_new_deals = True
    memory.write("a", "b")
    memory.write("c", user="bob")
    return memory


def test_the_first_organization_and_the_first_deal_cost_a_token_more_and_all_others_none(
    memory: InMemoryPipeline,
) -> None:
    memory.users = ("ada", "bob")
    memory.world.accounts.open("bob")
    memory.write("a", "b", "c")
    memory.write("d", user="bob")
    memory.start()
    memory.settle()
    assert created(memory) == (2, 4)
    assert sorted(reads_back(memory)) == [f"{DEALS}/1", f"{ORGANIZATIONS}/1"]
    memory.kill()
    memory.start()
    memory.write("e")
    memory.pass_time(HOUR_S, step=10.0)
    assert created(memory) == (2, 5)
    assert reads_back(memory) == []


@pytest.mark.parametrize("kind", ["organization", "deal"])
def test_of_what_the_keys_user_does_not_see_only_the_first_is_created_and_all_others_once_it_is_seen(
    blind: InMemoryPipeline, kind: str
) -> None:
    hide_new(blind, kind)
    blind.start()
    blind.pass_time(6 * HOUR_S, step=60.0)
    first = (1, 0) if kind == "organization" else (created(blind)[0], 1)
    assert created(blind) == first
    assert hidden(blind) == {kind: 1}
    used = blind.world.pipedrive_limits.tokens_used
    blind.pass_time(12 * HOUR_S, step=60.0)
    assert created(blind) == first
    assert blind.world.pipedrive_limits.tokens_used - used <= 1000
    blind.world.crm.show_all()
    blind.pass_time(HOUR_S + SETTLE_S, step=10.0)
    assert created(blind) == (2, 3)
    assert hidden(blind) == {}


def test_a_first_record_that_is_renamed_and_deleted_before_it_was_seen_holds_up_others_for_a_day_at_most(
    memory: InMemoryPipeline,
) -> None:
    memory.users = ("ada", "bob")
    memory.world.accounts.open("bob")
    hide_new(memory, "organization")
    memory.write("a", user="bob")
    memory.write("b")
    memory.start()
    memory.pass_time(HOUR_S, step=60.0)
    crm = memory.world.crm
    crm.rename_organization(1, "a customer")
    crm.delete_organization(1)
    crm.show_all()
    memory.pass_time(22 * HOUR_S, step=60.0)
    assert (len(crm.organizations), len(memory.deals())) == (1, 0)
    memory.pass_time(4 * HOUR_S, step=60.0)
    assert hidden(memory) == {}
    assert len(memory.deals()) == 2


def test_it_is_told_a_settle_time_after_it_was_created_and_not_before(blind: InMemoryPipeline) -> None:
    blind.start()
    blind.pass_time_until(lambda: created(blind)[1] == 1)
    blind.pass_time(SETTLE_S - 1.0)
    assert hidden(blind) == {}
    blind.pass_time(SETTLE_S)
    assert hidden(blind) == {"deal": 1}


def test_a_list_that_lags_holds_up_others_until_the_first_is_seen_and_is_no_problem(memory: InMemoryPipeline) -> None:
    memory.world.crm.list_lag = SETTLE_S - 5.0
    memory.write("a", "b")
    memory.start()
    memory.pass_time_until(lambda: len(memory.deals()) == 1)
    memory.pass_time(SETTLE_S - 10.0)
    assert len(memory.deals()) == 1
    memory.pass_time(2 * SETTLE_S)
    assert len(memory.deals()) == 2
    assert hidden(memory) == {}


def test_over_restarts_it_is_the_first_that_is_looked_for_and_no_other_is_created(blind: InMemoryPipeline) -> None:
    blind.start()
    for _ in range(3):
        blind.pass_time(5 * SETTLE_S)
        blind.kill()
        blind.start()
    blind.pass_time(5 * SETTLE_S)
    assert created(blind)[1] == 1
    assert hidden(blind) == {"deal": 1}
    assert f"{DEALS}/1" in reads_back(blind)


@pytest.mark.parametrize("fault", ["500", "reset", "402"])
def test_a_look_that_fails_shows_nothing_and_is_repeated(memory: InMemoryPipeline, fault: str) -> None:
    memory.write("a", "b")
    memory.fail(fault, "Pipedrive", method="GET", path=f"{DEALS}/1", times=4)
    memory.start()
    memory.pass_time_until(lambda: len(memory.deals()) == 1)
    memory.pass_time(10.0)
    assert len(memory.deals()) == 1
    memory.pass_time(10 * SETTLE_S)
    assert len(memory.deals()) == 2


def test_a_look_that_is_forbidden_shows_that_it_cannot_be_seen(memory: InMemoryPipeline) -> None:
    memory.write("a", "b")
    memory.fail("403", "Pipedrive", method="GET", path=f"{DEALS}/1", times=3)
    memory.start()
    memory.pass_time(SETTLE_S + 25.0)
    assert len(memory.deals()) == 1
    memory.pass_time(10 * SETTLE_S)
    assert len(memory.deals()) == 2


@pytest.mark.parametrize("deleted_shown", [False, True])
@pytest.mark.parametrize("kind", ["organization", "deal"])
def test_what_people_deleted_before_it_was_seen_counts_as_seen(
    blind: InMemoryPipeline, kind: str, deleted_shown: bool
) -> None:
    hide_new(blind, kind)
    blind.world.pipedrive_api.deleted_shown = deleted_shown
    blind.start()
    blind.pass_time(5 * SETTLE_S)
    crm = blind.world.crm
    (crm.delete_organization if kind == "organization" else crm.delete_deal)(1)
    blind.world.crm.show_all()
    blind.pass_time(HOUR_S + 5 * SETTLE_S, step=10.0)
    assert len(blind.deals()) == 3
    assert hidden(blind) == {}


def test_the_first_goes_alone_whether_it_is_refused_or_not(memory: InMemoryPipeline) -> None:
    memory.world.pipedrive.latency = 0.5
    memory.users = ("ada", "bob")
    memory.world.accounts.open("bob")
    memory.write("a", "b")
    memory.write("c", user="bob")
    memory.fail("400", "Pipedrive", method="POST", path=DEALS)
    memory.start()
    most = 0
    for _ in range(int(5 * SETTLE_S / 0.1)):
        memory.clock.advance(0.1)
        if len(memory.deals()) == 0:
            most = max(most, memory.outbox.queue._creating["deal"])
    assert most == 1
    assert created(memory) == (2, 2)


def test_the_first_deal_of_a_new_template_is_read_back_as_well(memory: InMemoryPipeline) -> None:
    memory.write("a")
    memory.start()
    memory.settle()
    memory.kill()
    memory.template = template('title = "{user} {id}"')
    memory.world.crm.hides_new_deals = True
    memory.write("b", "c")
    memory.start()
    memory.pass_time(HOUR_S, step=30.0)
    assert len(memory.deals()) == 2
    assert hidden(memory) == {"deal": 2}
    memory.kill()
    memory.template = template('title = "{created} {id}"')
    memory.world.crm.hides_new_deals = False
    memory.start()
    memory.pass_time(HOUR_S, step=30.0)
    assert len(memory.deals()) == 3


def test_the_first_deal_of_a_template_that_is_in_force_since_a_reload_is_read_back(memory: InMemoryPipeline) -> None:
    memory.write("a")
    memory.start()
    memory.settle()
    memory.template.renew(template('title = "{user} {id}"'))
    memory.outbox.template_changed()
    memory.world.crm.hides_new_deals = True
    memory.write("b", "c")
    memory.pass_time(HOUR_S, step=30.0)
    assert (len(memory.deals()), hidden(memory)) == (2, {"deal": 2})


@pytest.mark.parametrize("before", ["on its way", "not seen yet"])
def test_a_deal_of_the_template_before_does_not_show_what_is_seen_of_those_of_the_new_one(
    memory: InMemoryPipeline, before: str
) -> None:
    memory.world.crm.hides_new_deals = before == "not seen yet"
    memory.world.pipedrive.latency = 2.0
    memory.write("a")
    memory.start()
    memory.pass_time_until(lambda: memory.posts() == 2, step=0.5)
    if before == "not seen yet":
        memory.pass_time(HOUR_S, step=30.0)
    memory.template.renew(template('title = "{user} {id}"'))
    memory.outbox.template_changed()
    memory.world.crm.show_all()
    memory.pass_time(2 * HOUR_S, step=30.0)
    assert (memory.deals(), hidden(memory)) == ([("a", 1)], {})
    memory.world.crm.hides_new_deals = True
    memory.write("b", "c")
    memory.pass_time(HOUR_S, step=30.0)
    assert (len(memory.deals()), hidden(memory)) == (2, {"deal": 2})


def test_a_new_template_need_not_wait_until_the_first_deal_of_the_one_before_is_seen(blind: InMemoryPipeline) -> None:
    """People may have corrected in it what kept the key's user from seeing that deal."""
    blind.start()
    blind.pass_time(HOUR_S, step=30.0)
    assert hidden(blind) == {"deal": 1}
    blind.world.crm.hides_new_deals = False
    blind.template.renew(template('title = "{user} {id}"'))
    blind.outbox.template_changed()
    blind.pass_time(5 * SETTLE_S)
    assert (created(blind), hidden(blind)) == ((2, 3), {})


@pytest.mark.parametrize("seen", [False, True])
def test_a_template_that_is_in_force_again_is_as_far_as_it_was(memory: InMemoryPipeline, seen: bool) -> None:
    memory.world.crm.hides_new_deals = not seen
    memory.write("a")
    memory.start()
    memory.pass_time(HOUR_S, step=30.0)
    before, other = template(""), template('title = "{user} {id}"')
    for each in (other, before):
        memory.template.renew(each)
        memory.outbox.template_changed()
    memory.world.crm.hides_new_deals = True
    memory.write("b", "c")
    memory.pass_time(HOUR_S, step=30.0)
    assert (len(memory.deals()), hidden(memory)) == ((3, {}) if seen else (1, {"deal": 1}))


def test_a_dry_run_looks_for_nothing(blind: InMemoryPipeline) -> None:
    blind.start()
    blind.pass_time(5 * SETTLE_S)
    blind.kill()
    blind.start(dry_run=True)
    blind.pass_time(5 * SETTLE_S)
    assert hidden(blind) == {}
    assert reads_back(blind) == []


def test_an_older_database_that_knows_no_first_needs_one_look(memory: InMemoryPipeline) -> None:
    memory.write("a")
    memory.start()
    memory.settle()
    result_of(memory.store.put_value(FIRST_CREATED, None))
    memory.kill()
    memory.start()
    memory.settle()
    for number in range(5):
        memory.record(Gist(f"more-{number}", memory.clock.seconds()))
    memory.settle()
    assert len(memory.deals()) == 6
    assert len(reads_back(memory)) == 1
