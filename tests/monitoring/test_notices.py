"""People are told of errors that last, once, and when they are over, whatever their receivers do."""

from collections.abc import Callable, Sequence
from errno import ENOSPC
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, capturedLogs

from pipetest.domain.problems import OperatorProblem, Severity
from pipetest.monitoring.notices import (
    ATTEMPTS,
    LASTS_S,
    MOST_WAITING,
    RETRY_S,
    STORED_AS,
    SURE_AFTER_S,
    Notice,
    Notices,
)
from tests.support.in_memory import START_AT, InMemoryPipeline
from tests.support.results import result_of
from tests.support.simulated_disk import error, no_fault


def problem(kind: str = "refused", severity: Severity = "error", since: float = START_AT) -> OperatorProblem:
    return OperatorProblem(id=kind, severity=severity, since=since, text=f"{kind}: it is", remedy="Do something")


class World:
    """Notices, and what happens around them."""

    def __init__(self) -> None:
        self.memory = InMemoryPipeline()
        self.clock = self.memory.clock
        self.problems: Sequence[OperatorProblem] = []
        self.leads = True
        self.sent: list[Notice] = []
        self.takes: Callable[[Notice], bool] = lambda notice: True
        self.hanging: Deferred[bool] | None = None
        self.memory.wire()
        self.start()

    def start(self) -> None:
        """An instance on the store."""
        clock, store = self.clock, self.memory.store
        self.notices = Notices(
            lambda: self.problems, lambda: self.leads, store, self._send, self._run, clock.seconds, clock
        )
        self.notices.start()

    def restart(self) -> None:
        self.memory.kill()
        self.memory.wire()
        self.start()

    def _send(self, notice: Notice) -> bool:
        self.sent.append(notice)
        return self.takes(notice)

    async def _run(self, work: Callable[[], Any]) -> Any:
        result = work()
        return result if self.hanging is None else await self.hanging

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.clock.advance(1.0)

    @property
    def titles(self) -> list[str]:
        return [notice.title for notice in self.sent]


@pytest.fixture
def world() -> World:
    return World()


def test_an_error_that_lasts_two_minutes_is_told_once_and_so_is_its_end(world: World) -> None:
    world.problems = [problem()]
    world.pass_time(LASTS_S - 10)
    assert world.sent == []
    world.pass_time(3600)
    assert world.sent == [Notice("pipetest: refused: it is", "refused: it is.\nDo something.")]
    world.problems = []
    world.pass_time(600)
    assert world.titles[1:] == ["pipetest: over"]
    assert world.sent[1].over
    assert world.sent[1].body.startswith("Over after ")


def test_what_is_over_sooner_and_what_is_a_warning_wake_nobody(world: World) -> None:
    world.problems = [problem("used-up", "warning")]
    world.pass_time(3600)
    for _ in range(20):
        world.problems = [problem(since=world.clock.seconds())]
        world.pass_time(100)
        world.problems = []
        world.pass_time(100)
    assert world.sent == []


def test_the_instance_that_leads_tells(world: World) -> None:
    world.leads = False
    world.problems = [problem()]
    world.pass_time(600)
    assert world.sent == []
    world.leads = True
    world.pass_time(10)
    assert len(world.sent) == 1


def test_what_was_told_is_not_told_again_after_a_restart_and_its_end_is_told(world: World) -> None:
    world.problems = [problem()]
    world.pass_time(LASTS_S + 20)
    world.problems = []
    world.restart()
    world.pass_time(60)
    other = problem("another", since=world.clock.seconds())
    world.problems = [problem(since=world.clock.seconds()), other]
    world.pass_time(3600)
    assert world.titles[1:] == ["pipetest: another: it is"]
    world.problems = [other]
    world.pass_time(10)
    assert world.titles[2:] == ["pipetest: over"]
    assert world.sent[2].body == "Over after 63 minutes: refused: it is."


def test_what_was_told_and_is_over_after_a_restart_gets_its_end_once(world: World) -> None:
    world.problems = [problem()]
    world.pass_time(LASTS_S + 20)
    world.problems = []
    world.restart()
    world.pass_time(SURE_AFTER_S - 10)
    assert len(world.sent) == 1
    world.pass_time(20)
    assert world.titles[1:] == ["pipetest: over"]
    world.restart()
    world.pass_time(2 * SURE_AFTER_S)
    assert len(world.sent) == 2


def test_after_a_restart_no_error_counts_as_over_before_all_is_well(world: World) -> None:
    world.problems = [problem("scans-fail"), problem("no-answer")]
    world.pass_time(LASTS_S + 20)
    world.problems = [problem("no-answer", since=world.clock.seconds())]
    world.restart()
    world.pass_time(3600)  # scans go on failing, but not yet three times
    assert len(world.sent) == 2
    world.problems = []
    world.pass_time(10)
    assert world.titles[2:] == ["pipetest: over"] * 2


def test_what_another_instance_has_told_is_not_told_again(world: World) -> None:
    world.problems = [problem()]
    world.pass_time(LASTS_S + 20)
    result_of(world.notices.stop())
    world.start()
    world.pass_time(600)
    assert len(world.sent) == 1


def test_people_are_told_while_nothing_can_be_stored(world: World) -> None:
    world.memory.disk.fault = lambda step: error(ENOSPC)
    for number in (1, 2):
        world.problems = [problem("database", since=world.clock.seconds())]
        world.pass_time(LASTS_S + 20)
        world.problems = []
        world.pass_time(20)
        assert len(world.sent) == 2 * number
    world.memory.disk.fault = no_fault
    world.pass_time(600)
    world.restart()
    world.pass_time(2 * SURE_AFTER_S)
    assert len(world.sent) == 4


def test_what_is_stored_and_cannot_be_read_is_told_again(world: World) -> None:
    result_of(world.memory.store.put_value(STORED_AS, {"refused": 7}))
    world.problems = [problem()]
    world.pass_time(LASTS_S + 20)
    assert len(world.sent) == 1


def test_a_receiver_that_fails_is_tried_three_times_and_then_the_next_notice_goes(world: World) -> None:
    world.takes = lambda notice: notice.over
    world.problems = [problem()]
    with capturedLogs() as events:
        world.pass_time(LASTS_S + 10 + ATTEMPTS * RETRY_S)
    assert len(world.sent) == ATTEMPTS
    assert told(events, "notice_not_sent") == 1
    world.problems = []
    world.pass_time(RETRY_S + 10)
    assert world.titles[ATTEMPTS:] == ["pipetest: over"]


def test_a_receiver_that_raises_is_tried_again(world: World, no_failure_is_logged_unseen: list[LogEvent]) -> None:
    def fail_once(notice: Notice) -> bool:
        if len(world.sent) == 1:
            raise ZeroDivisionError
        return True

    world.takes = fail_once
    world.problems = [problem()]
    world.pass_time(LASTS_S + 10 + RETRY_S)
    assert len(world.sent) == 2
    assert len(no_failure_is_logged_unseen) == 1
    no_failure_is_logged_unseen.clear()


def test_a_receiver_that_hangs_holds_up_neither_the_stop_nor_the_memory(world: World) -> None:
    world.hanging = Deferred()
    for number in range(3 * MOST_WAITING):
        world.problems = [problem(f"kind-{number}", since=world.clock.seconds())]
        world.pass_time(LASTS_S + 10)
    assert len(world.sent) == 1
    result_of(world.notices.stop())
    hanging, world.hanging = world.hanging, None
    hanging.callback(True)
    assert len(world.sent) <= MOST_WAITING + 1


def told(events: Sequence[LogEvent], name: str) -> int:
    return sum(event.get("event") == name for event in events)
