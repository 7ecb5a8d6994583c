"""What is recorded becomes organizations and deals: the normal way, pauses, dry runs and stops."""

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from pipetest.domain.model import Gist, PassResult, Reply, Request, Sent
from pipetest.outbox.dispatcher import MAX_CONCURRENT
from pipetest.outbox.intake import LOADED_AT_ONCE
from tests.support.in_memory import INTERVAL_S, SETTLE_S, START_AT, InMemoryPipeline
from tests.support.results import result_of

DEALS = "/api/v2/deals"


def test_every_gist_becomes_a_deal_in_its_users_organization(memory: InMemoryPipeline) -> None:
    memory.write("a", "b")
    memory.start()
    memory.settle()
    assert memory.organizations() == ["ada"]
    assert memory.deals() == [("b", 1), ("a", 1)]
    assert memory.done == {"b": 1, "a": 2}


def test_each_gist_that_comes_to_its_deal_is_told_with_that_deal_and_whether_it_was_found(
    memory: InMemoryPipeline,
) -> None:
    organization = memory.add_organization("ada")
    listed, unpublished = "1" * 32, "2" * 32
    for title in ("short", listed, unpublished):
        memory.add_deal(title, organization)
    memory.write("short", listed, "new")
    with capturedLogs() as events:
        memory.start()
        memory.settle()
        memory.write(unpublished)
        memory.pass_time(INTERVAL_S)
    assert memory.done == {"short": 1, listed: 2, unpublished: 3, "new": 4}
    told = {formatEvent(event): event["event"] for event in events if event.get("event", "").startswith("deal_")}
    assert told == {
        "ada: gist short is in Pipedrive already, as deal 1": "deal_found",
        f"ada: gist {listed} is in Pipedrive already, as deal 2": "deal_found",
        f"ada: gist {unpublished} is in Pipedrive already, as deal 3": "deal_found",
        "ada: gist new is deal 4": "deal_created",
    }


def test_an_account_without_gists_gets_its_organization(memory: InMemoryPipeline) -> None:
    memory.start()
    memory.settle()
    assert memory.organizations() == ["ada"]


def test_an_account_without_gists_gets_its_organization_after_an_earlier_restart(
    memory: InMemoryPipeline,
) -> None:
    memory.start()
    memory.pass_time(SETTLE_S - 1.0)
    memory.kill()
    assert memory.organizations() == []
    memory.start()
    memory.settle()
    assert memory.organizations() == ["ada"]


def test_whoever_is_no_longer_queried_gets_no_organization_in_which_nothing_would_be(memory: InMemoryPipeline) -> None:
    memory.users = ("ada", "bela", "chiyo")
    for user in ("bela", "chiyo"):
        memory.world.accounts.open(user)
    memory.write("a", user="bela")
    memory.start()
    memory.pass_time(SETTLE_S - 1.0)
    memory.kill()
    memory.users = ("chiyo",)
    memory.start()
    memory.settle()
    assert memory.organizations() == ["bela", "chiyo"]


def test_the_newest_gist_goes_first(memory: InMemoryPipeline) -> None:
    memory.write("old", "middle", "new")
    memory.start()
    memory.settle()
    assert [title for title, _ in memory.deals()] == ["new", "middle", "old"]


@pytest.mark.parametrize(("gists", "at_once"), [(3, 3), (MAX_CONCURRENT + 2, MAX_CONCURRENT)])
def test_deals_are_created_several_at_a_time(memory: InMemoryPipeline, gists: int, at_once: int) -> None:
    memory.write("first")
    memory.start()
    memory.settle()
    memory.fail("held", "Pipedrive", method="POST", path=DEALS, times=gists)
    memory.write(*[f"gist-{number}" for number in range(gists)])
    memory.pass_time_until(lambda: len(memory.world.held_replies) > 0)
    assert len(memory.world.held_replies) == at_once
    memory.world.held_replies.release()
    memory.pass_time(1.0)
    memory.world.held_replies.release()
    assert len(memory.deals()) == 1 + gists


def test_creates_that_have_yet_to_leave_are_reckoned_with_when_others_may_begin(memory: InMemoryPipeline) -> None:
    memory.write("first")
    memory.start()
    memory.settle()
    memory.creates_allowed = 0
    for gist in "abcde":
        memory.record(Gist(gist, memory.clock.seconds()))
    memory.disk.capacity = 0
    memory.creates_allowed = 2
    memory.outbox.wake()
    memory.pass_time(1.0)
    assert memory.outbox.tasks.counts[Sent] == 2
    memory.disk.capacity = None
    memory.pass_time(60.0)
    assert len(memory.deals()) == 6


