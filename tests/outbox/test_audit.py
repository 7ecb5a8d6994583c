"""An audit compares feed and outbox with all deals of Pipedrive, names what differs, and changes nothing."""

import gc
import sys

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import LogEvent

from pipetest.domain.errors import Unanswered
from pipetest.domain.interfaces import Command
from pipetest.domain.model import PAGE_ROWS, Done, Entry, Found, Gist, Reply, Request
from pipetest.domain.status import Audit, AuditFinding, AuditState
from pipetest.outbox.audit import KINDS, MOST_NAMED, Comparison
from pipetest.outbox.auditor import EVERY_S, LOOK_EVERY_S, MOST_ATTEMPTS, STORED_AS, TRY_EVERY_S
from pipetest.ratelimit.cooldown import OUTAGE_FAILURES
from pipetest.sandbox.pipedrive.crm import PURGED_AFTER_S
from tests.support.in_memory import INTERVAL_S, SETTLE_S, InMemoryPipeline
from tests.support.results import result_of
from tests.support.running_pipeline import RunningPipeline

ONE, TWO, THREE, FOUR = (f"{number:x}" * 32 for number in (1, 2, 3, 4))


def begin(memory: InMemoryPipeline, *gists: str, **environ: str) -> RunningPipeline:
    """A daemon that has made the deals 1, 2 … of these gists."""
    memory.write(*gists)
    running = RunningPipeline(memory, {"PIPETEST_QUERIED_USERS": "ada", **environ})
    memory.settle()
    assert running.status().ledger.done == len(gists)
    return running


def audit(running: RunningPipeline) -> Audit:
    """The result of an audit that begins now, as another instance has asked for it."""
    result_of(running.pipeline.execute(Command(1, "audit")))
    running.memory.pass_time_until(lambda: not running.status().audit.running)
    last = running.status().audit.last
    assert last is not None
    return last


def kinds(found: Audit) -> dict[str, list[str]]:
    """The named gists of each kind of which there are any."""
    named = {kind: [finding.gist for finding in getattr(found, kind)] for kind in KINDS}
    assert {kind: len(gists) for kind, gists in named.items()} == found.counts
    return {kind: gists for kind, gists in named.items() if gists}


def deal_of(memory: InMemoryPipeline, gist: str) -> int:
    """The number of its deal, which the newest gist gets first."""
    return next(deal for deal, row in memory.world.crm.deals.items() if row.fields["title"] == gist)


def purge(memory: InMemoryPipeline, deal: int) -> None:
    """It was deleted more than thirty days ago: nothing of it is left."""
    memory.world.crm.delete_deal(deal)
    memory.world.crm.deals[deal].deleted_at = memory.clock.seconds() - PURGED_AFTER_S


def warnings(running: RunningPipeline) -> list[tuple[str, str]]:
    return [(problem.id, problem.severity) for problem in running.status().problems]


# --- what is found ----------------------------------------------------------------------------------------------------


def test_where_all_is_well_it_finds_nothing_and_tells_what_it_cost(memory: InMemoryPipeline) -> None:
    running = begin(memory, ONE, TWO)
    used = memory.world.pipedrive_limits.tokens_used
    found = audit(running)
    assert (found.gists, kinds(found), warnings(running)) == (2, {}, [])
    assert found.tokens == memory.world.pipedrive_limits.tokens_used - used > 0


def test_a_deal_that_is_gone_for_good_is_missing_and_one_that_is_won_archived_or_deleted_is_not(
    memory: InMemoryPipeline,
) -> None:
    running = begin(memory, ONE, TWO, THREE, FOUR)
    crm, lost = memory.world.crm, deal_of(memory, ONE)
    purge(memory, lost)
    crm.delete_deal(deal_of(memory, TWO))
    crm.archive_deal(deal_of(memory, THREE))
    crm.win_deal(deal_of(memory, FOUR))
    found = audit(running)
    assert kinds(found) == {"missing": [ONE]}
    assert found.missing == [AuditFinding(gist=ONE, deal=lost, user="ada")]


