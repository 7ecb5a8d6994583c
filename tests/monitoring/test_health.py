"""When the daemon counts as not ready, and how that is said."""

from collections.abc import Iterator

import pytest
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

from pipetest.monitoring.health import CHECK_EVERY_S, Health, HealthMonitor, problems
from tests.support.results import result_of

WELL = Health(failed_scans=0, silent_for=10.0, interval=60.0, refusal=None)


@pytest.mark.parametrize(
    ("signs", "words"),
    [
        (Health(3, 10.0, 60.0, None), ["3 scans failed"]),
        (Health(0, 181.0, 60.0, None), ["no scan has ended"]),
        (Health(0, 10.0, 60.0, "wrong key"), ["wrong key"]),
        (Health(3, 181.0, 60.0, "wrong key"), ["3 scans failed", "no scan has ended", "wrong key"]),
    ],
)
def test_each_trouble_has_its_reason(signs: Health, words: list[str]) -> None:
    assert [word in reason for word, reason in zip(words, problems(signs).values(), strict=True)] == [True] * len(words)


@pytest.mark.parametrize("signs", [WELL, Health(2, 10.0, 60.0, None), Health(0, 180.0, 60.0, None)])
def test_what_may_happen_now_and_then_is_no_trouble(signs: Health) -> None:
    assert problems(signs) == {}


@implementer(ILogObserver)
class Heard(list[str]):
    def __call__(self, event: LogEvent) -> None:
        if event.get("log_namespace") == "pipetest.monitoring.health.HealthMonitor":
            self.append(formatEvent(event))


@pytest.fixture
def heard() -> Iterator[Heard]:
    heard = Heard()
    globalLogPublisher.addObserver(heard)
    yield heard
    globalLogPublisher.removeObserver(heard)


def watched(*seen: Health) -> None:
    """A watchdog looks at these, one after another."""
    clock, to_come = Clock(), iter(seen)
    watchdog = HealthMonitor(lambda: next(to_come), clock)
    watchdog.start()
    for _ in seen[1:]:
        clock.advance(CHECK_EVERY_S)
    result_of(watchdog.stop())
    assert clock.getDelayedCalls() == []


def test_the_watchdog_says_a_trouble_once_and_its_end_once(heard: Heard) -> None:
    watched(WELL, Health(3, 10.0, 60.0, None), Health(4, 10.0, 60.0, None), WELL, WELL)
    assert heard == ["not ready: the last 3 scans failed", "ready again"]


def test_one_trouble_does_not_hide_another(heard: Heard) -> None:
    refused = Health(0, 10.0, 60.0, "wrong key")
    still = Health(0, 240.0, 60.0, "wrong key")
    watched(refused, still, Health(0, 300.0, 60.0, "wrong key"), refused, WELL)
    assert heard == [
        "not ready: creation is paused, Pipedrive refuses: wrong key",
        "not ready: no scan has ended for 4 minutes",
        "over, but not ready yet: no scan has ended for 5 minutes",
        "ready again",
    ]