def test_a_new_store_waits_out_one_settle_time_before_it_creates(memory: InMemoryPipeline) -> None:
    memory.write("a")
    memory.start()
    memory.pass_time(SETTLE_S - 1.0)
    assert memory.pipedrive.requests == []
    memory.pass_time(2.0)
    assert memory.deals() == [("a", 1)]


def test_a_deal_costs_its_create_and_nothing_else_in_an_organization_of_ours(memory: InMemoryPipeline) -> None:
    memory.write("first")
    memory.start()
    memory.settle()
    memory.pipedrive.requests.clear()
    memory.write("a", "b", "c")
    memory.pass_time(1800.0)
    assert [request.method for request in memory.pipedrive.requests] == ["POST"] * 3


def test_sent_is_on_disk_before_the_request_leaves(memory: InMemoryPipeline) -> None:
    memory.write("a")
    memory.fail("held", "Pipedrive", method="POST", path=DEALS)
    memory.start()
    memory.pass_time(SETTLE_S + 5.0)
    memory.disk.cut_power()
    memory.wire()
    assert [entry.deal for entry in result_of(memory.store.open_entries())] == [Sent()]


def test_a_pause_outlives_a_restart_and_reading_goes_on(memory: InMemoryPipeline) -> None:
    memory.start()
    memory.settle()
    result_of(memory.outbox.set_paused(True))
    memory.kill()
    memory.start()
    memory.write("a")
    memory.pass_time(3600.0)
    assert (memory.feed(), memory.deals()) == (["a"], [])
    result_of(memory.outbox.set_paused(False))
    memory.pass_time(1.0)
    assert memory.deals() == [("a", 1)]


def test_a_dry_run_creates_nothing_and_what_it_recorded_is_created_afterwards(memory: InMemoryPipeline) -> None:
    memory.write("a")
    memory.start(dry_run=True)
    memory.settle()
    memory.write("b")
    memory.pass_time(3600.0)
    assert (memory.posts(), memory.feed()) == (0, ["a", "b"])
    memory.kill()
    memory.start()
    memory.settle()
    assert sorted(memory.deals()) == [("a", 1), ("b", 1)]


def test_after_a_dry_run_its_organizations_are_reconciled_anew(memory: InMemoryPipeline) -> None:
    organization = memory.add_organization("ada")
    memory.write("a")
    memory.start(dry_run=True)
    memory.settle()
    memory.kill()
    memory.add_deal("a", organization)  # the older service still runs beside a dry run
    memory.start()
    memory.settle()
    assert memory.deals() == [("a", 1)]


def test_after_a_stop_nothing_begins(memory: InMemoryPipeline) -> None:
    memory.start()
    memory.settle()
    result_of(memory.outbox.stop())
    memory.pipedrive.requests.clear()
    memory.write("a")
    memory.pass_time(3600.0)
    assert memory.pipedrive.requests == []


def test_a_long_backlog_is_loaded_over_several_turns_of_the_reactor_before_anything_is_created(
    memory: InMemoryPipeline,
) -> None:
    memory.wire()
    gists = [Gist(f"gist-{number}", START_AT + number) for number in range(2 * LOADED_AT_ONCE + 1)]
    result_of(memory.store.add_gists(PassResult("ada", 1, None, gists)))
    result_of(memory.store.mark_reconciled())
    memory.kill()
    memory.wire()
    started, seen = Deferred.fromCoroutine(memory.outbox.start()), list[tuple[int, int]]()

    def visit() -> None:
        if not started.called:
            seen.append((memory.outbox.tasks.waiting, len(memory.pipedrive.requests)))
            memory.clock.callLater(0, visit)

    visit()
    memory.clock.advance(0)
    assert seen == [(LOADED_AT_ONCE, 0), (2 * LOADED_AT_ONCE, 0)]
    assert memory.posts() > 0


def test_a_defect_in_an_action_is_logged_and_its_tasks_are_postponed(
    memory: InMemoryPipeline, no_failure_is_logged_unseen: list[object]
) -> None:
    memory.write("a")
    memory.wire()
    to_pipedrive = memory.pipedrive.exchange

    async def break_twice(request: Request) -> Reply:
        if len(memory.pipedrive.requests) <= 2:
            raise RuntimeError("a defect")
        return await to_pipedrive(request)

    memory.pipedrive.exchange = break_twice
    result_of(memory.outbox.start())
    memory.scanner.start()
    memory.pass_time(SETTLE_S + 4.0)
    assert len(memory.pipedrive.requests) == len(no_failure_is_logged_unseen) == 1
    memory.pass_time(10.0)
    assert len(no_failure_is_logged_unseen) == 2
    no_failure_is_logged_unseen.clear()
    memory.settle()
    assert memory.deals() == [("a", 1)]
