"""How the limits stand is stored: it holds over every end, and tokens are stored before they are spent."""

from errno import ENOSPC
from random import Random
from typing import Any

import pytest
from msgspec import to_builtins
from twisted.internet.defer import Deferred

from pipetest.domain.interfaces import Time
from pipetest.domain.model import Reply, Request
from pipetest.github.rate_limit import SavedGitHubLimits, github_rate_limit
from pipetest.pipedrive.daily_budget import DAY_S, SavedPipedriveLimits
from pipetest.pipedrive.prices import CREATE
from pipetest.pipedrive.rate_limit import pipedrive_rate_limit
from pipetest.ratelimit.limiter import RateLimiter
from pipetest.ratelimit.persistence import LATE_S, SAVE_EVERY_S, LimitPersistence, tokens_ahead
from pipetest.ratelimit.policy import Cost
from tests.support.in_memory import InMemoryPipeline
from tests.support.ratelimit.models import POST, Harness, ServiceModel, asked, succeeded
from tests.support.results import result_of
from tests.support.simulated_disk import error, no_fault

CEILING = 1000
PER_RESERVATION = 10
"""So many creates cost what is counted ahead at once under this ceiling."""


class Refusing(ServiceModel):
    """Refuses the next ``refused`` requests."""

    refused: int = 0

    def judge(self, request: Request) -> tuple[int, dict[str, float]]:
        self.refused -= 1
        return (429 if self.refused >= 0 else 200), {}


class Process:
    """A limiter with a ceiling and its persistence, over a store that outlives them."""

    def __init__(self, memory: InMemoryPipeline) -> None:
        memory.wire()
        self.memory = memory
        harness = Harness(memory.clock, Random(0))
        self.service = Refusing(memory.clock, Random(0), latency=0.0)
        time = Time(memory.clock.seconds, memory.clock.seconds)
        self.persistence = LimitPersistence(memory.store, time, memory.clock, tokens_ahead(CEILING))
        rate_limit = pipedrive_rate_limit(ceiling=CEILING, reserve=0.2)
        self.limiter: RateLimiter[Any] = harness.limiter(
            rate_limit, self.service, count_ahead=self.persistence.count_ahead
        )
        result_of(self.persistence.start(self.limiter))

    @property
    def used(self) -> int:
        used: int = self.limiter.rate_limit.day.used
        return used

    def create(self, count: int = 1) -> list[Deferred[Reply | None]]:
        creates = asked(self.limiter, *[POST] * count)
        self.memory.pass_time(5.0)
        return creates


@pytest.fixture
def memory() -> InMemoryPipeline:
    return InMemoryPipeline()


@pytest.fixture
def process(memory: InMemoryPipeline) -> Process:
    return Process(memory)


# --- tokens are stored before they are spent --------------------------------------------------------------------------


def test_a_commit_counts_tokens_ahead(process: Process) -> None:
    process.create()
    before = process.memory.disk.steps
    process.create(PER_RESERVATION - 1)
    assert process.memory.disk.steps == before
    process.create()
    assert process.memory.disk.steps > before


def test_a_crash_forgets_no_token_and_costs_what_was_counted_ahead_at_most(process: Process) -> None:
    process.create(PER_RESERVATION + 3)
    used = process.used
    process.memory.kill()
    again = Process(process.memory)
    again.memory.pass_time(1.0)
    again.create()
    assert used + 5 <= again.used <= used + 5 + tokens_ahead(CEILING)


def test_what_is_stored_each_minute_still_counts_all_that_was_counted_ahead(process: Process) -> None:
    process.create(3)
    process.memory.pass_time(SAVE_EVERY_S)
    before = process.memory.disk.steps
    process.create(PER_RESERVATION - 3)
    used = process.used
    assert process.memory.disk.steps == before
    process.memory.kill()
    again = Process(process.memory)
    again.create()
    assert again.used >= used + 5


def test_tokens_given_back_by_a_refusal_stay_counted_as_long_as_those_counted_ahead_with_them(process: Process) -> None:
    process.create(PER_RESERVATION)
    process.service.refused = 1
    process.create()
    disk = process.memory.disk
    disk.fault = lambda step: error(ENOSPC)
    process.memory.pass_time(SAVE_EVERY_S)
    process.create()
    disk.fault = no_fault
    process.memory.pass_time(SAVE_EVERY_S / 2)
    process.memory.kill()
    assert len(process.service.counted) == PER_RESERVATION + 2
    assert Process(process.memory).used >= (PER_RESERVATION + 1) * 5


def test_a_clean_stop_stores_the_very_count(process: Process) -> None:
    process.create(3)
    process.limiter.close()
    result_of(process.persistence.stop())
    process.memory.kill()
    again = Process(process.memory)
    again.create()
    assert again.used == 20


def test_what_cannot_be_counted_is_not_sent_until_it_can(process: Process) -> None:
    process.memory.disk.fault = lambda step: error(ENOSPC)
    creates = process.create(3)
    assert process.service.counted == []
    process.memory.disk.fault = no_fault
    process.memory.pass_time(10.0)
    assert succeeded(creates) == len(process.service.counted) == 3


