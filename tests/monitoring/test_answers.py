"""Which ends of a request count as a usable answer."""

from contextlib import nullcontext

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from pipetest.domain.errors import (
    Denied,
    Malformed,
    Missing,
    RateLimited,
    Refused,
    Stopping,
    Transient,
    Unanswered,
    Unsent,
)
from pipetest.domain.model import AccountRefuses, Created, NotNow, RefusedForGood, Unknown
from pipetest.monitoring.answers import Answers
from tests.support.results import result_of


def asked(answers: Answers, end: object, about: str = "") -> None:
    ended: Deferred[object] = fail(end) if isinstance(end, Exception) else succeed(end)
    with pytest.raises(type(end)) if isinstance(end, Exception) else nullcontext():
        result_of(answers.watch(ended, about, lambda error: isinstance(error, Missing)))


@pytest.fixture
def answers() -> Answers:
    return Answers(Clock().seconds)


@pytest.mark.parametrize(
    "end",
    [
        Unanswered("X", "reset"),
        Transient("X", "answered 500"),
        Malformed("X", "HTML"),
        Refused("X", "refused (400)", 400),
        Unknown("answered 500"),
        ValueError("nobody foresaw it"),
    ],
)
def test_no_usable_answer_is_counted_until_there_is_one(answers: Answers, end: object) -> None:
    asked(answers, end)
    asked(answers, end)
    assert answers.failures == 2
    assert answers.reason is not None
    asked(answers, "a page")
    assert not answers.failures


@pytest.mark.parametrize(
    "end",
    [
        "a page",
        None,
        Denied("X", "the key is refused"),
        RateLimited("X", "too much", 2.0),
        Missing("X", "no such list"),
        Created(1),
        NotNow("too much"),
        RefusedForGood("refused (400)", False),
        AccountRefuses("refused (401)"),
    ],
)
def test_an_answer_that_is_understood_is_usable_whatever_it_says(answers: Answers, end: object) -> None:
    asked(answers, Unanswered("X", "reset"))
    asked(answers, end)
    assert answers.failures == 0


@pytest.mark.parametrize("end", [Stopping("not sent"), Unsent("not sent")])
def test_a_request_that_never_left_says_nothing_of_the_service(answers: Answers, end: Exception) -> None:
    asked(answers, end)
    assert answers.failures == 0
    asked(answers, Unanswered("X", "reset"))
    asked(answers, end)
    assert answers.failures == 1


def test_it_is_known_for_how_long_and_about_what() -> None:
    clock = Clock()
    answers = Answers(clock.seconds)
    assert answers.failing_for == 0.0
    for about in ("ada", "ben", "ada"):
        asked(answers, Unanswered("X", "reset"), about)
        clock.advance(10.0)
    assert (answers.failing_for, answers.about) == (30.0, {"ada", "ben"})
