"""When commits are made: grouped, one at a time, tried until they succeed, and ended within bounds."""

from collections.abc import Callable
from errno import ENOSPC
from typing import Any, TypeVar

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent
from twisted.python.failure import Failure

from pipetest.domain.errors import Unstored
from pipetest.runtime.shutdown import LAST_WRITE_S
from pipetest.store.tinydb.group_commit import (
    LAZY_S,
    REST_LONGEST_S,
    RETRY_FIRST_S,
    STUCK_S,
    GroupCommit,
    rest_after,
)
from tests.support.simulated_disk import error

T = TypeVar("T")


def why_unstored(failure: Failure) -> str:
    failure.trap(Unstored)
    return str(failure.value)


class Thread:
    """A thread whose work ends when the test says so; what was written by then is in ``files``, a commit each."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.lazy: list[str] = []
        self.applied: list[str] = []
        self.files: list[list[str]] = []
        self.fault: Exception | None = None
        self.work: tuple[Callable[[], Any], Deferred[Any]] | None = None
        self.started_at = 0.0  # on the monotonic clock, which starts elsewhere than the reactor's
        self.commits = GroupCommit(self.run, self.clock, self.monotonic, "db.json", self.lazy_changes, self.flush)

    def monotonic(self) -> float:
        return self.clock.seconds() - self.started_at

    def run(self, work: Callable[[], T]) -> "Deferred[T]":
        assert self.work is None, "one at a time"
        ended: Deferred[T] = Deferred()
        self.work = (work, ended)
        return ended

    def lazy_changes(self) -> Callable[[], None] | None:
        lazy, self.lazy = self.lazy, []
        return (lambda: self.applied.extend(lazy)) if lazy else None

    def flush(self) -> None:
        if self.fault is not None:
            raise self.fault
        self.files.append(list(self.applied))

    def submit(self, name: str) -> "Deferred[str]":
        return self.commits.submit(lambda: self.applied.append(name), lambda: f"{name} is durable")

    def finish(self, seconds: float = 0.0, fault: Exception | None = None) -> None:
        """The work under way ends after so long."""
        assert self.work is not None, "nothing is under way"
        (work, ended), self.work, self.fault = self.work, None, fault
        self.clock.advance(seconds)
        try:
            work()
        except Exception:
            ended.errback()
        else:
            ended.callback(None)

    def fail(self) -> float:
        """The commit under way fails, and is tried again; after how many seconds."""
        self.finish(fault=error(ENOSPC))
        (retry,) = self.clock.getDelayedCalls()
        wait = retry.getTime() - self.clock.seconds()
        self.clock.advance(wait)
        return wait


@pytest.fixture
def thread() -> Thread:
    return Thread()


def test_waits_between_failed_commits_double_from_a_second_to_a_minute(thread: Thread) -> None:
    thread.submit("a")
    assert [thread.fail() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    thread.finish()
    assert thread.files == [["a"]]


def test_a_quick_commit_needs_no_rest_and_a_slow_one_as_much_as_it_took() -> None:
    assert [rest_after(took) for took in (0.0, 0.1, 0.3, 1.5, 60.0)] == [0.0, 0.0, 0.3, 1.5, REST_LONGEST_S]


def test_a_wall_clock_that_is_set_makes_no_write_look_endless(thread: Thread) -> None:
    thread.submit("a")
    day = 24 * 3600.0
    thread.started_at += day
    thread.clock.advance(day)  # the reactor's clock is the wall's
    assert thread.commits.problem is None
    thread.finish()
    assert thread.commits.problem is None


def test_a_change_is_acknowledged_when_its_commit_has_succeeded(thread: Thread) -> None:
    change = thread.submit("a")
    assert not change.called
    thread.finish()
    assert (change.result, thread.files) == ("a is durable", [["a"]])


def test_changes_that_come_during_a_commit_share_the_next(thread: Thread) -> None:
    changes = [thread.submit(name) for name in "abcd"]
    thread.finish()
    assert [change.called for change in changes] == [True, False, False, False]
    thread.finish()
    assert [change.called for change in changes] == [True] * 4
    assert thread.files == [["a"], ["a", "b", "c", "d"]]


def test_after_a_slow_commit_the_next_one_waits(thread: Thread) -> None:
    thread.clock.advance(100.0)
    thread.submit("a")
    thread.finish(seconds=1.5)
    thread.submit("b")
    thread.clock.advance(1.4)
    assert thread.work is None
    thread.clock.advance(0.1)
    thread.finish()
    assert thread.files == [["a"], ["a", "b"]]
    closed = Deferred.fromCoroutine(thread.commits.close())
    assert closed.result is True


def test_a_failed_commit_is_made_again_with_all_that_waits_by_then_and_each_change_once(thread: Thread) -> None:
    first = thread.submit("a")
    thread.finish(fault=error(ENOSPC))
    second = thread.submit("b")
    assert thread.commits.problem == "db.json: No space left on device"
    thread.clock.advance(RETRY_FIRST_S)
    thread.finish()
    assert (first.called, second.called, thread.files) == (True, True, [["a", "b"]])
    assert not thread.commits.problem


def test_a_bug_in_a_commit_is_told_with_its_traceback_and_acknowledges_nothing(
    thread: Thread, no_failure_is_logged_unseen: list[LogEvent]
) -> None:
    change = thread.submit("a")
    thread.finish(fault=ZeroDivisionError("a bug"))
    assert [event["log_failure"].type for event in no_failure_is_logged_unseen] == [ZeroDivisionError]
    assert (change.called, thread.commits.problem) == (False, "db.json: a bug")
    no_failure_is_logged_unseen.clear()
    thread.clock.advance(RETRY_FIRST_S)
    thread.finish()
    assert change.called


def test_a_bug_in_what_follows_a_commit_is_that_changes_own(thread: Thread) -> None:
    broken = thread.commits.submit(lambda: None, lambda: 1 // 0)
    sound = thread.submit("a")
    thread.finish()
    thread.finish()
    broken.addErrback(lambda failure: failure.type)
    assert (broken.result, sound.result) == (ZeroDivisionError, "a is durable")


def test_a_commit_that_does_not_end_is_a_problem(thread: Thread) -> None:
    thread.submit("a")
    problems = []
    for wait in (STUCK_S, 1.0):
        thread.clock.advance(wait)
        problems.append(thread.commits.problem)
    thread.finish()
    problems.append(thread.commits.problem)
    assert problems == [None, "db.json: a write has not ended for 31 s", None]


def test_lazy_changes_share_the_next_commit_and_wait_for_it_a_few_seconds_at_most(thread: Thread) -> None:
    thread.lazy.append("early")
    thread.commits.schedule_lazy()
    thread.clock.advance(LAZY_S / 2)
    thread.submit("a")
    thread.finish()
    thread.lazy.append("late")
    thread.commits.schedule_lazy()
    thread.clock.advance(LAZY_S)
    thread.finish()
    assert thread.files == [["a", "early"], ["a", "early", "late"]]


def test_lazy_changes_that_are_gone_by_then_cost_no_commit(thread: Thread) -> None:
    thread.commits.schedule_lazy()
    thread.clock.advance(LAZY_S)
    assert thread.work is None
    thread.submit("a")
    thread.finish()
    assert thread.files == [["a"]]


def test_lazy_changes_whose_commit_failed_are_written_with_the_next(thread: Thread) -> None:
    thread.lazy.append("lazy")
    thread.commits.schedule_lazy()
    thread.clock.advance(LAZY_S)
    thread.finish(fault=error(ENOSPC))
    thread.clock.advance(RETRY_FIRST_S)
    thread.finish()
    assert thread.files == [["lazy"]]


def test_who_gives_up_waiting_does_not_undo_the_change(thread: Thread) -> None:
    change = thread.submit("a")
    change.addErrback(lambda failure: None)
    change.cancel()
    thread.finish()
    assert thread.files == [["a"]]


# --- the end ----------------------------------------------------------------------------------------------------------


def test_closing_writes_what_waits_and_what_is_lazy(thread: Thread) -> None:
    thread.submit("a")
    waiting = thread.submit("b")
    thread.lazy.append("lazy")
    closed = Deferred.fromCoroutine(thread.commits.close())
    thread.finish()
    thread.finish()
    assert (closed.result, waiting.called) == (True, True)
    assert thread.files == [["a"], ["a", "b", "lazy"]]


def test_closing_with_nothing_to_write_writes_nothing(thread: Thread) -> None:
    closed = Deferred.fromCoroutine(thread.commits.close())
    assert (closed.result, thread.work) == (True, None)


def test_closing_while_commits_fail_tries_once_more_at_once(thread: Thread) -> None:
    change = thread.submit("a")
    thread.finish(fault=error(ENOSPC))
    closed = Deferred.fromCoroutine(thread.commits.close())
    thread.finish(fault=error(ENOSPC))
    assert closed.result is True
    reason = "db.json: No space left on device"
    change.addErrback(why_unstored)
    assert change.result == reason


def test_closing_does_not_wait_for_a_disk_that_hangs(thread: Thread) -> None:
    change = thread.submit("a")
    closed = Deferred.fromCoroutine(thread.commits.close())
    thread.clock.advance(LAST_WRITE_S)
    assert closed.result is False
    change.addErrback(why_unstored)
    assert change.result == "db.json was closed before this was written"
    thread.finish()


def test_closing_ends_a_rest(thread: Thread) -> None:
    thread.submit("a")
    thread.finish(seconds=1.0)
    change = thread.submit("b")
    closed = Deferred.fromCoroutine(thread.commits.close())
    thread.finish()
    assert (closed.result, change.called, thread.clock.getDelayedCalls()) == (True, True, [])


def test_a_closed_store_takes_no_change(thread: Thread) -> None:
    Deferred.fromCoroutine(thread.commits.close())
    thread.commits.schedule_lazy()
    change = thread.submit("late").addErrback(why_unstored)
    assert (change.result, thread.clock.getDelayedCalls()) == ("db.json is closed", [])
