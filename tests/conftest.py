"""What every test stands on: a test that leaves failures in Twisted's log, or drops a failed Deferred, fails."""

import gc
import os
from collections.abc import Iterator

import hypothesis
import pytest
from twisted.logger import ILogObserver, LogEvent, globalLogBeginner, globalLogPublisher
from zope.interface import provider

from pipetest.domain.model import Secret
from tests.support.postgres.server import Server, server

hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.register_profile("mutants", deadline=None, derandomize=True, max_examples=20)
hypothesis.settings.load_profile("untimed")
"""How long an example takes says how busy the machine is. Timing belongs in benchmarks/."""


def pytest_configure() -> None:
    """Until somebody begins to log, Twisted keeps every event and, with it, the whole daemon that spoke."""
    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the garbage collection after each test need not look at it."""
    gc.freeze()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In continuous integration nothing may be left out for want of a tool."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if "CI" in os.environ and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def no_failure_is_logged_unseen(request: pytest.FixtureRequest) -> Iterator[list[LogEvent]]:
    """Collect logged failures; whoever expects some takes this fixture and clears the list."""
    failures: list[LogEvent] = []

    @provider(ILogObserver)
    def observe(event: LogEvent) -> None:
        if event.get("log_failure") is not None:
            failures.append(event)

    globalLogPublisher.addObserver(observe)
    yield failures
    gc.collect()  # so that dropped Deferreds speak
    globalLogPublisher.removeObserver(observe)
    assert not failures, [event["log_failure"] for event in failures]


@pytest.fixture(scope="session")
def server_of_all() -> Iterator[Server]:
    """A server for a whole run: each test has a database of its own in it."""
    with server() as running:
        yield running


@pytest.fixture
def database(server_of_all: Server) -> Secret:
    return server_of_all.database()
