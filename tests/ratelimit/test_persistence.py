"""A count of tokens is stored before they are spent, and holds over every end."""

from errno import ENOSPC
from random import Random
from typing import Any

import pytest
from attrs import define
from twisted.internet.defer import Deferred

from pipetest.domain.model import Reply, Request
from pipetest.pipedrive.rate_limit import pipedrive_rate_limit
from pipetest.ratelimit.limiter import RateLimiter
from pipetest.ratelimit.persistence import EVERY_S, LATE_S, LimitPersistence, ReservingExchange, reservation_size
from tests.support.in_memory import InMemoryDaemon
from tests.support.ratelimit.models import POST, Service, World, asked, succeeded
from tests.support.results import result_of
from tests.support.simulated_disk import error, no_fault

CEILING = 1000
PER_BLOCK = 10
"""So many creates cost a block under this ceiling."""


@define
class Refusing(Service):
    """Refuses the next ``refused`` requests."""

    refused: int = 0

    def judge(self, request: Request) -> tuple[int, dict[str, float]]:
        self.refused -= 1
        return (429 if self.refused >= 0 else 200), {}


class Life:
    """A governor with a ceiling and its keeper, over a store that outlives them."""

    def __init__(self, memory: InMemoryDaemon) -> None:
        memory.wire()
        self.memory = memory
        world = World(memory.clock, Random(0))
        self.service = Refusing(memory.clock, Random(0), latency=0.0)
        counted = ReservingExchange(self.service, lambda: self.keeper.cover(self.governor), memory.clock)
        self.governor: RateLimiter[Any] = world.governor(pipedrive_rate_limit(ceiling=CEILING, reserve=0.2), counted)
        self.keeper = LimitPersistence(memory.store, [self.governor], memory.clock, reservation_size(CEILING))
        result_of(self.keeper.start())

    @property
    def used(self) -> int:
        used: int = self.governor.quota.day.used
        return used

    def create(self, count: int = 1) -> list[Deferred[Reply | None]]:
        creates = asked(self.governor, *[POST] * count)
        self.memory.pass_time(5.0)
        return creates


@pytest.fixture
def memory() -> InMemoryDaemon:
    return InMemoryDaemon()


@pytest.fixture
def life(memory: InMemoryDaemon) -> Life:
    return Life(memory)


def test_a_commit_counts_a_block_of_tokens(life: Life) -> None:
    life.create()
    before = life.memory.disk.steps
    life.create(PER_BLOCK - 1)
    assert life.memory.disk.steps == before
    life.create()
    assert life.memory.disk.steps > before


def test_a_crash_forgets_no_token_and_costs_a_block_at_most(life: Life) -> None:
    life.create(PER_BLOCK + 3)
    used = life.used
    life.memory.kill()
    again = Life(life.memory)
    again.memory.pass_time(1.0)
    again.create()
    assert used + 5 <= again.used <= used + 5 + reservation_size(CEILING)


def test_what_is_stored_each_minute_still_counts_the_whole_block(life: Life) -> None:
    life.create(3)
    life.memory.pass_time(EVERY_S)
    before = life.memory.disk.steps
    life.create(PER_BLOCK - 3)
    used = life.used
    assert life.memory.disk.steps == before
    life.memory.kill()
    again = Life(life.memory)
    again.create()
    assert again.used >= used + 5


def test_tokens_given_back_by_a_refusal_stay_counted_as_long_as_their_block(life: Life) -> None:
    life.create(PER_BLOCK)
    life.service.refused = 1
    life.create()
    disk = life.memory.disk
    disk.fault = lambda step: error(ENOSPC)
    life.memory.pass_time(EVERY_S)
    life.create()
    disk.fault = no_fault
    life.memory.pass_time(EVERY_S / 2)
    life.memory.kill()
    assert len(life.service.noted) == PER_BLOCK + 2
    assert Life(life.memory).used >= (PER_BLOCK + 1) * 5


def test_a_clean_stop_stores_the_very_count(life: Life) -> None:
    life.create(3)
    life.governor.close()
    result_of(life.keeper.stop())
    life.memory.kill()
    again = Life(life.memory)
    again.create()
    assert again.used == 20


def test_what_cannot_be_counted_is_not_sent_until_it_can(life: Life) -> None:
    life.memory.disk.fault = lambda step: error(ENOSPC)
    creates = life.create(3)
    assert life.service.noted == []
    life.memory.disk.fault = no_fault
    life.memory.pass_time(10.0)
    assert succeeded(creates) == len(life.service.noted) == 3


def test_what_could_not_be_counted_for_long_is_never_sent(life: Life) -> None:
    life.memory.disk.fault = lambda step: error(ENOSPC)
    (create,) = life.create()
    life.memory.pass_time(LATE_S)
    life.memory.disk.fault = no_fault
    life.memory.pass_time(60.0)
    assert create.called
    assert life.service.noted == []


def test_the_end_of_the_store_sends_away_what_waits_to_be_counted(life: Life) -> None:
    life.memory.disk.fault = lambda step: error(ENOSPC)
    (create,) = life.create()
    result_of(life.memory.store.close())
    assert create.called
    assert life.service.noted == []


@pytest.mark.parametrize(("ceiling", "block"), [(None, 1), (5, 1), (200, 10), (30_000, 500)])
def test_a_block_is_a_twentieth_of_the_day_at_most(ceiling: int | None, block: int) -> None:
    assert reservation_size(ceiling) == block
