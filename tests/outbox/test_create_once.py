"""One record all the same: after lost answers, crashes, and where Pipedrive holds it already."""

from collections.abc import Iterator
from itertools import chain, repeat

import pytest
from twisted.logger import LogEvent, capturedLogs

from pipetest.domain.model import Gist, Reply, Request, User
from pipetest.sandbox.faults import FAULTS
from pipetest.sandbox.in_process import TIMEOUT_S
from tests.support.in_memory import SETTLE_S, InMemoryPipeline
from tests.support.log import lines
from tests.support.results import result_of

DEALS = "/api/v2/deals"
ORGANIZATIONS = "/api/v2/organizations"
LOST = sorted(name for name in FAULTS if name.startswith(("applied", "late")))
NEVER_APPLIED = ["refused", "reset", "silent", "500", "502", "503"]


@pytest.mark.parametrize("fault", LOST + NEVER_APPLIED)
@pytest.mark.parametrize("path", [DEALS, ORGANIZATIONS])
def test_a_lost_answer_makes_no_second_record_and_loses_none(memory: InMemoryPipeline, fault: str, path: str) -> None:
    memory.write("a", "b")
    memory.fail(fault, "Pipedrive", method="POST", path=path)
    memory.start()
    memory.settle()
    assert memory.organizations() == ["ada"]
    assert sorted(memory.deals()) == [("a", 1), ("b", 1)]


@pytest.mark.parametrize(("fault", "ends_after"), [("applied-reset", 0.0), ("applied-silent", TIMEOUT_S)])
def test_a_record_whose_answer_was_lost_is_searched_for_only_a_settle_time_after_the_end_of_the_exchange(
    memory: InMemoryPipeline, fault: str, ends_after: float
) -> None:
    memory.start()
    memory.settle()
    memory.write("a")
    memory.pipedrive.requests.clear()
    memory.fail(fault, "Pipedrive", method="POST")
    memory.pass_time_until(lambda: bool(memory.pipedrive.requests))
    memory.pass_time(ends_after + SETTLE_S - 2.0)
    assert (memory.posts(), memory.searches()) == (1, 0)
    memory.pass_time(3.0)
    assert (memory.posts(), memory.searches()) == (1, 2)  # deals and archived deals
    assert memory.deals() == [("a", 1)]


def test_a_defect_after_an_exchange_leaves_its_record_to_be_searched_for_a_settle_time_after_the_end_of_it(
    memory: InMemoryPipeline, monkeypatch: pytest.MonkeyPatch, no_failure_is_logged_unseen: list[LogEvent]
) -> None:
    memory.start()
    memory.settle()
    memory.fail("applied-silent", "Pipedrive", method="POST")
    with monkeypatch.context() as patched:
        patched.setattr(memory.outbox.breaker, "create_ended", lambda *_: 1 / 0)
        memory.record(Gist("a", memory.clock.seconds()))
        memory.pass_time(TIMEOUT_S + 1.0)
    assert len(no_failure_is_logged_unseen) == 1
    no_failure_is_logged_unseen.clear()
    memory.pipedrive.requests.clear()
    memory.pass_time(SETTLE_S - 3.0)
    assert memory.pipedrive.requests == []
    memory.pass_time(3.0)
    assert (memory.posts(), memory.done) == (0, {"a": 1})


@pytest.mark.parametrize("readings", range(5))
def test_what_comes_due_between_a_choice_and_the_next_alarm_is_not_forgotten(
    memory: InMemoryPipeline, readings: int
) -> None:
    moments: Iterator[float] = repeat(0.0)
    memory.monotonic = lambda: memory.clock.seconds() + next(moments)
    memory.start()
    memory.settle()
    memory.fail("applied-reset", "Pipedrive", method="POST")
    memory.record(Gist("a", memory.clock.seconds() + 600.0))
    task = memory.outbox.tasks.deal("a")
    assert task is not None
    memory.pass_time(task.due - 0.01 - memory.clock.seconds())
    moments = chain(repeat(0.0, readings), repeat(0.02))
    memory.outbox.enqueue(User("ada"), [])
    memory.pass_time(60.0)
    assert memory.outbox.tasks.waiting == 0