def test_what_is_missing_is_a_warning_until_it_was_reported_before(memory: InMemoryPipeline) -> None:
    running = begin(memory, ONE, TWO)
    purge(memory, 1)
    audit(running)
    assert warnings(running) == [("audit-missing", "warning")]
    audit(running)
    assert warnings(running) == []
    purge(memory, 2)
    assert audit(running).newly_missing == 1
    (problem,) = running.status().problems
    assert (problem.text, problem.about) == ("the deals of 1 gist are no longer in Pipedrive", ("ada",))


def test_several_living_deals_of_one_gist_are_a_warning_for_as_long_as_they_are_there(memory: InMemoryPipeline) -> None:
    running = begin(memory, ONE, TWO)
    other = memory.add_organization("a customer")
    second, deleted = memory.add_deal(f"Call them about {ONE.upper()}", other), memory.add_deal(TWO, other)
    memory.world.crm.delete_deal(deleted)
    for _ in range(2):
        found = audit(running)
        assert kinds(found) == {"duplicate": [ONE]}
        assert found.duplicate == [AuditFinding(gist=ONE, deal=deal_of(memory, ONE), user="ada", others=[second])]
        assert warnings(running) == [("audit-duplicate", "warning")]
    memory.world.crm.delete_deal(second)
    assert (kinds(audit(running)), warnings(running)) == ({}, [])


def test_moved_and_renamed_deals_and_those_of_unknown_gists_are_told_for_information(memory: InMemoryPipeline) -> None:
    running = begin(memory, ONE, TWO, THREE)
    other = memory.add_organization("a customer")
    memory.world.crm.move_deal(deal_of(memory, ONE), other)
    memory.world.crm.rename_deal(deal_of(memory, TWO), "Website 2026")
    memory.world.crm.move_deal(deal_of(memory, THREE), None)
    memory.add_deal(f"Maps {FOUR}", other)
    memory.add_deal(f"More maps {FOUR}", other)
    memory.add_deal("Website 2027", other)
    found = audit(running)
    assert kinds(found) == {"moved": [ONE, THREE], "renamed": [TWO], "unknown": [FOUR]}
    assert (found.unknown[0].deal, found.unknown[0].user, warnings(running)) == (4, None, [])


def test_where_titles_never_tell_the_gist_no_deal_counts_as_renamed(memory: InMemoryPipeline) -> None:
    memory.world.crm.company.deal_fields.add("Gist id")
    running = begin(memory, ONE, PIPETEST_DEALS='title = "a gist"\nfields = {"Gist id" = "{id}"}')
    assert kinds(audit(running)) == {}


def test_a_deal_whose_number_was_never_known_is_found_by_its_title_or_its_stamp() -> None:
    comparison = Comparison({}, titles_tell=True)
    comparison.expect([entry(1, ONE, None), entry(2, TWO, None), entry(3, THREE, None)])
    comparison.add([Found(7, ONE), Found(8, "Website", stamp=THREE), Found(9, f"Copy of {ONE}", fields=(THREE,))])
    found = comparison.result(0.0, 0, None)
    assert kinds(found) == {"missing": [TWO], "duplicate": [THREE], "renamed": [THREE]}


def test_a_short_id_counts_in_its_users_organization_alone() -> None:
    comparison = Comparison({"ada": 5}, titles_tell=True)
    comparison.expect([entry(1, "4283721", 1), entry(2, "1234", None)])
    others = comparison.add([Found(n, name, organization_id=where) for n, name, where in (
        (1, "4283721", 6), (2, "about 4283721", 6), (3, "4283721", 5), (4, "1234", 6))])  # fmt: skip
    found = comparison.result(0.0, 0, None)
    assert (kinds(found), others) == ({"missing": ["1234"], "duplicate": ["4283721"], "moved": ["4283721"]}, {})


def test_what_is_listed_last_of_a_deal_counts() -> None:
    comparison = Comparison({"ada": 5}, titles_tell=True)
    comparison.expect([entry(1, ONE, 1)])
    comparison.add([Found(1, "renamed", organization_id=6), Found(2, ONE)])
    comparison.feed_lacks(comparison.add([Found(3, TWO)]))
    comparison.add([Found(1, ONE, organization_id=5), Found(2, ONE, deleted=True), Found(3, "Website")])
    assert kinds(comparison.result(0.0, 0, None)) == {}


