"""How the daemon starts, and how it stops: one service after the other."""

from typing import Any

import pytest
from attrs import define, evolve, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import LogEvent

from pipetest.daemon import REQUEST_GRACE_S, STOP_GRACE_S, Daemon, Parts, Work
from pipetest.domain.interfaces import Time
from pipetest.domain.model import Reply, Request
from pipetest.monitoring.health import Health, HealthMonitor
from pipetest.monitoring.history import History
from pipetest.outbox.dispatcher import LOADED_AT_ONCE
from pipetest.ratelimit.persistence import LimitPersistence
from pipetest.web.sessions import EXPIRE_EVERY_S, SessionExpiry
from tests.support.in_memory import SETTLE_S, InMemoryDaemon
from tests.support.results import result_of

LIFETIME_S = 30 * 24 * 3600.0


@define
class Edges:
    """Stands where clients, web and pool do, and writes down what is asked of them."""

    events: list[str] = field(factory=list)
    refusal: SystemExit | None = None
    last_words: "Deferred[None] | None" = None

    async def __call__(self, request: Request) -> Reply:
        raise AssertionError("no request goes through here")

    def listen(self) -> None:
        self.events.append("listens")
        if self.refusal is not None:
            raise self.refusal

    async def close(self, grace_s: float | None = None) -> None:
        self.events.append("web closes" if grace_s is None else "clients close")
        if grace_s is not None and self.last_words is not None:
            await self.last_words

    def start(self) -> None:
        self.events.append("pool starts")


class Life:
    def __init__(self, memory: InMemoryDaemon | None = None) -> None:
        self.memory = memory or InMemoryDaemon()
        self.memory.wire(open_store=False)
        self.edges = edges = Edges()
        memory, clock = self.memory, self.memory.clock
        time = Time(clock.seconds, clock.seconds)
        parts = Parts(
            pool=edges,
            store=memory.store,
            work=Work(
                keeper=LimitPersistence(memory.store, [], clock),
                history=History(memory.store, clock.seconds, clock),
                governors=[],
                exchanges=[edges],
                creator=memory.dispatcher,
                scanner=memory.scanner,
                clock=clock,
            ),
            forgetter=SessionExpiry(memory.store, time, clock, LIFETIME_S),
            watchdog=HealthMonitor(lambda: Health(0, 0.0, 1.0, None), clock),
            web=edges,
        )
        self.daemon = Daemon(parts, memory.clock, lambda: edges.events.append("stop begins"), lambda: None)

    def stop(self) -> "Deferred[None]":
        self.edges.events.clear()
        return self.daemon.stopService()


@pytest.fixture
def life() -> Life:
    return Life()


def test_it_opens_and_listens_before_it_begins(life: Life) -> None:
    life.memory.world.accounts.write("ada", gist_id="a")
    life.daemon.startService()
    assert life.edges.events == ["listens", "pool starts"]
    assert life.memory.feed() == ["a"]


def test_nothing_begins_on_a_database_that_is_refused(life: Life) -> None:
    life.memory.disk.put("", b"not a database")
    with pytest.raises(SystemExit, match=r"/db/db\.json"):
        life.daemon.startService()
    assert life.edges.events == ["listens"]
    assert life.memory.github.requests == []


def test_nothing_begins_where_nothing_can_listen_and_the_database_stays_as_it_was(life: Life) -> None:
    life.edges.refusal = SystemExit("taken")
    life.memory.disk.put("", b'{"users": {}}')
    with pytest.raises(SystemExit):
        life.daemon.startService()
    assert life.memory.github.requests == []
    assert life.memory.disk.files == {"": b'{"users": {}}'}


@define
class Unable:
    """Work with a bug."""

    before: "Deferred[None]" = field(factory=lambda: succeed(None))

    async def begin(self) -> None:
        await self.before
        raise KeyError("ada")

    async def end(self, grace_s: float) -> bool:
        return True


def test_work_that_cannot_begin_ends_the_process(life: Life, no_failure_is_logged_unseen: list[LogEvent]) -> None:
    """Else it would look well, and do nothing."""
    daemon = Daemon(evolve(life.daemon.parts, work=Unable()), life.memory.clock, lambda: None, lambda: None)
    with pytest.raises(SystemExit, match="could not begin"):
        daemon.startService()
    assert [event["log_failure"].type for event in no_failure_is_logged_unseen] == [KeyError]
    no_failure_is_logged_unseen.clear()


