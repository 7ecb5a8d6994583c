"""What a start learns of Pipedrive before it creates anything: all of it where the store may lack something."""

import tracemalloc
from math import inf

import pytest
from twisted.logger import capturedLogs

from pipetest.domain.model import PAGE_ROWS, DealChange, Done, Found
from pipetest.outbox.whole_list import MOST_REPORTED, Recognised
from tests.support.in_memory import INTERVAL_S, SETTLE_S, InMemoryPipeline
from tests.support.log import lines
from tests.support.results import result_of

DEALS = "/api/v2/deals"
ARCHIVED = f"{DEALS}/archived"
ONE, TWO, THREE, FOUR = (f"{number:x}" * 32 for number in (1, 2, 3, 4))


def paths(memory: InMemoryPipeline) -> list[str]:
    """The paths of all requests to Pipedrive, in their order."""
    return [f"{r.method} {r.url.partition('.com')[2].partition('?')[0]}" for r in memory.pipedrive.requests]


def whole_lists(memory: InMemoryPipeline) -> int:
    """How often the deals of the whole company were listed to the end."""
    return sum("updated_since" in request.url for request in memory.pipedrive.requests)


def lose_database(memory: InMemoryPipeline) -> None:
    memory.kill()
    for suffix in list(memory.disk.files):
        memory.disk.take_away(suffix)


def titles(memory: InMemoryPipeline) -> list[str]:
    return sorted(title.lower() for title, _ in memory.deals())


def roll_back(memory: InMemoryPipeline, files: dict[str, bytes]) -> None:
    """The machine is put back to a snapshot, without a word to anybody, and starts again a while later."""
    memory.kill()
    for suffix in list(memory.disk.files):
        memory.disk.take_away(suffix)
    for suffix, content in files.items():
        memory.disk.put(suffix, content)
    memory.clock.advance(SETTLE_S)


# --- an unreconciled store --------------------------------------------------------------------------------------------


def test_nothing_is_created_before_the_settle_time_has_passed_and_all_deals_were_listed_and_stored(
    memory: InMemoryPipeline,
) -> None:
    memory.write(ONE)
    memory.start()
    memory.pass_time(SETTLE_S - 1.0)
    assert paths(memory) == []
    memory.pass_time(5.0)
    listing = [f"GET {DEALS}", f"GET {DEALS}", f"GET {ARCHIVED}", f"GET {DEALS}"]
    assert paths(memory)[:4] == listing
    assert memory.deals() == [(ONE, 1)]
    assert not memory.store.unreconciled


def test_a_listing_that_fails_is_asked_for_again_at_its_page_and_holds_everything_up(memory: InMemoryPipeline) -> None:
    memory.write(ONE)
    memory.fail("500", "Pipedrive", method="GET", path=ARCHIVED, times=3)
    memory.start()
    memory.pass_time(SETTLE_S + 5.0)
    assert (memory.posts(), memory.store.unreconciled) == (0, True)
    memory.pass_time(300.0)
    assert memory.deals() == [(ONE, 1)]
    assert paths(memory).count(f"GET {ARCHIVED}") == 3 + 1
    assert whole_lists(memory) == 1


def test_while_all_deals_are_listed_it_says_so(memory: InMemoryPipeline) -> None:
    memory.add_deal(TWO, memory.add_organization("a customer"))
    memory.write(ONE)
    memory.fail("500", "Pipedrive", method="GET", path=ARCHIVED, times=3)
    memory.start()
    told = {memory.outbox.reconciling}
    memory.pass_time(SETTLE_S + 5.0)
    told.add(memory.outbox.reconciling)
    assert told == {None, "all deals in Pipedrive are listed first, 1 of gists so far"}
    memory.pass_time(300.0)
    assert memory.outbox.reconciling is None


