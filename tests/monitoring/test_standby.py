"""Of several instances, those that stand by tell what the leader stores, and for how long it has told nothing new."""

from collections.abc import Mapping, Sequence

import pytest
from msgspec.structs import replace
from twisted.internet.defer import fail
from twisted.internet.task import Clock

from pipetest.domain.errors import Unavailable
from pipetest.domain.interfaces import Time
from pipetest.domain.status import Leader, QueriedUser, Status
from pipetest.monitoring.health import HealthMonitor
from pipetest.monitoring.problems import LEADER_SILENT_S, DaemonHealth
from pipetest.monitoring.standby import EVERY_S, STORED_AS, Standby, StatusStorage
from pipetest.scanner.user_lists import STORED_AS as QUERIED_USERS
from tests.support.in_memory import InMemoryPipeline
from tests.support.results import result_of
from tests.support.web.sample import INSTANCE, QUIET


class Instance:
    """One of two instances on one store, with what is told of it; ``behind_s``: how late its clock is."""

    def __init__(self, memory: InMemoryPipeline, name: str, *, leads: bool, behind_s: float = 0.0) -> None:
        self.name = name
        self.store = memory.store
        self.leads = leads
        self.now = DaemonHealth()
        self.digests = {"PIPETEST_DRY_RUN": "1a2b3c4d", "PIPETEST_SETTLE_TIME": "55667788"}
        self.wall = lambda: memory.clock.seconds() - behind_s
        clock = memory.clock
        self.standby = Standby(self, memory.store, Time(self.wall, clock.seconds), clock, self.settings)
        self.monitor = HealthMonitor(self.standby.health, self.standby.status, self.wall, clock)
        self.storage = StatusStorage(lambda: self.leads, self.monitor.status, memory.store, clock, self.settings)
        for part in (self.standby, self.storage):
            part.start()

    def settings(self) -> Mapping[str, str]:
        return self.digests

    def health(self) -> DaemonHealth:
        return self.now

    def all_users(self) -> Sequence[QueriedUser]:
        return [QueriedUser(name=self.name)]

    def scanned_users(self) -> Sequence[str]:
        return [self.name]

    def status(self) -> Status:
        instance, leader = replace(INSTANCE, version=self.name), Leader(here=self.leads, name="one")
        if self.leads:
            return replace(QUIET, at=self.wall(), instance=instance, leader=leader)
        return Status(at=self.wall(), instance=instance, leader=leader)

    def freeze(self) -> None:
        for part in (self.standby, self.storage):
            result_of(part.stop())

    def problems(self) -> list[str]:
        return [problem.id for problem in self.monitor.status().problems]


def two(behind_s: float = 0.0) -> tuple[Clock, Instance, Instance]:
    memory = InMemoryPipeline()
    memory.wire()
    one = Instance(memory, "one", leads=True)
    return memory.clock, one, Instance(memory, "two", leads=False, behind_s=behind_s)


def pass_time(clock: Clock, seconds: float) -> None:
    for _ in range(int(seconds)):
        clock.advance(1.0)


def test_an_instance_that_stands_by_tells_what_the_leader_tells_with_its_age() -> None:
    clock, one, other = two()
    pass_time(clock, EVERY_S + 4.0)
    told = other.monitor.status()
    assert (told.ledger, told.users, told.latest) == (QUIET.ledger, QUIET.users, QUIET.latest)
    assert told.instance.version == "two"
    assert told.leader == Leader(here=False, name="one")
    assert told.age == 4.0
    assert one.monitor.status().age == 0.0


def test_it_tells_the_leader_s_problems_too_with_their_beginning() -> None:
    clock, one, other = two()
    one.now = DaemonHealth(failed_scans=3)
    pass_time(clock, 2 * EVERY_S)
    [problem] = other.monitor.status().problems
    assert problem == one.monitor.status().problems[0]
    assert other.monitor.status().unready is not None
    one.now = DaemonHealth()
    pass_time(clock, 2 * EVERY_S)
    assert other.problems() == []


