"""How the daemon starts, and how it stops: one service after the other."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from msgspec import Struct, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import LogEvent

from pipetest.config import settings
from pipetest.daemon import REQUEST_GRACE_S, Daemon, Election
from pipetest.domain.interfaces import Exchange, Time
from pipetest.domain.model import Reply, Request
from pipetest.leader_election import LeaderElection
from pipetest.outbox.intake import LOADED_AT_ONCE
from pipetest.pipeline import Exchanges, Pipeline
from pipetest.runtime.shutdown import STOP_GRACE_S
from pipetest.sandbox.world import KEY
from pipetest.store.tinydb.lease import FileLease
from pipetest.web.sessions import EXPIRE_EVERY_S, SessionExpiry
from tests.support.doubles import StubExchange
from tests.support.in_memory import SETTLE_S, InMemoryPipeline
from tests.support.results import result_of
from tests.support.running_pipeline import pipeline_of

SETTINGS = settings.load({"PIPETEST_PIEPEDRIVE_API_KEY": KEY, "PIPETEST_QUERIED_USERS": "ada"})
LIFETIME_S = 30 * 24 * 3600.0


class Edges(Struct):
    """Stands where the web, the threads and one exchange do, and notes what is asked of them."""

    github: Exchange
    events: list[str] = field(default_factory=list)
    refusal: SystemExit | None = None
    under_way: "Deferred[None]" = field(default_factory=lambda: succeed(None))

    async def __call__(self, request: Request) -> Reply:
        return await self.github(request)

    def listen(self) -> None:
        self.events.append("listens")
        if self.refusal is not None:
            raise self.refusal

    def announce(self) -> None:
        self.events.append("says where")

    def read_certificates(self) -> Callable[[], None]:
        return lambda: None

    async def close(self, grace_s: float | None = None) -> None:
        self.events.append("web closes" if grace_s is None else "clients close")
        if grace_s is not None:
            await self.under_way

    def start(self) -> None:
        self.events.append("threads start")


class WiredDaemon:
    """The daemon as the product wires it, on what a test can see and hold."""

    def __init__(self, memory: InMemoryPipeline | None = None) -> None:
        self.memory = memory or InMemoryPipeline()
        self.memory.wire(open_store=False)
        self.edges = Edges(self.memory.github)
        self.time = Time(self.memory.clock.seconds, self.memory.clock.seconds)
        self.daemon = self.with_leader(LeaderElection(FileLease(), self._pipeline, self.memory.clock))

    def with_leader(self, leader: Election, died: Callable[[], None] = lambda: None) -> Daemon:
        memory, edges, clock = self.memory, self.edges, self.memory.clock
        background = {"session expiry": SessionExpiry(memory.store, self.time, clock, LIFETIME_S)}
        return Daemon(
            [edges],
            memory.store,
            leader,
            background,
            edges,
            clock,
            at_stop=lambda: edges.events.append("stop begins"),
            die=died,
        )

    def _pipeline(self) -> Pipeline:
        memory = self.memory
        exchanges = Exchanges(self.edges, StubExchange(memory.pipedrive), StubExchange(memory.github))
        return pipeline_of(SETTINGS, memory.store, exchanges, memory.clock)

    def stop(self) -> "Deferred[None]":
        self.edges.events.clear()
        return self.daemon.stopService()


@pytest.fixture
def running() -> WiredDaemon:
    return WiredDaemon()


def test_it_opens_and_listens_before_it_begins(running: WiredDaemon) -> None:
    running.memory.world.accounts.write("ada", gist_id="a")
    running.daemon.startService()
    assert running.edges.events == ["listens", "says where", "threads start"]
    assert running.memory.feed() == ["a"]


def test_nothing_listens_and_nothing_begins_on_a_database_that_is_refused(running: WiredDaemon) -> None:
    running.memory.disk.put("", b"not a database")
    with pytest.raises(SystemExit, match=r"/db/db\.json"):
        running.daemon.startService()
    assert running.edges.events == []
    assert running.memory.github.requests == []


def test_nothing_begins_where_nothing_can_listen_and_the_database_stays_as_it_was(running: WiredDaemon) -> None:
    running.edges.refusal = SystemExit("taken")
    running.memory.disk.put("", b'{"users": {}}')
    with pytest.raises(SystemExit):
        running.daemon.startService()
    assert running.memory.github.requests == []
    assert running.memory.disk.files == {"": b'{"users": {}}'}


class Unable(Struct):
    """Work with a bug."""

    before: "Deferred[None]" = field(default_factory=lambda: succeed(None))

    async def start(self) -> None:
        await self.before
        raise KeyError("ada")

    def settings_renewed(self) -> None: ...

    async def stop(self, grace_s: float) -> bool:
        return True


def test_work_that_cannot_begin_ends_the_process(
    running: WiredDaemon, no_failure_is_logged_unseen: list[LogEvent]
) -> None:
    """Else it would look well, and do nothing."""
    daemon = running.with_leader(Unable())
    with pytest.raises(SystemExit, match="could not begin"):
        daemon.startService()
    assert [event["log_failure"].type for event in no_failure_is_logged_unseen] == [KeyError]
    no_failure_is_logged_unseen.clear()


def test_work_that_turns_out_later_unable_to_begin_ends_the_process_too(
    running: WiredDaemon, no_failure_is_logged_unseen: list[LogEvent]
) -> None:
    work, died = Unable(Deferred()), list[bool]()
    running.with_leader(work, lambda: died.append(True)).startService()
    assert died == []
    work.before.callback(None)
    assert died == [True]
    assert [event["log_failure"].type for event in no_failure_is_logged_unseen] == [KeyError]
    no_failure_is_logged_unseen.clear()


def test_a_stop_while_it_loads_is_as_clean_as_any_other(running: WiredDaemon) -> None:
    """No defect is logged, and nothing begins but the question whether Pipedrive can be used."""
    running.memory.write(*[f"gist-{number}" for number in range(2 * LOADED_AT_ONCE + 1)])
    running.memory.start()
    running.memory.kill()
    running = WiredDaemon(running.memory)
    running.daemon.startService()
    stopped = running.stop()
    running.memory.pass_time(SETTLE_S + 1.0)
    assert stopped.called
    assert running.edges.events == ["stop begins", "clients close", "web closes"]
    assert running.memory.github.requests == []
    assert [urlsplit(request.url).path for request in running.memory.pipedrive.requests] == ["/api/v1/users/me"]


def test_it_stops_one_service_after_the_other(running: WiredDaemon) -> None:
    running.daemon.startService()
    stopped = running.stop()
    running.memory.pass_time(1.0)
    assert stopped.called
    assert running.edges.events == ["stop begins", "clients close", "web closes"]


def test_once_it_stops_nothing_new_begins(running: WiredDaemon) -> None:
    running.daemon.startService()
    running.memory.pass_time(SETTLE_S + 1.0)
    running.stop()
    running.memory.github.requests.clear()
    running.memory.pipedrive.requests.clear()
    running.memory.world.accounts.write("ada", gist_id="late")
    running.memory.pass_time(2000.0)
    assert running.memory.github.requests == running.memory.pipedrive.requests == []


def test_a_create_under_way_may_end_and_is_stored(running: WiredDaemon) -> None:
    memory = running.memory
    memory.world.accounts.write("ada", gist_id="a")
    memory.fail("slow", "Pipedrive", method="POST", path="/api/v2/deals")
    running.daemon.startService()
    memory.pass_time(SETTLE_S + 1.0)
    running.edges.under_way = Deferred()
    stopped = running.stop()
    memory.pass_time(REQUEST_GRACE_S - 1.0)
    running.edges.under_way.callback(None)
    memory.pass_time(5.0)
    assert stopped.called
    memory.wire()
    assert result_of(memory.store.open_entries()) == []


def test_what_does_not_end_in_time_holds_the_stop_up_no_longer_than_its_grace(
    running: WiredDaemon, no_failure_is_logged_unseen: list[object]
) -> None:
    running.daemon.startService()
    running.edges.under_way = Deferred()
    stopped = running.stop()
    running.memory.pass_time(REQUEST_GRACE_S + STOP_GRACE_S - 0.5)
    before = stopped.called
    running.memory.pass_time(2.0)
    assert (before, stopped.called) == (False, True)
    assert running.edges.events[-1] == "web closes"
    no_failure_is_logged_unseen.clear()


class Stuck:
    """Whatever it is asked to end, it does not."""

    async def stop(self) -> None:
        await Deferred()

    def close(self, grace_s: float = 0.0) -> "Deferred[None]":
        return Deferred()


def test_a_stop_in_which_nothing_ends_takes_less_than_the_ten_seconds_that_container_engines_wait(
    no_failure_is_logged_unseen: list[object],
) -> None:
    clock = Clock()
    stuck: Any = Stuck()
    pipeline = pipeline_of(SETTINGS, stuck, Exchanges(*[stuck] * 3), clock)
    pipeline.outbox = pipeline.scanner = pipeline.limits = pipeline.history = stuck
    leader = LeaderElection(FileLease(), lambda: pipeline, clock)
    daemon = Daemon([stuck], stuck, leader, {"expiry": stuck}, stuck, clock, at_stop=lambda: None, die=lambda: None)
    stopped = daemon.stopService()
    clock.pump([0.01] * 990)
    assert stopped.called
    no_failure_is_logged_unseen.clear()


def test_expired_sessions_are_removed_every_hour(running: WiredDaemon) -> None:
    running.daemon.startService()
    store, clock = running.memory.store, running.memory.clock
    result_of(store.advance_session("visitor", 0, clock.seconds() - LIFETIME_S))
    result_of(store.advance_session("regular", 0, clock.seconds()))
    running.memory.pass_time(EXPIRE_EVERY_S + 1.0)
    assert result_of(store.resume_session("visitor", clock.seconds())).shown is None
    assert result_of(store.resume_session("regular", clock.seconds())).shown == 0