def test_work_that_turns_out_later_unable_to_begin_ends_the_process_too(
    life: Life, no_failure_is_logged_unseen: list[LogEvent]
) -> None:
    work, died = Unable(Deferred()), list[bool]()
    Daemon(
        evolve(life.daemon.parts, work=work), life.memory.clock, lambda: None, lambda: died.append(True)
    ).startService()
    assert died == []
    work.before.callback(None)
    assert died == [True]
    assert [event["log_failure"].type for event in no_failure_is_logged_unseen] == [KeyError]
    no_failure_is_logged_unseen.clear()


def test_a_stop_while_it_loads_is_as_clean_as_any_other(life: Life) -> None:
    """No defect is logged, and nothing begins."""
    life.memory.write(*[f"gist-{number}" for number in range(2 * LOADED_AT_ONCE + 1)])
    life.memory.start()
    life.memory.kill()
    life = Life(life.memory)
    life.daemon.startService()
    stopped = life.stop()
    life.memory.pass_time(SETTLE_S + 1.0)
    assert stopped.called
    assert life.edges.events == ["stop begins", "clients close", "web closes"]
    assert life.memory.github.requests == life.memory.pipedrive.requests == []


def test_it_stops_one_service_after_the_other(life: Life) -> None:
    life.daemon.startService()
    stopped = life.stop()
    life.memory.pass_time(1.0)
    assert stopped.called
    assert life.edges.events == ["stop begins", "clients close", "web closes"]


def test_once_it_stops_nothing_new_begins(life: Life) -> None:
    life.daemon.startService()
    life.memory.pass_time(SETTLE_S + 1.0)
    life.stop()
    life.memory.github.requests.clear()
    life.memory.pipedrive.requests.clear()
    life.memory.world.accounts.write("ada", gist_id="late")
    life.memory.pass_time(2000.0)
    assert life.memory.github.requests == life.memory.pipedrive.requests == []


def test_a_create_under_way_may_end_and_is_stored(life: Life) -> None:
    memory = life.memory
    memory.world.accounts.write("ada", gist_id="a")
    memory.fail("slow", "Pipedrive", method="POST", path="/api/v2/deals")
    life.daemon.startService()
    memory.pass_time(SETTLE_S + 1.0)
    life.edges.last_words = Deferred()
    stopped = life.stop()
    memory.pass_time(REQUEST_GRACE_S - 1.0)
    life.edges.last_words.callback(None)
    memory.pass_time(5.0)
    assert stopped.called
    memory.wire()
    assert result_of(memory.store.open_entries()) == []


def test_what_does_not_end_in_time_holds_the_stop_up_no_longer_than_its_grace(
    life: Life, no_failure_is_logged_unseen: list[object]
) -> None:
    life.daemon.startService()
    life.edges.last_words = Deferred()
    stopped = life.stop()
    life.memory.pass_time(REQUEST_GRACE_S + STOP_GRACE_S - 0.5)
    before = stopped.called
    life.memory.pass_time(2.0)
    assert (before, stopped.called) == (False, True)
    assert life.edges.events[-1] == "web closes"
    no_failure_is_logged_unseen.clear()


class Stuck:
    """Whatever it is asked to end, it does not."""

    async def stop(self) -> None:
        await Deferred()

    async def close(self, grace_s: float = 0.0) -> None:
        await Deferred()


def test_a_stop_in_which_nothing_ends_takes_less_than_the_ten_seconds_that_container_engines_wait(
    no_failure_is_logged_unseen: list[object],
) -> None:
    clock = Clock()
    stuck: Any = Stuck()
    work = Work(stuck, stuck, governors=[], exchanges=[stuck], creator=stuck, scanner=stuck, clock=clock)
    parts = Parts(pool=stuck, store=stuck, work=work, forgetter=stuck, watchdog=stuck, web=stuck)
    stopped = Daemon(parts, clock, lambda: None, lambda: None).stopService()
    clock.pump([0.01] * 990)
    assert stopped.called
    no_failure_is_logged_unseen.clear()


def test_expired_sessions_are_removed_every_hour(life: Life) -> None:
    life.daemon.startService()
    store, clock = life.memory.store, life.memory.clock
    result_of(store.advance_session("visitor", 0, clock.seconds() - LIFETIME_S))
    result_of(store.advance_session("regular", 0, clock.seconds()))
    life.memory.pass_time(EXPIRE_EVERY_S + 1.0)
    assert result_of(store.resume_session("visitor", clock.seconds())) is None
    assert result_of(store.resume_session("regular", clock.seconds())) == 0