def test_one_search_decides_for_all_gists_whose_answers_were_lost(memory: InMemoryPipeline) -> None:
    memory.start()
    memory.settle()
    memory.write("a", "b", "c")
    memory.pipedrive.requests.clear()
    memory.fail("applied-reset", "Pipedrive", method="POST", times=3)
    memory.pass_time(2000.0)
    assert (memory.posts(), memory.searches()) == (3, 2)
    assert len(memory.deals()) == 3


@pytest.mark.parametrize("path", [DEALS, ORGANIZATIONS])
@pytest.mark.parametrize("defect", [RuntimeError, UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), RecursionError])
def test_an_exception_that_nobody_foresaw_is_an_unknown_outcome_of_a_create(
    memory: InMemoryPipeline,
    no_failure_is_logged_unseen: list[object],
    path: str,
    defect: Exception,
) -> None:
    memory.write("a", "b")
    memory.wire()
    to_pipedrive, left = memory.pipedrive.exchange, [defect]

    async def break_once(request: Request) -> Reply:
        reply = await to_pipedrive(request)
        if request.method == "POST" and path in request.url and left:
            raise left.pop()
        return reply

    memory.pipedrive.exchange = break_once
    result_of(memory.outbox.start())
    memory.scanner.start()
    memory.settle()
    assert memory.organizations() == ["ada"]
    assert sorted(memory.deals()) == [("a", 1), ("b", 1)]
    assert len(no_failure_is_logged_unseen) == 1
    no_failure_is_logged_unseen.clear()


@pytest.mark.parametrize("fault", ["held", "late-silent", "silent"])
@pytest.mark.parametrize("path", [DEALS, ORGANIZATIONS])
def test_a_process_killed_during_a_create_makes_no_second_record(
    memory: InMemoryPipeline, fault: str, path: str
) -> None:
    memory.write("a")
    memory.fail(fault, "Pipedrive", method="POST", path=path)
    memory.start()
    memory.pass_time(SETTLE_S + 5.0)
    memory.kill()
    memory.start()
    memory.settle()
    assert memory.organizations() == ["ada"]
    assert memory.deals() == [("a", 1)]


def test_after_a_start_what_was_sent_waits_out_the_settle_time_anew(memory: InMemoryPipeline) -> None:
    memory.write("a")
    memory.start()
    memory.settle()
    memory.write("b")
    memory.pipedrive.requests.clear()
    memory.fail("held", "Pipedrive", method="POST", path=DEALS)
    memory.pass_time_until(lambda: bool(memory.pipedrive.requests))
    memory.kill()
    memory.start()
    memory.pass_time(SETTLE_S - 1.0)
    assert memory.pipedrive.requests == []
    memory.pass_time(2.0)
    assert memory.searches() == 2 + 2  # newer deals, and those of the organization


def test_organizations_and_deals_that_are_there_already_are_adopted(memory: InMemoryPipeline) -> None:
    organization = memory.add_organization("ADA")
    memory.add_deal("a", organization)
    memory.write("a", "b")
    memory.start()
    memory.settle()
    assert memory.organizations() == ["ADA"]
    assert memory.deals() == [("a", 1), ("b", 1)]


@pytest.mark.parametrize("change", ["win_deal", "lose_deal", "archive_deal", "delete_deal"])
def test_a_deal_is_adopted_whatever_people_did_with_it(memory: InMemoryPipeline, change: str) -> None:
    deal = memory.add_deal("a", memory.add_organization("ada"))
    getattr(memory.world.crm, change)(deal)
    memory.write("a")
    memory.start()
    memory.settle()
    assert memory.deals() == [("a", 1)]