def test_a_process_that_dies_before_the_whole_list_was_stored_begins_it_anew(memory: InMemoryPipeline) -> None:
    memory.write(ONE)
    memory.fail("held", "Pipedrive", method="GET", path=ARCHIVED)
    memory.start()
    memory.pass_time(SETTLE_S + 5.0)
    memory.kill()
    memory.start()
    memory.pass_time(SETTLE_S - 1.0)
    assert (memory.store.unreconciled, paths(memory)) == (True, [])
    memory.pass_time(5.0)
    assert (memory.deals(), whole_lists(memory)) == ([(ONE, 1)], 1)


def test_deals_are_adopted_wherever_people_have_moved_them_archived_and_deleted_ones_too(
    memory: InMemoryPipeline,
) -> None:
    memory.write(ONE, TWO, THREE)
    memory.start()
    memory.settle()
    other = memory.add_organization("a customer")
    memory.world.crm.move_deal(1, other)
    memory.world.crm.archive_deal(1)
    memory.world.crm.move_deal(2, other)
    memory.world.crm.delete_deal(3)
    memory.world.crm.delete_organization(1)
    lose_database(memory)
    memory.start()
    memory.settle()
    assert titles(memory) == [ONE, TWO, THREE]
    assert {memory.world.crm.deals[deal].fields["title"]: deal for deal in memory.done.values()} == memory.done


def test_a_deal_whose_gist_is_recorded_later_is_kept_and_adopted_then_over_restarts_too(
    memory: InMemoryPipeline,
) -> None:
    memory.write(ONE)
    memory.start()
    memory.settle()
    other = memory.add_organization("somebody else's")
    memory.add_deal(f"Call them about {TWO.upper()}", other)
    lose_database(memory)
    memory.start()
    memory.settle()
    memory.kill()
    memory.write(TWO)
    memory.start()
    memory.settle()
    assert memory.feed() == [ONE, TWO]
    assert len(memory.deals()) == 2
    assert memory.done[TWO] == 2


def test_of_several_deals_of_one_gist_the_living_one_with_the_smallest_id_is_adopted(memory: InMemoryPipeline) -> None:
    organization = memory.add_organization("ada")
    for _ in range(3):
        memory.add_deal(ONE, organization)
    memory.world.crm.delete_deal(1)
    memory.write(ONE)
    memory.start()
    memory.settle()
    assert (memory.done, len(memory.deals())) == ({ONE: 2}, 3)


def test_of_the_gists_with_several_deals_a_hundred_are_named_and_all_are_counted(memory: InMemoryPipeline) -> None:
    organization = memory.add_organization("ada")
    for deal in range(2 * MOST_REPORTED):
        memory.add_deal(f"{deal // 2 + 1:032x}", organization)
    memory.write(ONE)
    told = list[list[str]]()
    for _ in range(2):
        with capturedLogs() as events:
            memory.start()
            memory.settle()
        told.append([line for line in lines(events) if "more than one" in line])
        lose_database(memory)
        for _ in range(2):
            memory.add_deal(TWO, organization)
    named = [
        f"Pipedrive holds more than one deal named {gist:032x}: [{2 * gist}] left alone"
        for gist in range(1, MOST_REPORTED + 1)
    ]
    assert told[0] == named
    assert told[1] == [*named, f"Pipedrive holds more than one deal of {MOST_REPORTED + 1} gists in all"]


def test_a_gist_with_a_short_id_is_searched_for_in_its_organization_though_the_whole_list_was_read(
    memory: InMemoryPipeline,
) -> None:
    organization, other = memory.add_organization("ada"), memory.add_organization("somebody else's")
    memory.add_deal("4283721", organization)
    memory.add_deal("1234", other)
    memory.write("4283721", "1234")
    memory.start()
    memory.settle()
    assert memory.done["4283721"] == 1
    assert sorted(memory.deals()) == [("1234", 1), ("1234", 2), ("4283721", 1)]


def test_once_the_whole_list_was_read_no_organization_is_listed_for_gists_that_it_would_have_shown(
    memory: InMemoryPipeline,
) -> None:
    memory.add_organization("ada")
    memory.write(ONE, TWO)
    memory.start()
    memory.settle()
    assert titles(memory) == [ONE, TWO]
    assert not any("org_id" in request.url for request in memory.pipedrive.requests)


