"""No problem is silent: each is in the log once, in the status, in the metrics and on the page."""

from collections.abc import Callable, Iterator

import pytest
from msgspec import Struct
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from zope.interface import provider

from pipetest.web.metrics import Exposition
from pipetest.web.page.layout import page
from tests.support import log
from tests.support.in_memory import SETTLE_S, InMemoryPipeline
from tests.support.results import result_of
from tests.support.running_pipeline import RunningPipeline

LONG_ENOUGH_S = SETTLE_S + 5.0
ALONE = ("PIPETEST_QUERIED_USERS", "ada")


class Cause(Struct, frozen=True):
    """What causes it, and the words by which it is seen."""

    name: str
    cause: Callable[[RunningPipeline], object]
    logged: str
    metric: str
    shown: str
    in_words: bool = True
    setting: tuple[str, str] = ALONE


def written(running: RunningPipeline, *gists: str) -> None:
    running.memory.write(*gists)
    result_of(running.pipeline.scan())


def writes_what_is_refused(running: RunningPipeline) -> None:
    written(running, "x" * 256)


def writes_much(running: RunningPipeline) -> None:
    written(running, *[f"gist-{number}" for number in range(20)])


def has_another_key(running: RunningPipeline) -> None:
    running.memory.world.pipedrive_api.key = "another"
    written(running, "a")


def stands_still(running: RunningPipeline) -> None:
    result_of(running.pipeline.scanner.stop())
    running.memory.pass_time(4 * running.settings.querying_interval, step=60.0)


def has_another_key_and_then_stands_still(running: RunningPipeline) -> None:
    has_another_key(running)
    running.memory.pass_time(LONG_ENOUGH_S)
    stands_still(running)


def is_out_of_disk(running: RunningPipeline) -> None:
    running.memory.disk.capacity = 0
    written(running, "a")


CAUSES = (
    Cause("quarantine", writes_what_is_refused, "now in quarantine",
            'pipetest_gists{state="quarantined"} 1.0', "Pipedrive refused 1 gist"),
    Cause("user", lambda running: None, "nobody (GitHub knows no such user)",
            'pipetest_users{state="failing"} 1.0', "1 of 2 users cannot be read",
            setting=("PIPETEST_QUERIED_USERS", "ada,nobody")),
    Cause("full quota", writes_much, "left today after the reserve", 'pipetest_quota_left{quota="tokens today"',
            "tokens today", in_words=False, setting=("PIPETEST_PIPEDRIVE_DAILY_TOKENS", "12")),
    Cause("refusal", has_another_key, "Pipedrive refuses to create deals", "pipetest_creation_refused 1.0",
            "Pipedrive refuses to create deals"),
    Cause("still scan", stands_still, "no scan has ended", "pipetest_ready 0.0", "no scan has ended"),
    Cause("still scan while refused", has_another_key_and_then_stands_still, "no scan has ended",
            "pipetest_scans_stalled 1.0", "no scan has ended"),
    Cause("database", is_out_of_disk, "the database cannot be written", "pipetest_database_writable 0.0",
            "the database cannot be written"),
    Cause("heartbeat", lambda running: None, "the heartbeat request failed", "pipetest_troubles 1.0",
            "the heartbeat request failed: answered 403", setting=("PIPETEST_HEARTBEAT_URL", "https://hc.example/ping/x")),
)  # fmt: skip


@pytest.fixture
def lines() -> Iterator[list[str]]:
    heard: list[str] = []

    @provider(ILogObserver)
    def hear(event: LogEvent) -> None:
        heard.extend(log.lines([event]))

    globalLogPublisher.addObserver(hear)
    yield heard
    globalLogPublisher.removeObserver(hear)


@pytest.mark.parametrize("problem", CAUSES, ids=[cause.name for cause in CAUSES])
def test_a_problem_is_seen_everywhere_and_said_once(problem: Cause, lines: list[str]) -> None:
    running = RunningPipeline(InMemoryPipeline(), dict([ALONE, problem.setting]))
    running.monitor.start()
    problem.cause(running)
    running.memory.pass_time(LONG_ENOUGH_S)
    status = running.status()
    assert any(problem.shown in text for text in status.troubles) == problem.in_words
    assert problem.metric in Exposition(lambda: status).text().decode()
    assert problem.shown.lower() in page(status, admin=False).decode().lower()  # sentences begin with a capital there
    running.memory.pass_time(LONG_ENOUGH_S)
    assert len([line for line in lines if problem.logged in line]) == 1
    result_of(running.monitor.stop())


def test_an_unknown_user_is_said_once_and_not_at_every_scan(lines: list[str]) -> None:
    running = RunningPipeline(InMemoryPipeline(), {"PIPETEST_QUERIED_USERS": "ada,nobody"})
    running.monitor.start()
    running.memory.pass_time(3.5 * running.settings.querying_interval, step=60.0)
    assert len([line for line in lines if "GitHub knows no such user" in line]) == 1
    result_of(running.monitor.stop())


def test_a_healthy_daemon_says_a_line_for_each_new_gist_and_deal_and_none_for_a_scan_without_news(
    lines: list[str],
) -> None:
    running = RunningPipeline(InMemoryPipeline(), dict([ALONE]))
    running.monitor.start()
    written(running, "a")
    running.memory.pass_time(LONG_ENOUGH_S)
    assert not [line for line in lines if "waits" in line]  # it is done soon
    del lines[:]
    running.memory.pass_time(5 * running.settings.querying_interval, step=60.0)
    assert lines == []
    written(running, "b")
    running.memory.pass_time(LONG_ENOUGH_S)
    assert lines == ["ada: 1 new gist", "ada: gist b is deal 2"]
    result_of(running.monitor.stop())