def test_a_hundred_of_each_kind_are_named_and_all_are_counted() -> None:
    def missing(number: int, before: Audit | None) -> Audit:
        comparison = Comparison({}, titles_tell=True)
        comparison.expect(entry(position, f"{position:032x}", position) for position in range(1, number + 1))
        return comparison.result(0.0, 0, before)

    first = missing(150, None)
    assert (first.counts["missing"], len(first.missing), first.newly_missing) == (150, MOST_NAMED, 150)
    assert [missing(number, first).newly_missing for number in (150, 153)] == [0, 3]


def test_newly_missing_are_at_least_those_named_that_were_not_named_before() -> None:
    def missing(gist: str, before: Audit | None) -> Audit:
        comparison = Comparison({}, titles_tell=True)
        comparison.expect([entry(1, gist, 1)])
        return comparison.result(0.0, 0, before)

    first = missing(ONE, None)
    assert [missing(gist, first).newly_missing for gist in (ONE, TWO)] == [0, 1]


def test_of_ten_thousand_deals_ids_are_held_and_little_else() -> None:
    pages = [[(500 * page + row + 1, f"{500 * page + row + 1:032x}") for row in range(500)] for page in range(20)]
    comparison = Comparison({"ada": 1}, titles_tell=True)
    for page in pages:
        comparison.expect(entry(deal, gist, deal) for deal, gist in page)
    for page in pages:
        comparison.add(Found(deal, f"{'about ' * 30}{gist}", organization_id=1) for deal, gist in page)
    held = size_of(comparison)
    assert kinds(comparison.result(0.0, 0, None)) == {}
    assert held < 4_500_000


def size_of(whole: object) -> int:
    """Bytes of an object and of all that it holds, classes excepted."""
    found, left = {id(whole): whole}, [whole]
    while left:
        parts = [part for part in gc.get_referents(left.pop()) if not isinstance(part, type) and id(part) not in found]
        found |= {id(part): part for part in parts}
        left += parts
    return sum(map(sys.getsizeof, found.values()))


def entry(position: int, gist: str, deal: int | None) -> Entry:
    return Entry(position, Gist(gist, 0.0), "ada", Done(deal))


# --- when it runs -----------------------------------------------------------------------------------------------------


def test_judged_is_only_what_was_done_a_settle_time_before_it_began(memory: InMemoryPipeline) -> None:
    running = begin(memory, ONE)
    memory.world.crm.list_lag = SETTLE_S - 10.0
    memory.write(TWO)
    memory.pass_time_until(lambda: running.status().ledger.done == 2)
    result_of(running.pipeline.audit())
    memory.write(THREE)
    result_of(running.pipeline.scan())
    memory.world.crm.list_lag = 3600.0
    memory.pass_time_until(lambda: not running.status().audit.running)
    assert running.status().ledger.done == 3
    found = running.status().audit.last
    assert found is not None
    assert (found.gists, kinds(found)) == (2, {})


def test_one_that_is_asked_for_while_another_runs_is_that_one(memory: InMemoryPipeline) -> None:
    running = begin(memory, ONE)
    pages = memory.searches()
    for _ in range(2):
        result_of(running.pipeline.audit())
        memory.pass_time(SETTLE_S / 4)
    memory.pass_time(2 * SETTLE_S)
    assert (memory.searches() - pages, running.status().audit.running) == (4, False)


def test_no_page_is_asked_for_while_a_create_is_under_way(memory: InMemoryPipeline) -> None:
    running = begin(memory, ONE)
    result_of(running.pipeline.audit())
    memory.pass_time(SETTLE_S - 5.0)
    memory.fail("held", "Pipedrive", method="POST")
    memory.write(TWO)
    result_of(running.pipeline.scan())
    memory.pass_time_until(lambda: memory.posts() == 3)
    asked = memory.searches()
    memory.pass_time(15.0)
    assert (memory.searches(), running.status().audit.running) == (asked, True)
    memory.world.held_replies.release()
    memory.pass_time_until(lambda: not running.status().audit.running)
    assert running.status().audit.last is not None