def test_a_deleted_organization_is_not_adopted(memory: InMemoryPipeline) -> None:
    memory.world.crm.delete_organization(memory.add_organization("ada"))
    memory.write("a")
    memory.start()
    memory.settle()
    assert memory.deals() == [("a", 2)]


def test_an_organization_deleted_later_is_created_anew(memory: InMemoryPipeline) -> None:
    memory.write("a")
    memory.start()
    memory.settle()
    memory.world.crm.delete_organization(1)
    memory.write("b")
    memory.pass_time(2000.0)
    assert memory.organizations() == ["ada", "ada"]
    assert memory.deals() == [("a", 1), ("b", 2)]


@pytest.mark.parametrize("refusals", [1, 2])
def test_a_deal_whose_answer_was_lost_is_searched_for_in_its_organization_though_that_is_deleted(
    memory: InMemoryPipeline, refusals: int
) -> None:
    memory.write("x" * 256)
    memory.start()
    memory.settle()
    memory.write("a")
    memory.fail("applied-reset", "Pipedrive", method="POST")
    memory.pass_time_until(lambda: bool(memory.deals()))
    memory.world.crm.delete_organization(1)
    memory.fail("400", "Pipedrive", method="GET", path="/api/v2/deals", times=refusals)
    assert memory.outbox.retry("x" * 256)  # it is refused, and its organization found to be gone
    memory.settle()
    assert memory.deals() == [("a", 1)]


def test_a_create_under_way_is_searched_for_in_its_organization_though_others_find_that_deleted(
    memory: InMemoryPipeline,
) -> None:
    memory.add_organization("ada")
    memory.write("a")
    memory.start()
    memory.settle()
    memory.fail("applied-silent", "Pipedrive", method="POST")
    memory.record(Gist("older than the organization", 0.0))  # so it is searched for first
    memory.pass_time_until(lambda: len(memory.deals()) == 2)
    memory.world.crm.delete_organization(1)
    memory.record(Gist("new", memory.clock.seconds() + 600.0))
    memory.pass_time(2000.0)
    assert memory.deals() == [("a", 1), ("older than the organization", 1), ("new", 2)]


def test_that_its_organization_is_gone_costs_each_gist_one_create(memory: InMemoryPipeline) -> None:
    memory.world.pipedrive.latency = 0.3
    memory.write("first")
    memory.start()
    memory.settle()
    memory.fail("silent", "Pipedrive", method="POST", path=DEALS, times=10)
    memory.write(*map(str, range(10)))
    memory.pass_time_until(lambda: memory.posts() == 2 + 10)
    memory.kill()
    memory.world.crm.delete_organization(1)
    memory.start()
    memory.pass_time(3600.0)
    assert [organization for _, organization in memory.deals()] == [1] + [2] * 10
    assert memory.posts() == 10 + 1 + 10


def test_of_two_records_the_smallest_is_adopted_and_the_other_is_told_and_left_alone(memory: InMemoryPipeline) -> None:
    first, _ = memory.add_organization("ada"), memory.add_organization("Ada")
    memory.add_deal("a", first)
    memory.add_deal("a", first)
    memory.write("a", "b")
    with capturedLogs() as events:
        memory.start()
        memory.settle()
    assert memory.organizations() == ["ada", "Ada"]
    assert memory.deals() == [("a", 1), ("a", 1), ("b", 1)]
    assert memory.done == {"a": 1, "b": 3}
    assert [line for line in lines(events) if "more than one" in line] == [
        "Pipedrive holds more than one organization named ada: [2] left alone",
        "Pipedrive holds more than one deal named a: [2] left alone",
    ]


@pytest.mark.parametrize("names", [("ada", "Ada"), ("ADA ", "ada"), (" ada", "aDa", "ada")])
def test_of_organizations_whose_names_differ_in_case_or_blanks_the_one_with_the_deals_is_adopted_without_a_database(
    memory: InMemoryPipeline, names: tuple[str, ...]
) -> None:
    *_, youngest = (memory.add_organization(name) for name in names)
    memory.add_deal("a", youngest)
    memory.write("a", "b")
    memory.start()
    memory.settle()
    assert memory.organizations() == list(names)
    assert memory.deals() == [("a", youngest), ("b", youngest)]


