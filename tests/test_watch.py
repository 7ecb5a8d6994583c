"""When the daemon counts as not ready, and how that is said."""

import pytest
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import implementer

from pipetest.watch import CHECK_EVERY_S, Signs, Watchdog, unready
from tests.now import now

WELL = Signs(failed_scans=0, silent_for=10.0, interval=60.0, refusal=None)


@pytest.mark.parametrize(
    ("signs", "word"),
    [
        (Signs(3, 10.0, 60.0, None), "3 scans failed"),
        (Signs(0, 181.0, 60.0, None), "no scan has ended"),
        (Signs(0, 10.0, 60.0, "wrong key"), "wrong key"),
    ],
)
def test_each_trouble_has_its_reason(signs: Signs, word: str) -> None:
    assert word in (unready(signs) or "")


@pytest.mark.parametrize("signs", [WELL, Signs(2, 10.0, 60.0, None), Signs(0, 180.0, 60.0, None)])
def test_what_may_happen_now_and_then_is_no_trouble(signs: Signs) -> None:
    assert unready(signs) is None


@implementer(ILogObserver)
class Heard(list[str]):
    def __call__(self, event: LogEvent) -> None:
        if event.get("log_namespace") == "pipetest.watch.Watchdog":
            self.append(str(event["log_format"]))


def test_the_watchdog_says_a_trouble_once_and_its_end_once() -> None:
    clock, heard, seen = Clock(), Heard(), [WELL]
    watchdog = Watchdog(lambda: seen[-1], clock)
    globalLogPublisher.addObserver(heard)
    watchdog.start()
    for signs in (Signs(3, 10.0, 60.0, None), Signs(4, 10.0, 60.0, None), WELL, WELL):
        seen.append(signs)
        clock.advance(CHECK_EVERY_S)
    globalLogPublisher.removeObserver(heard)
    assert heard == ["not ready: {reason}", "ready again"]
    now(watchdog.stop())
    assert clock.getDelayedCalls() == []