def test_a_create_that_waits_while_a_page_meets_an_outage_goes_on_once_that_is_over(memory: InMemoryPipeline) -> None:
    running = begin(memory, ONE)
    memory.fail("silent", "Pipedrive", times=None)
    asked = memory.searches()
    result_of(running.pipeline.audit())
    memory.pass_time_until(lambda: memory.searches() > asked + OUTAGE_FAILURES)  # one request goes at a time: this one
    memory.write(TWO)
    result_of(running.pipeline.scan())
    memory.pass_time(2.0)
    memory.world.faults.clear()
    memory.pass_time(60.0)
    assert running.status().ledger.done == 2


def test_it_leaves_room_for_a_create_that_waits_for_a_limit_unless_creation_is_paused(memory: InMemoryPipeline) -> None:
    memory.write(ONE)
    memory.start()
    memory.settle()
    room = [memory.outbox.leaves_room]
    memory.create_ready = memory.clock.seconds() + INTERVAL_S + 3600.0
    room.append(memory.outbox.leaves_room)
    memory.write(TWO)
    memory.pass_time(INTERVAL_S)
    room.append(memory.outbox.leaves_room)
    result_of(memory.outbox.set_paused(True))
    room.append(memory.outbox.leaves_room)
    assert room == [True, True, False, True]


def test_it_tells_how_far_it_has_come_by_the_newest_deal_that_it_has_seen(memory: InMemoryPipeline) -> None:
    running = begin(memory, ONE)
    for number in range(PAGE_ROWS):
        memory.add_deal(f"No {number}", 1)
    sandbox, second_page = memory.pipedrive.exchange, Deferred[None]()

    async def exchange(request: Request) -> Reply:
        if "cursor" in request.url:
            await second_page
        return await sandbox(request)

    memory.pipedrive.exchange = exchange
    result_of(running.pipeline.audit())
    memory.pass_time(SETTLE_S / 2)
    assert running.status().audit == AuditState(running=True)
    memory.pass_time(SETTLE_S)
    assert running.status().audit == AuditState(running=True, progress=PAGE_ROWS / (PAGE_ROWS + 1))
    second_page.callback(None)
    memory.pass_time(SETTLE_S)
    assert running.status().audit.last is not None


def test_a_page_that_fails_is_asked_for_again(memory: InMemoryPipeline) -> None:
    running = begin(memory, ONE)
    memory.fail("500", "Pipedrive", method="GET", path="/api/v2/deals/archived", times=3)
    assert kinds(audit(running)) == {}
    assert memory.pipedrive.requests[-2].url.count("archived") == 1


@pytest.mark.parametrize(("fault", "times"), [("402", 1), ("500", MOST_ATTEMPTS)])
def test_one_that_fails_says_so_and_leaves_the_last_result(memory: InMemoryPipeline, fault: str, times: int) -> None:
    running = begin(memory, ONE)
    first = audit(running)
    memory.fail(fault, "Pipedrive", method="GET", path="/api/v2/deals/archived", times=times)
    assert audit(running) == first
    state = running.status().audit
    assert (state.running, state.failed_at is None) == (False, False)
    assert (state.failure or "").startswith("Pipedrive: ")
    assert audit(running).at > first.at
    assert running.status().audit.failure is None


def test_one_whose_end_cannot_be_stored_for_a_defect_says_so_and_another_can_begin(
    memory: InMemoryPipeline, monkeypatch: pytest.MonkeyPatch, no_failure_is_logged_unseen: list[LogEvent]
) -> None:
    running = begin(memory, ONE)
    first = audit(running)
    with monkeypatch.context() as patched:
        patched.setattr(memory.store, "put_value", lambda *_: 1 / 0)
        assert audit(running) == first
    failure = "a defect of pipetest's (ZeroDivisionError), which the log tells"
    assert running.status().audit == AuditState(last=first, failure=failure, failed_at=memory.clock.seconds())
    assert {event["event"] for event in no_failure_is_logged_unseen} >= {"audit_failed"}
    no_failure_is_logged_unseen.clear()
    assert audit(running).at > first.at


def test_a_result_outlives_the_process(memory: InMemoryPipeline) -> None:
    running = begin(memory, ONE, TWO)
    memory.world.crm.rename_deal(1, "Website 2026")
    found = audit(running)
    memory.kill()
    state = RunningPipeline(memory, {}).status().audit
    assert state.last is not None
    assert (state.running, state.failure, kinds(state.last), state.last.at) == (False, None, kinds(found), found.at)


