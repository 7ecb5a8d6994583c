"""What is due is done, and the next thing when it is."""

from math import inf

from twisted.internet.task import Clock
from twisted.logger import LogEvent

from pipetest.domain.backoff import RETRY_FIRST_S
from pipetest.runtime.alarm import LONGEST_SLEEP_S, Alarm


class Work:
    """Notes when it is done; ``wait`` is when there is more to do."""

    def __init__(self, clock: Clock, wait: float = inf) -> None:
        self.clock = clock
        self.wait = wait
        self.done_at: list[float] = []
        self.alarm = Alarm(self, clock)

    def __call__(self) -> float:
        self.done_at.append(self.clock.seconds())
        return self.wait


def test_it_works_when_woken_and_again_when_the_next_thing_is_due() -> None:
    work = Work(clock := Clock(), wait=5.0)
    work.alarm.wake()
    work.wait = inf
    clock.pump([4.9, 0.1, 100.0])
    assert work.done_at == [0.0, 5.0]
    assert not clock.getDelayedCalls()


def test_woken_earlier_it_forgets_when_it_would_have_woken() -> None:
    work = Work(clock := Clock(), wait=5.0)
    work.alarm.wake()
    clock.advance(1.0)
    work.wait = 10.0
    work.alarm.wake()
    clock.pump([9.9, 0.2])
    assert work.done_at == [0.0, 1.0, 11.1]
    assert len(clock.getDelayedCalls()) == 1


def test_woken_by_its_own_work_it_does_not_nest() -> None:
    depths: list[int] = []

    def work() -> float:
        depths.append(len(depths))
        if len(depths) < 5:
            alarm.wake()
        return inf

    alarm = Alarm(work, Clock())
    alarm.wake()
    assert depths == [0]


def test_it_wakes_up_every_hour_however_long_it_may_sleep() -> None:
    work = Work(clock := Clock(), wait=1e9)
    work.alarm.wake()
    clock.advance(LONGEST_SLEEP_S)
    assert work.done_at == [0.0, LONGEST_SLEEP_S]


def test_after_an_error_that_nobody_foresaw_it_works_again_soon(
    no_failure_is_logged_unseen: list[LogEvent],
) -> None:
    moments: list[float] = []

    def work() -> float:
        moments.append(clock.seconds())
        if len(moments) == 1:
            raise KeyError
        return inf

    alarm = Alarm(work, clock := Clock())
    alarm.wake()
    clock.advance(RETRY_FIRST_S)
    assert moments == [0.0, RETRY_FIRST_S]
    assert [event["event"] for event in no_failure_is_logged_unseen] == ["alarm_failed"]
    no_failure_is_logged_unseen.clear()


def test_stopped_it_sleeps_until_it_is_woken() -> None:
    work = Work(clock := Clock(), wait=5.0)
    work.alarm.wake()
    work.alarm.stop()
    clock.advance(10.0)
    work.alarm.wake()
    assert work.done_at == [0.0, 10.0]
