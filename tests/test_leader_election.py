"""The real pipeline of one instance of several, in memory; the lease is in the hands of the test."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import pytest
from msgspec import Struct, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import LogEvent

from pipetest.config import settings
from pipetest.daemon import REQUEST_GRACE_S
from pipetest.domain.errors import Unavailable
from pipetest.domain.interfaces import Command
from pipetest.domain.model import User
from pipetest.domain.status import Leader
from pipetest.leader_election import ABORT_S, ABORT_WAIT_S, EVERY_S, LeaderElection
from pipetest.monitoring.health import with_problems
from pipetest.monitoring.problems import problems
from pipetest.outbox.dispatcher import PAUSED
from pipetest.pipeline import Exchanges, Pipeline
from pipetest.runtime.shutdown import STOP_GRACE_S
from pipetest.sandbox.world import KEY
from pipetest.store.tinydb.store import TinyStore
from pipetest.web.metrics import Exposition
from pipetest.web.page.layout import page
from tests.support.doubles import StubExchange
from tests.support.in_memory import InMemoryPipeline
from tests.support.results import result_of
from tests.support.running_pipeline import pipeline_of
from tests.support.simulated_disk import run

MINUTES = 10
SETTINGS = settings.load(
    {
        "PIPETEST_PIEPEDRIVE_API_KEY": KEY,
        "PIPETEST_QUERIED_USERS": "ada",
        "PIPETEST_QUERYING_INTERVAL": f"{MINUTES}",
    }
)
A_WHILE_S = 30


class StubLease(Struct):
    """Ours whenever we try, as soon as ``answer`` has come."""

    answer: "Deferred[None]" = field(default_factory=lambda: succeed(None))
    commands: list[Command] = field(default_factory=list)
    renewals: int = 0
    events: list[str] = field(default_factory=list)
    lost: Callable[[], None] = lambda: None
    shared: bool = True
    holder: str | None = "here"
    fresh: bool = True

    def is_fresh(self) -> bool:
        return self.fresh

    def on_lost(self, callback: Callable[[], None]) -> None:
        self.lost = callback

    async def acquire(self) -> bool:
        self.events.append("tried")
        await self.answer
        return True

    async def renew(self) -> Sequence[Command]:
        self.renewals += 1
        return list(self.commands)

    async def acknowledge(self, command: Command) -> None:
        self.commands.remove(command)
        self.events.append(f"executed: {command.what}")

    async def release(self) -> None:
        self.events.append("released")


class Store(TinyStore):
    """Its database answers, and writes, when the test lets it."""

    reads: "Deferred[None]" = succeed(None)
    writes: "Deferred[None]" = succeed(None)

    async def users(self) -> Sequence[User]:
        await self.reads
        return await super().users()

    async def known_users(self, names: Collection[str], account_ids: Collection[int]) -> Sequence[User]:
        await self.reads
        return await super().known_users(names, account_ids)

    async def put_value(self, name: str, value: Any) -> None:
        if name == PAUSED:
            await self.writes
        await super().put_value(name, value)


class Instance:
    def __init__(self) -> None:
        self.memory = memory = InMemoryPipeline()
        memory.wire(open_store=False)
        self.clock = memory.clock
        self.store = Store(memory.disk.folder(), run, self.clock, roots={})
        self.store.open()
        self.lease = StubLease()
        self.graces: list[float] = []
        self.github = StubExchange(memory.github, self.graces)
        self.leader = LeaderElection(self.lease, self._pipeline, self.clock)

    def _pipeline(self) -> Pipeline:
        rest = (StubExchange(exchange, self.graces) for exchange in (self.memory.pipedrive, self.memory.github))
        self.pipeline = pipeline_of(SETTINGS, self.store, Exchanges(self.github, *rest), self.clock)
        return self.pipeline

    def start(self) -> None:
        Deferred.fromCoroutine(self.leader.start())

    def stop(self) -> "Deferred[bool]":
        return Deferred.fromCoroutine(self.leader.stop(REQUEST_GRACE_S))

    def pass_time(self, seconds: float) -> None:
        self.memory.pass_time(seconds, step=EVERY_S)

    def hang_in_a_scan(self) -> "Deferred[None]":
        """The database answers no question any more, and a scan waits for one; fires when it does again."""
        reads: Deferred[None] = Deferred()
        self.store.reads = reads
        self.pass_time(MINUTES * 60)
        return reads

    @property
    def scans(self) -> int:
        return len(self.memory.github.requests)


@pytest.fixture
def instance() -> Instance:
    return Instance()


def test_whoever_acquires_the_lease_starts_and_renews_it_every_second(instance: Instance) -> None:
    instance.start()
    instance.pass_time(5.0)
    assert (instance.leader.leads, instance.lease.renewals, instance.scans) == (True, 5, 1)


def test_a_command_waits_until_the_pipeline_has_started_and_the_lease_is_renewed_meanwhile(instance: Instance) -> None:
    reads: Deferred[None] = Deferred()
    instance.store.reads = reads
    instance.lease.commands.append(Command(1, "pause"))
    instance.start()
    instance.pass_time(5.0)
    before = list(instance.lease.events), instance.lease.renewals
    reads.callback(None)
    instance.pass_time(1.0)
    assert before == (["tried"], 5)
    assert instance.lease.events == ["tried", "executed: pause"]
    assert instance.pipeline.outbox.paused


def test_the_lease_is_renewed_while_a_command_takes_long_and_the_next_one_waits(instance: Instance) -> None:
    instance.start()
    writes: Deferred[None] = Deferred()
    instance.store.writes = writes
    instance.lease.commands += [Command(1, "pause"), Command(2, "resume")]
    instance.pass_time(A_WHILE_S)
    before = list(instance.lease.events), instance.lease.renewals
    writes.callback(None)
    instance.pass_time(1.0)
    assert before == (["tried"], A_WHILE_S)
    assert instance.lease.events == ["tried", "executed: pause", "executed: resume"]
    assert not instance.pipeline.outbox.paused


def test_a_command_that_fails_is_tried_again(instance: Instance, no_failure_is_logged_unseen: list[LogEvent]) -> None:
    instance.start()
    writes: Deferred[None] = Deferred()
    instance.store.writes = writes
    instance.lease.commands.append(Command(1, "pause"))
    instance.pass_time(1.0)
    writes.errback(OSError("the first time"))
    instance.store.writes = succeed(None)
    instance.pass_time(1.0)
    assert instance.lease.events == ["tried", "executed: pause"]
    assert no_failure_is_logged_unseen.pop()["log_failure"].check(OSError)


def test_what_is_under_way_when_the_lease_is_lost_is_cut_off_and_all_begins_anew(instance: Instance) -> None:
    instance.start()
    pipeline = instance.leader.pipeline
    instance.lease.lost()
    assert instance.graces == [ABORT_S] * 3
    instance.pass_time(1.0)
    assert instance.leader.leads
    assert instance.leader.pipeline is not pipeline
    assert (instance.scans, instance.lease.events) == (2, ["tried", "tried"])


def test_after_an_outage_in_the_midst_of_a_scan_the_lease_is_acquired_again(instance: Instance) -> None:
    instance.start()
    reads = instance.hang_in_a_scan()
    instance.lease.lost()
    instance.pass_time(A_WHILE_S)
    assert instance.lease.events == ["tried"]
    instance.store.reads = succeed(None)
    reads.callback(None)
    instance.pass_time(1.0)
    assert instance.lease.events == ["tried", "tried"]
    assert (instance.leader.leads, instance.scans) == (True, 2)


def test_where_a_pipeline_does_not_end_no_second_one_starts(instance: Instance) -> None:
    instance.start()
    reads = instance.hang_in_a_scan()
    instance.lease.lost()
    instance.pass_time(ABORT_WAIT_S + 1.0)
    reads.callback(None)
    instance.pass_time(A_WHILE_S)
    assert (instance.leader.leads, instance.lease.events) == (False, ["tried"])


def test_a_stop_hardly_waits_for_what_a_lost_lease_left(instance: Instance) -> None:
    instance.start()
    instance.hang_in_a_scan()
    instance.lease.lost()
    instance.pass_time(1.0)
    ended = instance.stop()
    instance.pass_time(STOP_GRACE_S)
    assert ended.called
    assert instance.lease.events == ["tried"]


def test_the_lease_is_renewed_until_the_last_outcomes_are_stored(instance: Instance) -> None:
    instance.start()
    last_words: Deferred[None] = Deferred()
    instance.github.closed = last_words
    ended = instance.stop()
    instance.lease.renewals = 0
    instance.pass_time(REQUEST_GRACE_S - 1.0)
    last_words.callback(None)
    assert (instance.lease.renewals, ended.called) == (REQUEST_GRACE_S - 1.0, True)
    assert instance.graces == [REQUEST_GRACE_S] * 3


@pytest.mark.parametrize(("reason", "defects"), [(Unavailable("no answer"), 0), (RuntimeError("a defect"), 1)])
def test_a_pipeline_that_cannot_start_is_left_to_others_and_started_anew(
    instance: Instance, no_failure_is_logged_unseen: list[LogEvent], reason: Exception, defects: int
) -> None:
    reads: Deferred[None] = Deferred()
    instance.store.reads = reads
    instance.start()
    reads.errback(reason)
    instance.store.reads = succeed(None)
    assert instance.lease.events == ["tried", "released"]
    instance.pass_time(1.0)
    assert (instance.lease.events, instance.scans) == (["tried", "released", "tried"], 1)
    assert len(no_failure_is_logged_unseen) == defects
    no_failure_is_logged_unseen.clear()


def test_a_lease_that_comes_when_the_stop_has_begun_starts_nothing(instance: Instance) -> None:
    instance.lease.answer = Deferred()
    instance.start()
    ended = instance.stop()
    instance.lease.answer.callback(None)
    instance.pass_time(1.0)
    assert ended.called
    assert (instance.leader.leads, instance.scans) == (False, 0)


def test_a_stop_hardly_waits_for_a_database_that_does_not_answer(instance: Instance) -> None:
    instance.lease.answer = Deferred()
    instance.start()
    ended = instance.stop()
    instance.pass_time(1.0)
    assert ended.called


def test_where_nobody_else_can_take_over_a_pipeline_that_cannot_start_is_an_error(instance: Instance) -> None:
    instance.lease.shared = False
    instance.store.reads = fail(RuntimeError("a defect"))
    with pytest.raises(RuntimeError, match="a defect"):
        result_of(instance.leader.start())
    assert instance.lease.events == ["tried"]


def test_where_nobody_else_can_take_over_the_lease_is_acquired_once_and_needs_no_renewal(instance: Instance) -> None:
    instance.lease.shared = False
    instance.start()
    instance.pass_time(A_WHILE_S)
    assert (instance.leader.leads, instance.lease.events, instance.lease.renewals) == (True, ["tried"], 0)
    assert instance.leader.status().leader is None


def test_the_status_says_which_of_several_instances_leads(instance: Instance) -> None:
    before = instance.leader.status().leader
    instance.start()
    assert (before, instance.leader.status().leader) == (
        Leader(here=False, name="here"),
        Leader(here=True, name="here"),
    )


def test_an_instance_whose_lease_may_be_lost_says_so_at_once_and_not_that_it_leads(instance: Instance) -> None:
    instance.start()
    instance.lease.fresh = False
    status = with_problems(instance.leader.status(), problems(instance.leader.health(), {}, 0.0))
    assert status.leader == Leader(here=False, name=None)
    assert "lease-in-doubt" in [problem.id for problem in status.problems]
    assert "which of the others scans is not known" in page(status, admin=False).decode()
    metrics = Exposition(lambda: status).text().decode()
    assert "pipetest_leader 0.0" in metrics
    assert 'pipetest_problem{id="lease-in-doubt",severity="warning"} 1.0' in metrics
    instance.lease.fresh = True
    assert instance.leader.status().leader == Leader(here=True, name="here")
    assert not instance.leader.health().lease_in_doubt


def test_an_instance_whose_pipeline_does_not_end_says_that_it_cannot_scan(instance: Instance) -> None:
    instance.start()
    instance.hang_in_a_scan()
    instance.lease.lost()
    assert instance.leader.health().disabled is None
    instance.pass_time(2 * ABORT_WAIT_S)
    found = problems(instance.leader.health(), {}, 0.0)
    assert ("error", "instance-disabled") in [(problem.severity, problem.id) for problem in found]


def test_an_instance_that_could_not_begin_says_so_until_it_can(instance: Instance) -> None:
    instance.store.reads = fail(Unavailable("the database does not answer"))
    instance.start()
    instance.pass_time(5.0)
    assert instance.leader.health().disabled == "the database does not answer"
    instance.store.reads = succeed(None)
    instance.pass_time(5.0)
    assert (instance.leader.leads, instance.leader.health().disabled) == (True, None)