@pytest.mark.parametrize("stops", [True, False])
def test_one_that_is_cut_short_says_so_after_the_next_start_and_leaves_the_last_result(
    memory: InMemoryPipeline, stops: bool
) -> None:
    running = begin(memory, ONE)
    first = audit(running)
    result_of(running.pipeline.audit())
    memory.pass_time(SETTLE_S / 2)
    state = running.status().audit
    assert (state.running, state.last) == (True, first)
    if stops:
        result_of(running.pipeline.stop(0.0, 0.0))
        assert running.status().audit.running is False
        result_of(memory.store.close())
    memory.kill()
    state = RunningPipeline(memory, {}).status().audit
    assert (state.running, state.last) == (False, first)
    assert state.failure == "it was cut short, as the instance that ran it has stopped"


def test_a_stop_ends_one_that_waits_for_an_answer_at_once(memory: InMemoryPipeline) -> None:
    running = begin(memory, ONE)
    exchange = memory.pipedrive.exchange

    async def cut_off(request: Request) -> Reply:
        """As over real connections: whatever ends an exchange early is no answer."""
        try:
            return await exchange(request)
        except Exception:
            raise Unanswered("Pipedrive", "cut off") from None

    memory.pipedrive.exchange = cut_off
    memory.fail("held", "Pipedrive", method="GET")
    result_of(running.pipeline.audit())
    memory.pass_time(SETTLE_S + 1.0)
    stopping = Deferred.fromCoroutine(running.pipeline.stop(0.0, 1.0))
    assert (stopping.called, running.status().audit.running) == (True, False)


def test_it_runs_by_itself_once_a_week(memory: InMemoryPipeline) -> None:
    running = begin(memory, ONE)
    memory.pass_time(LOOK_EVERY_S + 2 * SETTLE_S, step=10.0)
    first = running.status().audit.last
    assert first is not None
    memory.pass_time(EVERY_S - 2 * LOOK_EVERY_S, step=600.0)
    assert running.status().audit.last == first
    memory.pass_time(3 * LOOK_EVERY_S, step=10.0)
    second = running.status().audit.last
    assert second is not None
    assert second.at > first.at


@pytest.mark.parametrize(("age", "due"), [(EVERY_S - 1.0, False), (EVERY_S, True), (0.0, False), (-1.0, True)])
def test_one_is_due_a_week_after_the_last_or_where_the_clock_was_set_back_since(
    memory: InMemoryPipeline, age: float, due: bool
) -> None:
    memory.wire()
    last = Audit(at=memory.clock.seconds() + LOOK_EVERY_S - age, tokens=0, gists=0, counts={})
    result_of(memory.store.put_value(STORED_AS, AuditState(last=last)))
    result_of(memory.store.mark_reconciled())
    memory.kill()
    running = RunningPipeline(memory, {})
    memory.clock.advance(LOOK_EVERY_S)
    assert running.status().audit.running == due


def test_none_runs_by_itself_before_the_store_is_reconciled(memory: InMemoryPipeline) -> None:
    running = begin(memory, PIPETEST_DRY_RUN="true")
    memory.pass_time(LOOK_EVERY_S + 2 * SETTLE_S, step=10.0)
    assert memory.store.unreconciled
    assert running.status().audit.last is None


def test_where_it_would_cost_more_than_a_hundredth_of_the_days_tokens_it_waits_to_be_asked(
    memory: InMemoryPipeline,
) -> None:
    running = begin(memory, ONE, PIPETEST_PIPEDRIVE_DAILY_TOKENS="3000")
    pages = memory.searches()
    memory.pass_time(LOOK_EVERY_S + 2 * SETTLE_S, step=10.0)
    assert (running.status().audit.last, memory.searches() - pages) == (None, 1)
    memory.pass_time(TRY_EVERY_S - 1_200.0, step=60.0)
    assert memory.searches() - pages == 1
    memory.pass_time(600.0, step=10.0)
    assert memory.searches() - pages == 2
    assert kinds(audit(running)) == {}
