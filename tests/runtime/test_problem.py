"""What stays wrong for a while is said once when it begins and once when it is over."""

from collections.abc import Iterator

import pytest
from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, formatEvent, globalLogPublisher
from zope.interface import provider

from pipetest.runtime.problem import Problem

LINES = {LogLevel.info: "info", LogLevel.warn: "warn", LogLevel.error: "error"}


@pytest.fixture
def lines() -> Iterator[list[tuple[str, str]]]:
    said: list[tuple[str, str]] = []

    @provider(ILogObserver)
    def observe(event: LogEvent) -> None:
        said.append((LINES[event["log_level"]], formatEvent(event)))

    globalLogPublisher.addObserver(observe)
    yield said
    globalLogPublisher.removeObserver(observe)


@pytest.fixture
def problem() -> Problem:
    return Problem(Logger(), "{what} is broken: {reason}", "{what} works again", LogLevel.warn)


def test_it_is_said_when_it_begins_and_when_it_is_over(problem: Problem, lines: list[tuple[str, str]]) -> None:
    for _ in range(3):
        problem.report("no power", what="the lamp")
    for _ in range(3):
        problem.over(what="the lamp")
    assert lines == [("warn", "the lamp is broken: no power"), ("info", "the lamp works again")]


def test_another_reason_is_said_as_well(problem: Problem, lines: list[tuple[str, str]]) -> None:
    problem.report("no power", what="the lamp")
    problem.report("no bulb", what="the lamp")
    assert (problem.reason, len(lines)) == ("no bulb", 2)


def test_nothing_is_said_while_all_is_well(problem: Problem, lines: list[tuple[str, str]]) -> None:
    problem.over(what="the lamp")
    assert (problem.reason, lines) == (None, [])
