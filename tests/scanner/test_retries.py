"""Who could not be read is read again: when, and when not."""

from collections.abc import Collection
from typing import Any

import pytest
from twisted.internet.defer import fail

from pipetest.domain.backoff import RETRY_LONGEST_S
from pipetest.domain.errors import Unavailable
from pipetest.domain.model import Reply, Request, Secret
from pipetest.sandbox.faults import Fault, Rule
from pipetest.scanner.passes import MAX_CONCURRENT
from tests.support.in_memory import INTERVAL_S, InMemoryPipeline
from tests.support.results import result_of

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S

HOURLY = 10
MANY = [f"user-{number:02}" for number in range(3 * HOURLY)]


@pytest.fixture
def limited() -> InMemoryPipeline:
    """It queries three times as many users as GitHub allows requests an hour."""
    memory = InMemoryPipeline(MANY)
    memory.world.github_limits.without_token = HOURLY
    return memory


def test_what_failed_for_now_is_asked_again_after_five_seconds_doubling(memory: InMemoryPipeline) -> None:
    memory.write("first")
    memory.fail("reset", "GitHub", times=2)
    memory.scan()
    memory.pass_time(4.0)
    assert len(memory.github.requests) == 1
    memory.pass_time(1.0)
    assert len(memory.github.requests) == 2
    memory.pass_time(9.0)
    assert memory.feed() == []
    memory.pass_time(1.0)
    assert memory.feed() == ["first"]


def test_no_user_is_asked_again_later_than_after_five_minutes(memory: InMemoryPipeline) -> None:
    memory.fail("reset", "GitHub", times=10_000)
    memory.scan()
    memory.pass_time(DAY_S)
    asked = len(memory.github.requests)
    memory.pass_time(2 * RETRY_LONGEST_S)
    assert len(memory.github.requests) > asked


def test_an_attempt_that_would_come_with_the_next_scan_is_left_to_it(memory: InMemoryPipeline) -> None:
    memory.interval = 5.0 + 10.0
    memory.fail("500", "GitHub", times=None)
    memory.scan()
    memory.pass_time(memory.interval)
    assert [scan.failed for scan in memory.scans] == [True]
    assert memory.scanner.status().started_at == memory.clock.seconds()


def test_under_a_limit_too_nobody_is_asked_again_later_than_at_the_interval(memory: InMemoryPipeline) -> None:
    memory.interval = 60.0
    memory.world.faults.add(Rule(Fault("x", None, Reply(429, {"retry-after": "60"}, b"")), "GitHub"))
    memory.scan()
    memory.pass_time(HOUR_S)
    assert len(memory.github.requests) == 1 + HOUR_S / memory.interval


def test_a_refused_token_is_asked_once_in_a_scan_and_heals_without_a_restart() -> None:
    memory = InMemoryPipeline(["ada", "bob"])
    memory.token = Secret("token")
    memory.write("first")
    memory.scan()
    memory.pass_time(INTERVAL_S - 1.0)
    assert memory.scanner.refusal is not None
    assert len(memory.github.requests) <= MAX_CONCURRENT
    memory.world.github_api.tokens["token"] = "somebody"
    memory.pass_time(1.0)
    assert memory.feed() == ["first"]
    assert memory.scanner.refusal is None


def test_a_defect_in_a_pass_leaves_the_others_alone_and_the_pass_is_made_again(
    no_failure_is_logged_unseen: list[object],
) -> None:
    memory = InMemoryPipeline(["ada", "bob"])
    memory.write("first")
    memory.write("second", user="bob")
    memory.wire()
    to_github = memory.github.exchange

    async def break_twice(request: Request) -> Reply:
        if len(memory.github.requests) in {1, 3}:
            raise RuntimeError("a defect")
        return await to_github(request)

    memory.github.exchange = break_twice
    memory.scanner.start()
    assert memory.feed() == ["second"]
    assert memory.scanner.users.errors() == {"ada": "an unexpected error (RuntimeError): the log tells more"}
    assert memory.scanner.status().visited == 2
    assert len(no_failure_is_logged_unseen) == 1
    memory.pass_time(5.0)
    no_failure_is_logged_unseen.clear()
    memory.pass_time(10.0)
    assert memory.feed() == ["second", "first"]
    assert memory.scanner.passes == {"defect": 2, "recorded": 2}


