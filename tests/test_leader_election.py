"""The real work of one instance of several, in memory; the lock is the test's."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.logger import LogEvent

from pipetest.config import settings
from pipetest.daemon import REQUEST_GRACE_S, STOP_GRACE_S
from pipetest.domain.errors import Unavailable
from pipetest.domain.interfaces import Command, Exchange, Time
from pipetest.domain.model import Reply, Request, User
from pipetest.leader_election import ABORT_S, EVERY_S, PATIENCE_S, LeaderElection
from pipetest.outbox.dispatcher import PAUSED
from pipetest.pipeline import Pipeline, Resources
from pipetest.sandbox.world import KEY
from pipetest.store.tinydb.store import TinyStore
from tests.support.in_memory import InMemoryDaemon
from tests.support.simulated_disk import run
from tests.test_pipeline import NoPool

MINUTES = 10
SETTINGS = settings.load(
    {
        "PIPETEST_PIEPEDRIVE_API_KEY": KEY,
        "PIPETEST_QUERIED_USERS": "ada",
        "PIPETEST_QUERYING_INTERVAL": f"{MINUTES}",
    }
)
A_WHILE_S = 30


@define
class Lock:
    """Ours whenever we try, as soon as ``answer`` has come."""

    answer: "Deferred[None]" = field(factory=lambda: succeed(None))
    orders: list[Command] = field(factory=list)
    uses: int = 0
    events: list[str] = field(factory=list)
    lost: Callable[[], None] = lambda: None

    def on_lost(self, callback: Callable[[], None]) -> None:
        self.lost = callback

    async def acquire(self) -> bool:
        self.events.append("tried")
        await self.answer
        return True

    async def renew(self) -> Sequence[Command]:
        self.uses += 1
        return list(self.orders)

    async def acknowledge(self, command: Command) -> None:
        self.orders.remove(command)
        self.events.append(f"obeyed: {command.what}")

    async def release(self) -> None:
        self.events.append("released")


class Store(TinyStore):
    """Its database answers, and writes, when the test lets it."""

    reads: "Deferred[None]" = succeed(None)
    writes: "Deferred[None]" = succeed(None)

    async def users(self) -> Sequence[User]:
        await self.reads
        return await super().users()

    async def put_value(self, name: str, value: Any) -> None:
        if name == PAUSED:
            await self.writes
        await super().put_value(name, value)


@define
class Line:
    """``last_words`` is when it has closed; how long those under way were given is written down."""

    exchange: Exchange
    graces: list[float]
    last_words: "Deferred[None]" = field(factory=lambda: succeed(None))

    async def __call__(self, request: Request) -> Reply:
        return await self.exchange(request)

    async def close(self, grace_s: float) -> None:
        self.graces.append(grace_s)
        await self.last_words


class Life:
    def __init__(self) -> None:
        self.memory = memory = InMemoryDaemon()
        memory.wire(open_store=False)
        self.clock = memory.clock
        self.store = Store(memory.disk.folder(), run, self.clock, roots={})
        self.store.open()
        self.lock = Lock()
        self.graces: list[float] = []
        self.github = Line(memory.github, self.graces)
        self.leadership = LeaderElection(self.lock, self.job, self.clock)

    def job(self) -> Pipeline:
        time = Time(self.clock.seconds, self.clock.seconds)
        rest = (Line(exchange, self.graces) for exchange in (self.memory.pipedrive, self.memory.github))
        return Pipeline(SETTINGS, Resources(time, self.clock, Random(3), NoPool(), self.store, self.github, *rest))

    def begin(self) -> None:
        Deferred.fromCoroutine(self.leadership.begin())

    def end(self) -> "Deferred[bool]":
        return Deferred.fromCoroutine(self.leadership.end(REQUEST_GRACE_S))

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
def life() -> Life:
    return Life()


def test_whoever_takes_the_lock_begins_and_uses_it_every_second(life: Life) -> None:
    life.begin()
    life.pass_time(5.0)
    assert (life.leadership.leads, life.lock.uses, life.scans) == (True, 5, 1)


def test_what_is_asked_for_waits_until_the_work_has_begun_and_the_lock_is_used_meanwhile(life: Life) -> None:
    reads: Deferred[None] = Deferred()
    life.store.reads = reads
    life.lock.orders.append(Command(1, "pause"))
    life.begin()
    life.pass_time(5.0)
    before = list(life.lock.events), life.lock.uses
    reads.callback(None)
    life.pass_time(1.0)
    assert before == (["tried"], 5)
    assert life.lock.events == ["tried", "obeyed: pause"]
    assert life.leadership.job.creator.paused


def test_the_lock_is_used_while_an_order_takes_long_and_the_next_one_waits(life: Life) -> None:
    life.begin()
    writes: Deferred[None] = Deferred()
    life.store.writes = writes
    life.lock.orders += [Command(1, "pause"), Command(2, "resume")]
    life.pass_time(A_WHILE_S)
    before = list(life.lock.events), life.lock.uses
    writes.callback(None)
    life.pass_time(1.0)
    assert before == (["tried"], A_WHILE_S)
    assert life.lock.events == ["tried", "obeyed: pause", "obeyed: resume"]
    assert not life.leadership.job.creator.paused


def test_an_order_that_fails_is_tried_again(life: Life, no_failure_is_logged_unseen: list[LogEvent]) -> None:
    life.begin()
    writes: Deferred[None] = Deferred()
    life.store.writes = writes
    life.lock.orders.append(Command(1, "pause"))
    life.pass_time(1.0)
    writes.errback(OSError("the first time"))
    life.store.writes = succeed(None)
    life.pass_time(1.0)
    assert life.lock.events == ["tried", "obeyed: pause"]
    assert no_failure_is_logged_unseen.pop()["log_failure"].check(OSError)


def test_what_is_under_way_when_the_lock_is_lost_is_cut_off_and_all_begins_anew(life: Life) -> None:
    life.begin()
    job = life.leadership.job
    life.lock.lost()
    assert life.graces == [ABORT_S] * 3
    life.pass_time(1.0)
    assert life.leadership.leads
    assert life.leadership.job is not job
    assert (life.scans, life.lock.events) == (2, ["tried", "tried"])


def test_after_an_outage_in_the_midst_of_a_scan_the_lock_is_taken_again(life: Life) -> None:
    life.begin()
    reads = life.hang_in_a_scan()
    life.lock.lost()
    life.pass_time(A_WHILE_S)
    assert life.lock.events == ["tried"]
    life.store.reads = succeed(None)
    reads.callback(None)
    life.pass_time(1.0)
    assert life.lock.events == ["tried", "tried"]
    assert (life.leadership.leads, life.scans) == (True, 2)


def test_where_the_work_does_not_end_there_is_never_more_of_it(life: Life) -> None:
    life.begin()
    reads = life.hang_in_a_scan()
    life.lock.lost()
    life.pass_time(PATIENCE_S + 1.0)
    reads.callback(None)
    life.pass_time(A_WHILE_S)
    assert (life.leadership.leads, life.lock.events) == (False, ["tried"])


def test_a_stop_hardly_waits_for_what_a_lost_lock_left(life: Life) -> None:
    life.begin()
    life.hang_in_a_scan()
    life.lock.lost()
    life.pass_time(1.0)
    ended = life.end()
    life.pass_time(STOP_GRACE_S)
    assert ended.called
    assert life.lock.events == ["tried"]


def test_the_lock_is_used_until_the_last_words_are_stored(life: Life) -> None:
    life.begin()
    last_words: Deferred[None] = Deferred()
    life.github.last_words = last_words
    ended = life.end()
    life.lock.uses = 0
    life.pass_time(REQUEST_GRACE_S - 1.0)
    last_words.callback(None)
    assert (life.lock.uses, ended.called) == (REQUEST_GRACE_S - 1.0, True)
    assert life.graces == [REQUEST_GRACE_S] * 3


@pytest.mark.parametrize(("reason", "defects"), [(Unavailable("no answer"), 0), (RuntimeError("a defect"), 1)])
def test_work_that_cannot_begin_is_left_to_others_and_begun_anew(
    life: Life, no_failure_is_logged_unseen: list[LogEvent], reason: Exception, defects: int
) -> None:
    reads: Deferred[None] = Deferred()
    life.store.reads = reads
    life.begin()
    reads.errback(reason)
    life.store.reads = succeed(None)
    assert life.lock.events == ["tried", "released"]
    life.pass_time(1.0)
    assert (life.lock.events, life.scans) == (["tried", "released", "tried"], 1)
    assert len(no_failure_is_logged_unseen) == defects
    no_failure_is_logged_unseen.clear()


def test_a_lock_that_comes_when_the_stop_has_begun_begins_nothing(life: Life) -> None:
    life.lock.answer = Deferred()
    life.begin()
    ended = life.end()
    life.lock.answer.callback(None)
    life.pass_time(1.0)
    assert ended.called
    assert (life.leadership.leads, life.scans) == (False, 0)


def test_a_stop_hardly_waits_for_a_database_that_does_not_answer(life: Life) -> None:
    life.lock.answer = Deferred()
    life.begin()
    ended = life.end()
    life.pass_time(1.0)
    assert ended.called