def test_what_could_not_be_counted_for_long_is_never_sent(process: Process) -> None:
    process.memory.disk.fault = lambda step: error(ENOSPC)
    (create,) = process.create()
    process.memory.pass_time(LATE_S)
    process.memory.disk.fault = no_fault
    process.memory.pass_time(60.0)
    assert create.called
    assert process.service.counted == []


def test_the_end_of_the_store_sends_away_what_waits_to_be_counted(process: Process) -> None:
    process.memory.disk.fault = lambda step: error(ENOSPC)
    (create,) = process.create()
    result_of(process.memory.store.close())
    assert create.called
    assert process.service.counted == []


@pytest.mark.parametrize(("ceiling", "tokens"), [(None, 1), (5, 1), (200, 10), (30_000, 500)])
def test_a_twentieth_of_the_day_at_most_is_counted_ahead(ceiling: int | None, tokens: int) -> None:
    assert tokens_ahead(ceiling) == tokens


# --- what is stored ---------------------------------------------------------------------------------------------------


class Limiters:
    """Those of GitHub and Pipedrive, and their persistence."""

    def __init__(self, memory: InMemoryPipeline) -> None:
        memory.wire()
        clock = memory.clock
        time, service = Time(clock.seconds, clock.seconds), ServiceModel(clock, Random(0))
        github = github_rate_limit(token=True, host="api.github.com")
        pipedrive = pipedrive_rate_limit(ceiling=None, reserve=0.2)
        self.github = RateLimiter("GitHub", github, service, time, clock, Random(0))
        self.pipedrive = RateLimiter("Pipedrive", pipedrive, service, time, clock, Random(0))
        self.persistence = LimitPersistence(memory.store, time, clock)

    async def start(self) -> None:
        await self.persistence.start(self.github, self.pipedrive)


def test_what_1_0_0_has_stored_of_limits_holds_after_the_upgrade(memory: InMemoryPipeline) -> None:
    """It stored one row of the same names for both APIs."""
    now = memory.clock.seconds()
    today = int(now // DAY_S)
    unused = {"resumes_at": 0.0, "day": 0, "used": 0, "posts": None, "limit": 0.0, "left": None, "ends_at": 0.0}
    github = {"limit": 5000.0, "left": 0.0, "ends_at": now + 600, "points": 900.0, "points_end_at": now + 30}
    pipedrive = {"resumes_at": now + 900, "day": today, "used": 1234, "posts": 0.0, "limit": 30_000.0, "left": 6_000.0}
    none = {"points": 0, "points_end_at": 0.0, "anonymous": False}
    midnight = (today + 1) * DAY_S + 1.0
    memory.wire()
    result_of(memory.store.put_value("quota of GitHub", {**unused, **none, **github}))
    result_of(memory.store.put_value("quota of Pipedrive", {**unused, **none, **pipedrive, "ends_at": midnight}))
    memory.kill()
    limiters = Limiters(memory)
    result_of(limiters.start())
    points, hour = limiters.github.rate_limit.points, limiters.github.rate_limit.hour
    assert points.wait(0, now) == 30.0
    assert (hour.limit, hour.left.available, hour.reset_at) == (5000.0, 0.0, now + 600)
    day = limiters.pipedrive.rate_limit.day
    assert (day.used, day.limit, day.tokens.available, day.writes.available) == (1234, 30_000.0, 6_000.0, 0.0)
    assert limiters.pipedrive.ready(Cost(price=1)) == midnight
    assert limiters.pipedrive.rate_limit.cooldown.until == now + 900
    assert limiters.pipedrive.ready(CREATE) == midnight


def test_the_names_of_what_is_stored_are_those_of_1_0_0() -> None:
    shared = {"resumes_at", "limit", "left", "ends_at"}
    assert set(to_builtins(SavedGitHubLimits())) == shared | {"points", "points_end_at", "anonymous"}
    assert set(to_builtins(SavedPipedriveLimits())) == shared | {"day", "used", "posts"}


def test_what_is_stored_and_cannot_be_read_starts_anew(memory: InMemoryPipeline) -> None:
    memory.wire()
    result_of(memory.store.put_value("quota of Pipedrive", {"used": "many"}))
    memory.kill()
    limiters = Limiters(memory)
    result_of(limiters.start())
    requests = asked(limiters.pipedrive, POST)
    memory.pass_time(SAVE_EVERY_S)
    assert succeeded(requests) == 1
    assert (result_of(memory.store.get_value("quota of Pipedrive", dict[str, object])) or {})["used"] == 5


def test_a_stop_before_the_start_changes_nothing_that_is_stored(memory: InMemoryPipeline) -> None:
    memory.wire()
    result_of(memory.store.put_value("quota of Pipedrive", {"used": 7}))
    memory.kill()
    limiters = Limiters(memory)
    result_of(limiters.persistence.stop())
    assert result_of(memory.store.get_value("quota of Pipedrive", object)) == {"used": 7}