def test_deals_in_several_organizations_of_the_users_name_are_all_adopted(memory: InMemoryPipeline) -> None:
    first, second = memory.add_organization("ada"), memory.add_organization("Ada")
    for gist, organization in (("a", second), ("b", first), ("c", second)):
        memory.add_deal(gist, organization)
    memory.write("a", "b", "c", "d")
    memory.start()
    memory.settle()
    assert memory.deals() == [("a", second), ("b", first), ("c", second), ("d", second)]


@pytest.mark.parametrize("title", ["Maps \u00b7 {}", "{} (Anna)", " {} "])
def test_a_deal_that_people_renamed_is_adopted_as_long_as_its_title_names_the_gist(
    memory: InMemoryPipeline, title: str
) -> None:
    gist = "aa5a315d61ae9438b18d"
    memory.add_deal(title.format(gist.upper()), memory.add_organization("ada"))
    memory.write(gist)
    memory.start()
    memory.settle()
    assert len(memory.deals()) == 1


def test_a_living_deal_is_adopted_before_a_deleted_one(memory: InMemoryPipeline) -> None:
    organization = memory.add_organization("ada")
    memory.world.crm.delete_deal(memory.add_deal("a", organization))
    memory.add_deal("a", organization)
    memory.write("a")
    memory.start()
    memory.settle()
    assert memory.done == {"a": 2}


def test_a_gist_older_than_its_reconciled_organization_is_searched_for_when_recorded_later(
    memory: InMemoryPipeline,
) -> None:
    """As after a restored backup: its deal was created by a life of the daemon that the database has forgotten."""
    organization = memory.add_organization("ada")
    secret = memory.world.accounts.write("ada", gist_id="late", public=False)
    memory.write("a")
    memory.start()
    memory.settle()
    memory.add_deal("late", organization)
    memory.world.accounts.publish(secret.id)
    memory.pass_time(1900.0)
    assert memory.deals() == [("a", 1), ("late", 1)]


def test_a_gist_refused_in_a_deleted_organization_is_searched_for_in_the_new_one(memory: InMemoryPipeline) -> None:
    memory.write("a")
    memory.start()
    memory.settle()
    memory.world.crm.delete_organization(1)
    new = memory.add_organization("ada")
    memory.add_deal("b", new)
    memory.write("b", "c")
    memory.pass_time(2000.0)
    assert sorted(memory.deals()) == [("a", 1), ("b", 2), ("c", 2)]


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("path", [DEALS, ORGANIZATIONS])
def test_a_create_that_fails_in_a_way_nobody_foresaw_is_looked_for_before_it_is_made_again(
    memory: InMemoryPipeline, no_failure_is_logged_unseen: list[LogEvent], path: str, applied: bool
) -> None:
    if path == DEALS:
        memory.add_organization("ada")  # so that the deal is looked for before it is created
    memory.write("a")
    memory.start()
    answer, errors, failed_at = memory.pipedrive.exchange, [ValueError("a header"), KeyError("a body")], list[float]()

    async def failing(request: Request) -> Reply:
        if request.method == "POST" and request.url.endswith(path) and errors:
            failed_at.append(memory.clock.seconds())
            if applied:
                await answer(request)
            raise errors.pop()
        return await answer(request)

    memory.pipedrive.exchange = failing
    memory.pass_time_until(lambda: bool(failed_at))
    memory.pipedrive.requests.clear()
    memory.pass_time(SETTLE_S - 2.0)
    assert not [request for request in memory.pipedrive.requests if request.url.endswith(path)]
    memory.settle()
    assert memory.organizations() == ["ada"]
    assert memory.deals() == [("a", 1)]
    assert len(no_failure_is_logged_unseen) == len(failed_at) == (1 if applied else 2)
    no_failure_is_logged_unseen.clear()