def test_where_the_whole_list_would_cost_too_much_each_organization_is_listed_before_its_first_create(
    memory: InMemoryPipeline,
) -> None:
    memory.tokens_a_day = 200.0
    memory.write(ONE, TWO)
    memory.start()
    memory.settle()
    lose_database(memory)
    memory.start()
    memory.settle()
    assert (titles(memory), whole_lists(memory), memory.store.unreconciled) == ([ONE, TWO], 0, False)
    assert any("org_id=1" in request.url for request in memory.pipedrive.requests)


def test_where_each_organization_is_listed_a_deal_of_a_skipped_gist_shows_what_was_wanted_since(
    memory: InMemoryPipeline,
) -> None:
    memory.write(ONE)
    memory.clock.advance(10.0)
    memory.backfill_since = memory.clock.seconds()
    memory.start()
    memory.write(TWO)
    memory.pass_time(INTERVAL_S + SETTLE_S)
    lose_database(memory)
    memory.write(THREE)
    memory.tokens_a_day = 200.0
    memory.backfill_since = inf
    memory.start()
    memory.settle()
    assert titles(memory) == [TWO]
    memory.write(FOUR)
    memory.pass_time(INTERVAL_S + SETTLE_S)
    assert (whole_lists(memory), titles(memory)) == (0, [TWO, THREE, FOUR])
    assert set(memory.done) == {TWO, THREE, FOUR}


def test_the_service_before_leaves_deals_without_ids_which_the_whole_list_tells(memory: InMemoryPipeline) -> None:
    memory.write(ONE, TWO)
    memory.start()
    memory.settle()
    result_of(memory.store.save(DealChange(ONE, Done(None))))
    result_of(memory.store.mark_unreconciled())
    memory.kill()
    memory.write(THREE)
    memory.start()
    memory.settle()
    assert result_of(memory.store.newest_deals(["ada"], 100)) == {"ada": [3, 2, 1]}


def test_a_hundred_thousand_deals_are_held_as_ids_alone() -> None:
    recognised = Recognised()
    tracemalloc.start()
    for page in range(200):
        recognised.add(Found(500 * page + row + 1, f"{'about ' * 30}{500 * page + row:032x}") for row in range(500))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(recognised) == 100_000
    assert held < 40_000_000


def test_a_dry_run_reconciles_and_stores_nothing_of_it(memory: InMemoryPipeline) -> None:
    organization = memory.add_organization("ada")
    memory.add_deal(ONE, organization)
    memory.add_deal(TWO, organization)
    memory.write(ONE)
    memory.start(dry_run=True)
    memory.settle()
    assert (memory.done, memory.store.unreconciled, memory.posts()) == ({ONE: 1}, True, 0)
    memory.kill()
    memory.wire()
    (entry,) = result_of(memory.store.open_entries())
    assert entry.gist.id == ONE
    assert result_of(memory.store.known_deals([ONE, TWO])) == set()


# --- any other start --------------------------------------------------------------------------------------------------


def test_a_restart_compares_itself_with_pipedrive_for_thirty_tokens_as_soon_as_there_is_something_to_create(
    memory: InMemoryPipeline,
) -> None:
    memory.write(ONE)
    memory.start()
    memory.settle()
    memory.kill()
    used = memory.world.pipedrive_limits.tokens_used
    memory.start()
    memory.pass_time(INTERVAL_S / 2)
    assert paths(memory) == []
    memory.write(TWO)
    memory.pass_time(INTERVAL_S)
    assert paths(memory) == [f"GET {DEALS}", f"GET {ARCHIVED}", f"POST {DEALS}"]
    assert memory.world.pipedrive_limits.tokens_used - used == 10 + 20 + 5


