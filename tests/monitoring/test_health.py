"""The monitor keeps what is wrong, and says it once when it begins and once when it is over."""

from collections.abc import Iterator, Sequence

import pytest
from msgspec.structs import replace
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

from pipetest.domain.status import Instance, Status, UserCounts
from pipetest.monitoring.health import CHECK_EVERY_S, SAY_CHANGES_EVERY_S, HealthMonitor
from pipetest.monitoring.problems import Access, DaemonHealth
from tests.support.results import result_of

WELL = DaemonHealth(silent_for=10.0, interval=60.0)
FAILING = replace(WELL, failed_scans=3)
REFUSED = replace(WELL, pipedrive=Access(refusal="wrong key"))
PAUSED = replace(WELL, paused=True)
INSTANCE = Instance(company="", version="", started_at=0.0, gists_url="", deals_url="")


@implementer(ILogObserver)
class Heard(list[tuple[str, str]]):
    def __call__(self, event: LogEvent) -> None:
        if event.get("log_namespace") == "pipetest.monitoring.health.HealthMonitor":
            self.append((event["log_level"].name, formatEvent(event).partition(".")[0]))


@pytest.fixture
def heard() -> Iterator[Heard]:
    heard = Heard()
    globalLogPublisher.addObserver(heard)
    yield heard
    globalLogPublisher.removeObserver(heard)


class Watched:
    """The daemon is as ``health`` tells, and the monitor looks at it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.health = WELL
        status = Status(at=0.0, instance=INSTANCE)
        self.monitor = HealthMonitor(lambda: self.health, lambda: status, self.clock.seconds, self.clock)

    def goes_through(self, states: Sequence[DaemonHealth]) -> None:
        self.monitor.start()
        for self.health in states:
            self.clock.advance(CHECK_EVERY_S)
        result_of(self.monitor.stop())
        assert self.clock.getDelayedCalls() == []


def test_a_problem_is_said_once_and_its_end_once(heard: Heard) -> None:
    Watched().goes_through([WELL, FAILING, replace(FAILING, failed_scans=4), WELL, WELL])
    assert heard == [("error", "the last 3 scans failed"), ("info", "over after 10 s: the last 4 scans failed")]


def test_it_is_told_since_when_all_is_well() -> None:
    watched = Watched()
    watched.goes_through([WELL, WELL])
    assert watched.monitor.status().healthy_since == 0.0
    watched.goes_through([FAILING])
    assert watched.monitor.status().healthy_since is None
    watched.goes_through([WELL, WELL])
    assert watched.monitor.status().healthy_since == 4 * CHECK_EVERY_S


def test_a_warning_is_said_as_one(heard: Heard) -> None:
    Watched().goes_through([PAUSED, PAUSED])
    assert heard == [("warn", "creation is paused by an operator")]


def test_a_problem_is_said_again_where_it_comes_to_concern_another_user_and_never_for_a_number(heard: Heard) -> None:
    def unread(*names: str) -> DaemonHealth:
        return replace(WELL, users=UserCounts(total=9, failing=len(names)), errors=dict.fromkeys(names, "no answer"))

    Watched().goes_through([unread("ada"), unread("ada", "ben"), unread("ben"), unread("ben"), WELL])
    assert heard == [
        ("warn", "1 of 9 users cannot be read: ada (no answer)"),
        ("warn", "2 of 9 users cannot be read: ada, ben (no answer)"),
        ("info", "over after 20 s: 1 of 9 users cannot be read: ben (no answer)"),
    ]


def test_a_problem_is_said_again_where_its_reason_changes_every_ten_minutes_at_most(heard: Heard) -> None:
    refused, unpaid = (replace(WELL, pipedrive=Access(refusal=reason)) for reason in ("wrong key", "unpaid"))
    Watched().goes_through([refused, unpaid] * int(1.5 * SAY_CHANGES_EVERY_S / CHECK_EVERY_S))
    assert [text.rpartition(": ")[2] for _, text in heard] == ["wrong key", "unpaid", "wrong key"]


def test_a_number_that_grows_is_no_other_reason(heard: Heard) -> None:
    Watched().goes_through([replace(FAILING, failed_scans=scans) for scans in range(3, 300)])
    assert heard == [("error", "the last 3 scans failed")]


def test_one_problem_does_not_hide_another(heard: Heard) -> None:
    still = replace(REFUSED, silent_for=240.0)
    Watched().goes_through([REFUSED, still, replace(still, silent_for=300.0), REFUSED, WELL])
    assert heard == [
        ("error", "Pipedrive refuses to create deals: wrong key"),
        ("error", "no scan has ended for 4 minutes"),
        ("info", "over after 10 s: no scan has ended for 5 minutes"),
        ("info", "over after 20 s: Pipedrive refuses to create deals: wrong key"),
    ]


def test_whoever_asks_gets_what_is_so_now_with_its_beginning() -> None:
    watched = Watched()
    assert not watched.monitor.status().problems
    watched.health = FAILING
    watched.clock.advance(3.0)
    assert [problem.since for problem in watched.monitor.status().problems] == [3.0]
    watched.clock.advance(100.0)
    status = watched.monitor.status()
    assert [problem.since for problem in status.problems] == [3.0]
    assert status.troubles == ("the last 3 scans failed",)


def test_errors_alone_make_it_unready_with_reason_and_remedy() -> None:
    watched = Watched()
    watched.health = PAUSED
    assert (watched.monitor.status().unready, watched.monitor.status().troubles) == (None, (
        "creation is paused by an operator",
    ))  # fmt: skip
    watched.health = REFUSED
    unready = watched.monitor.status().unready or ""
    assert unready.startswith("Pipedrive refuses to create deals: wrong key. Correct what it names")
