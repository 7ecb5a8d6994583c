"""Who guesses at the admin token is counted and slowed down, and keeps nobody else out."""

import pytest
import pytest_twisted
from twisted.internet.address import IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from pipetest.web.guesses import GUESS_EVERY_S, LONGEST_WAIT_S, MAX_ORIGINS, Guesses, origin_of
from tests.support.web.client import Client
from tests.support.web.serving import TOKEN, Connect
from tests.support.web.stub_daemon import StubDaemon

SCAN = f"POST /scan HTTP/1.1\nAuthorization: Bearer {TOKEN}"
WRONG = "POST /pause HTTP/1.1\nAuthorization: Bearer "


async def refusals(client: Client) -> int:
    metrics = (await client.ask("GET /metrics HTTP/1.1")).body.decode()
    return int(float(metrics.partition("\npipetest_admin_refusals_total ")[2].split()[0]))


@pytest_twisted.ensureDeferred
async def test_who_guesses_at_the_token_is_counted_and_compared_once_in_a_second(
    client: Client, connect: Connect, clock: Clock, stub_daemon: StubDaemon
) -> None:
    assert (await client.ask(f"{WRONG}0000")).status == 401
    guessers = [await connect() for _ in range(5)]
    for number, guesser in enumerate(guessers):
        guesser.send(f"{WRONG}{number:04}")
    await client.ask("GET /health HTTP/1.1")
    assert await refusals(client) == 1
    for number, guesser in enumerate(guessers):
        clock.advance(GUESS_EVERY_S)
        assert (await guesser.answer()).status == 401
        assert await refusals(client) == 2 + number
    assert stub_daemon.calls == []


@pytest_twisted.ensureDeferred
async def test_the_right_token_is_slowed_no_more_than_a_wrong_one_and_ends_the_waiting(
    client: Client, connect: Connect, clock: Clock, stub_daemon: StubDaemon
) -> None:
    await client.ask(f"{WRONG}x")
    client.send(SCAN)
    await (await connect()).ask("GET /health HTTP/1.1")
    assert stub_daemon.calls == []
    clock.advance(GUESS_EVERY_S)
    assert (await client.answer()).status == 202
    assert (await client.ask(SCAN)).status == 202


@pytest_twisted.ensureDeferred
async def test_more_than_wait_are_sent_away_without_being_compared(
    client: Client, connect: Connect, stub_daemon: StubDaemon
) -> None:
    await client.ask(f"{WRONG}x")
    for _ in range(int(LONGEST_WAIT_S)):
        (await connect()).send(f"{WRONG}x")
    late = await (await connect()).ask(SCAN)
    assert (late.status, late.headers["retry-after"]) == (429, "10")
    assert stub_daemon.calls == []


def test_nobodys_guessing_keeps_another_address_waiting() -> None:
    guesses = Guesses(Clock())
    guesses.was_wrong("192.0.2.1")
    assert not Deferred.fromCoroutine(guesses.wait_for_turn("192.0.2.1")).called
    assert Deferred.fromCoroutine(guesses.wait_for_turn("192.0.2.2")).called


def test_refusals_are_logged_at_once_and_then_once_a_minute() -> None:
    clock = Clock()
    guesses = Guesses(clock)
    with capturedLogs() as events:
        for _ in range(121):
            guesses.count_refusal("192.0.2.1")
            clock.advance(1.0)
    assert [(event["requests"], event["origin"]) for event in events] == [
        (1, "192.0.2.1"), (60, "192.0.2.1"), (60, "192.0.2.1"),
    ]  # fmt: skip


def test_guesses_from_ever_new_addresses_take_no_more_memory() -> None:
    guesses = Guesses(Clock())
    for number in range(2 * MAX_ORIGINS):
        guesses.was_wrong(str(number))
    assert len(guesses._next_turn) == MAX_ORIGINS


@pytest.mark.parametrize(
    ("host", "origin"),
    [("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("2001:db8::1:2:3:4", "2001:db8::/64"),
     ("fe80::1%eth0", "fe80::/64")],
)  # fmt: skip
def test_an_ipv6_address_stands_for_its_network(host: str, origin: str) -> None:
    assert origin_of(IPv6Address("TCP", host, 1)) == origin