def test_a_restart_with_nothing_but_an_organization_to_create_creates_it(memory: InMemoryPipeline) -> None:
    memory.start()
    memory.settle()
    memory.kill()
    memory.users = ("ada", "bob")
    memory.world.accounts.open("bob")
    memory.start()
    memory.settle()
    assert memory.organizations() == ["ada", "bob"]


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_snapshot_rolled_back_without_a_word_makes_no_second_deal(memory: InMemoryPipeline, elsewhere: bool) -> None:
    memory.write(ONE)
    memory.start()
    memory.settle()
    snapshot = dict(memory.disk.files)
    memory.write(TWO, THREE)
    memory.pass_time(INTERVAL_S + SETTLE_S)
    assert titles(memory) == [ONE, TWO, THREE]
    if elsewhere:
        memory.world.crm.move_deal(2, memory.add_organization("a customer"))
        memory.world.crm.archive_deal(3)
    roll_back(memory, snapshot)
    memory.start()
    memory.pass_time(2.0)
    assert (memory.store.unreconciled, memory.posts()) == (True, 0)
    memory.settle()
    assert (titles(memory), memory.store.unreconciled) == ([ONE, TWO, THREE], False)


def test_a_snapshot_of_a_moment_at_which_gists_waited_makes_no_second_deal(memory: InMemoryPipeline) -> None:
    memory.write(ONE, TWO)
    memory.create_ready = float("inf")
    memory.start()
    memory.pass_time(SETTLE_S)
    snapshot = dict(memory.disk.files)
    memory.create_ready = 0.0
    memory.kill()
    memory.start()
    memory.settle()
    roll_back(memory, snapshot)
    memory.start()
    memory.settle()
    assert titles(memory) == [ONE, TWO]


def test_a_create_whose_answer_was_lost_shows_no_older_database(memory: InMemoryPipeline) -> None:
    memory.write(ONE)
    memory.start()
    memory.settle()
    memory.write(TWO)
    memory.fail("applied-silent", "Pipedrive", method="POST", path=DEALS)
    memory.pass_time_until(lambda: len(memory.deals()) == 2)
    memory.kill()
    memory.start()
    memory.settle()
    assert (titles(memory), whole_lists(memory), memory.store.unreconciled) == ([ONE, TWO], 0, False)


def test_what_people_and_other_integrations_create_shows_no_older_database(memory: InMemoryPipeline) -> None:
    memory.write(ONE)
    memory.start()
    memory.settle()
    memory.kill()
    organization = memory.add_organization("a customer")
    for title in ("Website 2026", "1234", ONE, f"{ONE} (copy)"):
        memory.add_deal(title, organization)
    memory.write(TWO)
    memory.start()
    memory.settle()
    assert (whole_lists(memory), memory.store.unreconciled) == (0, False)
    assert len(memory.deals()) == 6


def test_what_a_start_has_looked_through_the_next_one_does_not(memory: InMemoryPipeline) -> None:
    memory.write(ONE)
    memory.start()
    memory.settle()
    memory.kill()
    customer = memory.add_organization("a customer")
    for number in range(PAGE_ROWS):
        memory.add_deal(f"Website {number}", customer)
    pages = []
    for user in ("bob", "carol"):  # who have no gists: no deal of ours is newer
        memory.users = (*memory.users, user)
        memory.world.accounts.open(user)
        memory.start()
        memory.settle()
        pages.append(paths(memory).count(f"GET {DEALS}"))
        memory.kill()
    assert pages == [2, 1]


@pytest.mark.parametrize("tokens_a_day", [200.0, 30_000.0])
def test_a_hand_made_deal_of_a_gist_that_the_feed_lacks_is_looked_into_once(
    memory: InMemoryPipeline, tokens_a_day: float
) -> None:
    memory.tokens_a_day = tokens_a_day
    memory.write(ONE)
    memory.start()
    memory.settle()
    memory.kill()
    memory.add_deal(f"Maps {TWO}", memory.add_organization("a customer"))
    memory.write(THREE)
    memory.start()
    memory.settle()
    memory.kill()
    memory.write(FOUR)
    memory.start()
    memory.pass_time(2.0)
    assert memory.store.unreconciled is False
    assert titles(memory) == sorted([ONE, THREE, FOUR, f"maps {TWO}"])
