"""What Pipedrive refuses: for good, or because of the account."""

import pytest
from twisted.logger import capturedLogs

from tests.support.in_memory import SETTLE_S, InMemoryDaemon
from tests.support.log import lines

DAY_S = 24 * 3600.0


def test_a_refused_key_pauses_creation_does_not_hammer_and_heals(memory: InMemoryDaemon) -> None:
    memory.write("a", "b", "c")
    memory.start()
    memory.world.pipedrive_api.key = "another"
    memory.pass_time(SETTLE_S + 3600.0)
    assert len(memory.pipedrive.requests) < 25
    assert memory.dispatcher.breaker.refusal is not None
    memory.world.pipedrive_api.key = "sandbox-key"
    memory.pass_time(600.0)
    assert len(memory.deals()) == 3
    assert memory.dispatcher.breaker.refusal is None


def test_at_the_ceiling_of_deals_one_gist_probes_and_all_become_deals_once_it_is_lifted(memory: InMemoryDaemon) -> None:
    memory.world.crm.open_deals = 1
    memory.write("a", "b", "c")
    memory.start()
    memory.pass_time(DAY_S, step=60.0)
    assert len(memory.deals()) == 1
    memory.world.crm.open_deals = None
    memory.pass_time(2 * 3600.0, step=10.0)
    assert sorted(title for title, _ in memory.deals()) == ["a", "b", "c"]


def test_a_capped_gist_that_people_imported_from_the_waiting_list_is_not_posted_again(memory: InMemoryDaemon) -> None:
    memory.world.crm.open_deals = 0
    memory.write("a")
    memory.start()
    memory.settle()
    memory.world.crm.open_deals = None
    waiting = {new.title: new for new in memory.world.crm.waiting_list}
    memory.world.crm.waiting_list = list(waiting.values())
    memory.world.crm.import_waiting_list()
    memory.pass_time(2 * 3600.0, step=10.0)
    assert memory.deals() == [("a", 1)]


def test_a_capped_gist_imported_while_the_disk_was_full_is_not_posted_again(memory: InMemoryDaemon) -> None:
    memory.world.crm.open_deals = 0
    memory.write("a")
    memory.start()
    memory.pass_time_until(lambda: len(memory.world.crm.waiting_list) == 1)
    memory.disk.capacity = 0
    memory.pass_time(600.0)  # it was searched for, and "sent" cannot be stored
    memory.world.crm.open_deals = None
    memory.world.crm.import_waiting_list()
    memory.pass_time(600.0)
    memory.disk.capacity = None
    memory.pass_time(600.0)
    assert memory.deals() == [("a", 1)]


@pytest.mark.parametrize("refusal", ["402", "400"])
def test_a_capped_gist_is_searched_for_again_whatever_refused_it_since(memory: InMemoryDaemon, refusal: str) -> None:
    memory.world.crm.open_deals = 0
    memory.write("a")
    memory.start()
    memory.pass_time_until(lambda: len(memory.world.crm.waiting_list) == 1)
    memory.fail(refusal, "Pipedrive", method="POST", path="/api/v2/deals")
    before = memory.posts()
    memory.pass_time_until(lambda: memory.posts() > before)
    memory.world.crm.open_deals = None
    memory.world.crm.import_waiting_list()
    memory.pass_time(DAY_S + 3600.0, step=10.0)
    assert memory.deals() == [("a", 1)]


def test_a_capped_gist_in_quarantine_is_searched_for_in_its_organization_though_that_is_deleted(
    memory: InMemoryDaemon,
) -> None:
    memory.world.crm.open_deals = 0
    memory.write("a")
    memory.start()
    memory.pass_time_until(lambda: len(memory.world.crm.waiting_list) == 1)
    memory.fail("400", "Pipedrive", method="POST", path="/api/v2/deals")
    memory.pass_time_until(lambda: bool(memory.dispatcher.queue.quarantined))
    memory.world.crm.open_deals = None
    memory.world.crm.import_waiting_list()
    memory.world.crm.delete_organization(1)
    memory.write("b")
    memory.pass_time(2 * DAY_S, step=10.0)
    assert memory.deals() == [("a", 1), ("b", 2)]


def test_a_probe_that_cannot_be_searched_for_holds_nobody_up(memory: InMemoryDaemon) -> None:
    memory.world.accounts.open("bob")
    memory.users = ("ada", "bob")
    memory.start()
    memory.settle()
    memory.world.crm.open_deals = 0
    memory.write("a")
    memory.pass_time_until(lambda: memory.dispatcher.breaker.probe == "gist a", longest=4000.0)
    memory.world.crm.open_deals = None
    memory.fail("500", "Pipedrive", method="GET", path="/api/v2/deals", times=1_000_000)
    memory.write("b", user="bob")
    memory.pass_time(DAY_S, step=10.0)
    assert memory.deals() == [("b", memory.organizations().index("bob") + 1)]


def test_a_quarantined_gist_holds_nobody_up_and_is_tried_again_once_a_day(memory: InMemoryDaemon) -> None:
    memory.write("x" * 256, "good")
    memory.start()
    memory.settle()
    assert memory.deals() == [("good", 1)]
    tried = memory.posts()
    memory.pass_time(DAY_S - 700.0, step=60.0)
    assert memory.posts() == tried
    memory.pass_time(800.0)
    assert memory.posts() == tried + 1


def test_a_quarantined_gist_can_be_tried_again_at_once(memory: InMemoryDaemon) -> None:
    memory.write("x" * 256)
    memory.start()
    memory.settle()
    tried = memory.posts()
    assert memory.dispatcher.retry("x" * 256)
    memory.pass_time(1.0)
    assert memory.posts() == tried + 1
    assert not memory.dispatcher.retry("unheard of")


@pytest.mark.parametrize(("times", "said"), [(2, 0), (99, 1)])
def test_a_search_that_fails_again_and_again_is_said_once(memory: InMemoryDaemon, times: int, said: int) -> None:
    memory.fail("500", "Pipedrive", path="/api/v2/organizations", times=times)
    memory.write("a")
    memory.start()
    with capturedLogs() as events:
        memory.pass_time(1800.0)
    about = [line for line in lines(events) if "cannot be looked for in Pipedrive: answered 500" in line]
    assert len(about) == said
