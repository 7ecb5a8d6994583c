"""What every test stands on: a test that leaves failures in Twisted's log, or drops a failed Deferred, fails."""

import gc
from collections.abc import Iterator

import pytest
from twisted.logger import LogEvent, globalLogPublisher


@pytest.fixture(autouse=True)
def no_failure_is_logged_unseen(request: pytest.FixtureRequest) -> Iterator[list[LogEvent]]:
    """Collect logged failures; whoever expects some takes this fixture and clears the list."""
    failures: list[LogEvent] = []

    def observe(event: LogEvent) -> None:
        if event.get("log_failure") is not None:
            failures.append(event)

    globalLogPublisher.addObserver(observe)
    yield failures
    gc.collect()  # so that dropped Deferreds speak
    globalLogPublisher.removeObserver(observe)
    assert not failures, [event["log_failure"] for event in failures]