def test_an_instance_that_stands_by_tells_whom_the_leader_scans() -> None:
    _, one, other = two()
    assert result_of(other.standby.scanned_users()) == ["two"]
    result_of(one.store.put_value(QUERIED_USERS, {"entries": ["ada"]}))
    assert result_of(other.standby.scanned_users()) == ["ada"]
    other.leads = True
    assert result_of(other.standby.scanned_users()) == ["two"]


def test_a_leader_that_tells_nothing_for_a_minute_is_an_error_until_somebody_leads() -> None:
    clock, one, other = two()
    pass_time(clock, 100.0)
    assert other.problems() == []
    one.freeze()
    pass_time(clock, LEADER_SILENT_S + EVERY_S)
    assert other.problems() == ["nobody-scans"]
    other.leads = True
    assert other.problems() == []
    assert other.monitor.status().ledger == QUIET.ledger


def test_an_instance_that_has_lost_the_lease_tells_what_it_knew_until_it_can_read_what_another_tells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, one, _ = two()
    pass_time(clock, EVERY_S)
    monkeypatch.setattr(one.store, "get_value", lambda name, kind: fail(Unavailable("the server is gone")))
    one.leads = False
    assert one.monitor.status().ledger == QUIET.ledger
    pass_time(clock, 5 * EVERY_S)
    told = one.monitor.status()
    assert (told.ledger, told.leader, told.age) == (QUIET.ledger, Leader(here=False, name="one"), 5 * EVERY_S)


def test_that_nobody_has_ever_led_is_an_error_as_well() -> None:
    clock, one, other = two()
    one.leads = False
    pass_time(clock, LEADER_SILENT_S + 1.0)
    assert other.problems() == ["nobody-scans"]


def test_the_clocks_of_two_machines_may_differ() -> None:
    clock, _, other = two(behind_s=86_400.0)
    pass_time(clock, 100.0)
    assert other.problems() == []
    assert 0.0 <= other.monitor.status().age <= EVERY_S


def test_what_another_version_stored_and_this_one_cannot_read_is_left_out() -> None:
    clock, one, other = two()
    pass_time(clock, EVERY_S)
    one.freeze()
    result_of(one.store.put_value(STORED_AS, {"at": "never"}))
    pass_time(clock, 2 * EVERY_S)
    assert other.monitor.status().ledger == QUIET.ledger
    assert other.monitor.status().age == 2 * EVERY_S


def test_an_instance_whose_settings_are_not_the_leader_s_says_which() -> None:
    clock, one, other = two()
    other.digests = {**other.digests, "PIPETEST_DRY_RUN": "other", "PIPETEST_OF_ANOTHER_VERSION": "x"}
    pass_time(clock, 2 * EVERY_S)
    [problem] = other.monitor.status().problems
    assert (problem.id, problem.text.rpartition(": ")[2]) == ("settings-differ", "PIPETEST_DRY_RUN")
    assert one.problems() == []
    one.digests = other.digests
    pass_time(clock, 2 * EVERY_S)
    assert other.problems() == []


def test_whoever_leads_has_nobody_to_differ_from() -> None:
    clock, one, other = two()
    other.digests = {**other.digests, "PIPETEST_DRY_RUN": "other"}
    pass_time(clock, 2 * EVERY_S)
    one.leads, other.leads = False, True
    assert other.problems() == []
    pass_time(clock, 2 * EVERY_S)
    assert (one.problems(), other.problems()) == (["settings-differ"], [])


def test_the_leader_tells_of_all_users_and_whoever_stands_by_of_those_that_the_leader_names() -> None:
    memory = InMemoryPipeline()
    memory.wire()
    one, other = Instance(memory, "one", leads=True), Instance(memory, "two", leads=False)
    memory.pass_time(60.0)
    assert [user.name for user in one.standby.all_users()] == ["one"]
    assert other.standby.all_users() == QUIET.users
