"""The people of the demonstration, and the sandbox that lets them write."""

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock
from twisted.logger import formatEvent, globalLogPublisher

from pipetest.sandbox.github.accounts import Accounts
from pipetest.sandbox.scenario import EARLIER, Event, Story
from pipetest.sandbox.server import Plan, Sandbox
from tests.sandbox.conftest import NOON_AT


def tell(seed: int, events: int = 100) -> tuple[list[Event], Accounts]:
    accounts = Accounts(lambda: NOON_AT, Random(seed))
    story = Story(accounts, Random(seed))
    story.begin(NOON_AT)
    return [story.go_on() for _ in range(events)], accounts


def test_the_same_seed_tells_the_same_story() -> None:
    assert tell(1)[0] == tell(1)[0]
    assert tell(1)[0] != tell(2)[0]


def test_everybody_has_written_before_and_goes_on_writing() -> None:
    before, after = tell(1, events=0)[1].public_gists(), tell(1)[1].public_gists()
    assert [len(gists) for gists in before.values()] == list(EARLIER)
    assert all(len(after[user]) > len(gists) for user, gists in before.items())


def test_secret_gists_become_public_in_the_end() -> None:
    events, accounts = tell(1)
    secret = [event.gist_id for event in events if event.doing == "secretly writes"]
    published = [event.gist_id for event in events if event.doing == "makes public"]
    public = {gist for gists in accounts.public_gists().values() for gist in gists}
    assert published
    assert set(secret) & public == set(published)


@pytest.fixture
def log() -> Iterator[EventLoggingObserver]:
    observer = EventLoggingObserver()
    globalLogPublisher.addObserver(observer)
    yield observer
    globalLogPublisher.removeObserver(observer)


@pytest.fixture
def reactor() -> Any:
    return MemoryReactorClock()


def lines(log: EventLoggingObserver, word: str) -> list[str]:
    return [line for line in map(formatEvent, log) if word in line]


@pytest_twisted.ensureDeferred
async def test_the_log_tells_where_to_look_and_then_the_story(log: EventLoggingObserver, reactor: Any) -> None:
    sandbox = Sandbox(reactor, lambda: NOON_AT, Random(1), Plan(gist_every=5.0))
    sandbox.start()
    where = [f"GitHub is played at {sandbox.github_url}", f"Pipedrive is played at {sandbox.pipedrive_url}"]
    assert lines(log, "played") == where
    reactor.pump([5.0] * 10)
    told = lines(log, " gist ")
    assert len(told) == 10
    assert all(line.split()[0] in sandbox.users for line in told)
    await sandbox.stop()
    reactor.advance(60)
    assert lines(log, " gist ") == told


@pytest_twisted.ensureDeferred
async def test_nobody_writes_where_none_is_to_write(reactor: Any) -> None:
    sandbox = Sandbox(reactor, lambda: NOON_AT, Random(1), Plan(gist_every=0))
    sandbox.start()
    assert reactor.getDelayedCalls() == []
    await sandbox.stop()


@pytest_twisted.ensureDeferred
async def test_the_sandbox_listens_on_loopback_only(reactor: Any) -> None:
    sandbox = Sandbox(reactor, lambda: NOON_AT, Random(1), Plan(gist_every=0))
    sandbox.start()
    assert {interface for _, _, _, interface in reactor.tcpServers} == {"127.0.0.1"}
    await sandbox.stop()
