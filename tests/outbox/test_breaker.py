"""What the circuit breaker makes of searches, and what it logs."""

from collections.abc import Sequence

import pytest
from twisted.logger import LogEvent, LogLevel, capturedLogs

from pipetest.domain.errors import Denied, Malformed, RateLimited, Unanswered
from pipetest.domain.model import AccountRefuses, Created, Unknown
from pipetest.outbox.breaker import CircuitBreaker
from pipetest.outbox.breaker_state import FAILURE_THRESHOLD

NOW = 100.0


@pytest.fixture
def breaker() -> CircuitBreaker:
    return CircuitBreaker(lambda: NOW)


def levels(events: Sequence[LogEvent]) -> list[LogLevel]:
    return [event["log_level"] for event in events]


def test_it_logs_once_that_it_opens_and_once_that_it_closes(breaker: CircuitBreaker) -> None:
    with capturedLogs() as events:
        for _ in range(3):
            breaker.create_ended("gist a", AccountRefuses("wrong key"), breaker.epoch)
        breaker.create_ended("gist a", Created(1), breaker.epoch)
        breaker.create_ended("gist b", Created(2), breaker.epoch)
    assert levels(events) == [LogLevel.error, LogLevel.info]


def test_it_logs_once_that_it_is_half_open(breaker: CircuitBreaker) -> None:
    with capturedLogs() as events:
        for _ in range(FAILURE_THRESHOLD + 2):
            breaker.create_ended("gist a", Unknown("timed out"), breaker.epoch)
    assert levels(events) == [LogLevel.warn]


def test_a_search_told_to_wait_makes_creates_wait_as_well(breaker: CircuitBreaker) -> None:
    breaker.search_failed(RateLimited("Pipedrive", "burst limit", 7.0), breaker.epoch)
    assert breaker.retry_at == NOW + 7.0


def test_searches_whose_answers_are_lost_make_it_half_open_and_other_failures_do_not(breaker: CircuitBreaker) -> None:
    for _ in range(FAILURE_THRESHOLD):
        breaker.search_failed(Malformed("Pipedrive", "no JSON"), breaker.epoch)
    assert breaker.allows(under_way=39, now=NOW)
    for _ in range(FAILURE_THRESHOLD):
        breaker.search_failed(Unanswered("Pipedrive", "timed out"), breaker.epoch)
    assert not breaker.allows(under_way=1, now=breaker.retry_at)
    assert breaker.allows(under_way=0, now=breaker.retry_at)


def test_a_refused_search_opens_it_without_a_probe_and_the_next_create_is_one(breaker: CircuitBreaker) -> None:
    breaker.search_refused(Denied("Pipedrive", "wrong key"), breaker.epoch)
    assert (breaker.refusal, breaker.probe) == ("wrong key", None)
    breaker.create_ended("gist a", AccountRefuses("wrong key"), breaker.epoch)
    assert breaker.probe == "gist a"


def test_a_probe_that_cannot_be_searched_for_is_none_any_more(breaker: CircuitBreaker) -> None:
    breaker.create_ended("gist a", AccountRefuses("wrong key"), breaker.epoch)
    breaker.cannot_search(["gist b"])
    assert breaker.probe == "gist a"
    breaker.cannot_search(["gist a", "user ada"])
    assert breaker.probe is None