def test_a_stop_during_the_wait_for_a_failed_user_ends_at_once(memory: InMemoryPipeline) -> None:
    memory.fail("reset", "GitHub", times=99)
    memory.scan()
    result_of(memory.scanner.stop())
    asked = len(memory.github.requests)
    memory.pass_time(INTERVAL_S)
    assert len(memory.github.requests) == asked


def test_once_github_refuses_for_a_limit_nobody_else_is_asked_about(limited: InMemoryPipeline) -> None:
    limited.scan()
    limited.pass_time(HOUR_S / 2)
    assert len(limited.github.requests) == HOURLY + 1
    assert limited.scanner.refusal is None


def test_a_scan_that_does_not_fit_into_the_hour_goes_on_in_the_next_rather_than_fail(limited: InMemoryPipeline) -> None:
    limited.scan()
    limited.pass_time_until(lambda: len(limited.scans) > 0, longest=3 * HOUR_S)
    assert [(scan.failed, scan.status.visited) for scan in limited.scans] == [(False, len(MANY))]


# --- daily passes -----------------------------------------------------------------------------------------------------


class Late(InMemoryPipeline):
    """Ada has made a gist public that stands on the second page of the list, which the daily pass reads."""

    def __init__(self) -> None:
        super().__init__(["ada", "bob"])
        secret = self.world.accounts.write("ada", gist_id="late", public=False)
        self.write(*(f"{number:03}" for number in range(150)))
        self.scan()
        self.world.accounts.publish(secret.id)

    @property
    def is_found(self) -> bool:
        return "late" in self.feed()


def test_a_daily_pass_that_failed_for_now_is_made_again_to_the_end_before_long() -> None:
    memory = Late()
    memory.fail("500", "GitHub", path="/user/")
    memory.pass_time_until(lambda: memory.scanner.passes["Transient"] > 0, longest=DAY_S, step=5.0)
    memory.pass_time(5.0)
    assert memory.is_found
    assert memory.error_of("ada") is None


def test_while_a_daily_pass_fails_that_is_told() -> None:
    memory = Late()
    memory.fail("500", "GitHub", path="/user/", times=None)
    memory.pass_time_until(lambda: memory.scanner.passes["Transient"] > 0, longest=DAY_S, step=5.0)
    memory.pass_time(HOUR_S / 2 - 10.0)
    assert memory.error_of("ada") is not None


def test_daily_passes_are_made_though_each_scan_meets_a_limit() -> None:
    memory = Late()
    memory.pass_time(INTERVAL_S / 2)
    for _ in range(int(DAY_S / INTERVAL_S) + 1):
        limit = Fault("x", None, Reply(429, {"retry-after": "60"}, b""))
        memory.world.faults.add(Rule(limit, "GitHub", path="/users/bob", times=1))
        memory.pass_time(INTERVAL_S, step=30.0)
    assert memory.is_found


def test_a_daily_pass_for_which_the_database_cannot_be_asked_is_made_before_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory = Late()
    known_users = memory.store.known_users
    asked_at = list[float]()

    def once_in_a_scan(names: Collection[str], account_ids: Collection[int]) -> Any:
        asked_at.append(memory.clock.seconds())
        if asked_at.count(memory.clock.seconds()) == 2:
            return fail(Unavailable("PostgreSQL does not answer"))
        return known_users(names, account_ids)

    monkeypatch.setattr(memory.store, "known_users", once_in_a_scan)
    memory.pass_time_until(lambda: len({*asked_at}) < len(asked_at), longest=DAY_S, step=5.0)
    memory.pass_time(10.0)
    assert memory.is_found
    assert not memory.scans[-1].failed
