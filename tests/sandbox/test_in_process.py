"""The exchange without HTTP: when a reply comes, and how its loss shows."""

from collections.abc import Callable

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from pipetest.domain.errors import Unanswered
from pipetest.domain.interfaces import Exchange
from pipetest.domain.model import Reply, Request
from pipetest.sandbox.faults import FAULTS, Rule
from pipetest.sandbox.in_process import InProcessExchange
from pipetest.sandbox.world import KEY, World

CREATE = Request(
    "POST",
    "https://test.pipedrive.com/api/v2/deals",
    {"x-api-token": KEY, "content-type": "application/json"},
    b'{"title":"a"}',
)

Start = Callable[[], tuple[Deferred[Reply], list[str]]]


@pytest.fixture
def start(world: World, clock: Clock) -> Start:
    """Starts an exchange. The list says how it ended, once it has."""
    exchange: Exchange = InProcessExchange(world.pipedrive, clock, world.held_replies)

    async def exchanged(endings: list[str]) -> Reply:
        try:
            reply = await exchange(CREATE)
        except Unanswered as e:
            endings.append(str(e))
            raise
        endings.append(str(reply.status))
        return reply

    def start() -> tuple[Deferred[Reply], list[str]]:
        endings: list[str] = []
        exchange_ended = Deferred.fromCoroutine(exchanged(endings))
        exchange_ended.addErrback(lambda failure: None)
        return exchange_ended, endings

    return start


def test_without_latency_the_reply_is_there_at_once(start: Start) -> None:
    assert start()[1] == ["200"]


def test_the_latency_is_waited_for(start: Start, world: World, clock: Clock) -> None:
    world.pipedrive.latency = 2.0
    _, endings = start()
    clock.advance(1.9)
    assert endings == []
    clock.advance(0.2)
    assert endings == ["200"]


@pytest.mark.parametrize("fault", ["refused", "reset", "applied-reset", "applied-torn", "late-reset"])
def test_a_lost_connection_is_unanswered(start: Start, world: World, fault: str) -> None:
    world.faults.add(Rule(FAULTS[fault]))
    assert start()[1] == [f"Pipedrive: the connection was {fault.rpartition('-')[2]}"]


@pytest.mark.parametrize("fault", ["silent", "applied-silent", "applied-stalled", "late-silent", "held"])
def test_silence_is_unanswered_after_the_time_limit(start: Start, world: World, clock: Clock, fault: str) -> None:
    world.faults.add(Rule(FAULTS[fault]))
    _, endings = start()
    clock.advance(19.9)
    assert endings == []
    clock.advance(0.1)
    assert endings == ["Pipedrive: no answer within 20 s"]


def test_a_reply_slower_than_the_time_limit_is_unanswered(start: Start, world: World, clock: Clock) -> None:
    world.pipedrive.latency = 30.0
    _, endings = start()
    clock.advance(20)
    assert endings == ["Pipedrive: no answer within 20 s"]
    assert len(world.crm.deals) == 1


def test_a_held_reply_comes_when_it_is_released(start: Start, world: World) -> None:
    world.faults.add(Rule(FAULTS["held"]))
    _, endings = start()
    assert (endings, len(world.crm.deals), len(world.held_replies)) == ([], 1, 1)
    assert world.held_replies.release() == 1
    assert (endings, len(world.held_replies)) == (["200"], 0)


@pytest.mark.parametrize("fault", ["slow", "held"])
def test_to_stop_waiting_does_not_take_the_request_back(start: Start, world: World, clock: Clock, fault: str) -> None:
    world.faults.add(Rule(FAULTS[fault]))
    exchange_ended, endings = start()
    exchange_ended.cancel()
    assert endings == []
    assert (len(world.crm.deals), len(world.held_replies), clock.getDelayedCalls()) == (1, 0, [])
