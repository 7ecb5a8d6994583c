"""The people of the sandbox, and the server that lets them write."""

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock
from twisted.logger import formatEvent, globalLogPublisher

from pipetest.sandbox.github.accounts import Accounts, HostedAccount
from pipetest.sandbox.scenario import EARLIER, USERS, Event, Scenario
from pipetest.sandbox.server import Sandbox, SandboxSettings
from tests.support.sandbox_client import NOON_AT


def played(seed: int, events: int = 100) -> tuple[list[Event], Accounts]:
    accounts = Accounts(lambda: NOON_AT, Random(seed))
    scenario = Scenario(accounts, Random(seed))
    scenario.begin(NOON_AT)
    return [scenario.advance() for _ in range(events)], accounts


def account_of(accounts: Accounts, user: str) -> HostedAccount:
    account = accounts.by_login(user)
    assert account is not None
    return account


def test_the_same_seed_brings_the_same_events() -> None:
    assert played(1)[0] == played(1)[0]
    assert played(1)[0] != played(2)[0]


def test_everybody_has_written_before_and_goes_on_writing() -> None:
    before, after = played(1, events=0)[1].public_gists(), played(1)[1].public_gists()
    assert [len(gists) for gists in before.values()] == list(EARLIER)
    assert all(len(after[user]) > len(gists) for user, gists in before.items())


def test_gists_are_as_people_write_them() -> None:
    gists = [gist for user in USERS for gist in account_of(played(1)[1], user).listing()]
    assert {gist.description is None for gist in gists} == {True, False}
    assert len({gist.description for gist in gists}) > 10
    assert {len(gist.files) for gist in gists} == {1, 2}


def test_secret_gists_become_public_in_the_end() -> None:
    events, accounts = played(1)
    secret = [event.gist_id for event in events if event.action == "writes secret"]
    published = [event.gist_id for event in events if event.action == "publishes"]
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
async def test_the_log_tells_where_to_look_and_then_what_people_do(log: EventLoggingObserver, reactor: Any) -> None:
    sandbox = Sandbox(reactor, lambda: NOON_AT, Random(1), SandboxSettings(gist_every=5.0))
    sandbox.start()
    urls = [
        f"simulated GitHub at {sandbox.github_url}",
        f"simulated Pipedrive at {sandbox.pipedrive_url}",
    ]
    assert lines(log, "http:") == urls
    reactor.pump([5.0] * 10)
    events = lines(log, " gist ")
    assert len(events) == 10
    assert all(line.split()[0] in sandbox.users for line in events)
    await sandbox.stop()
    reactor.advance(60)
    assert lines(log, " gist ") == events


@pytest_twisted.ensureDeferred
async def test_nobody_writes_where_the_settings_say_so(reactor: Any) -> None:
    sandbox = Sandbox(reactor, lambda: NOON_AT, Random(1), SandboxSettings(gist_every=0))
    sandbox.start()
    assert reactor.getDelayedCalls() == []
    await sandbox.stop()


@pytest_twisted.ensureDeferred
async def test_the_sandbox_listens_on_loopback_only(reactor: Any) -> None:
    sandbox = Sandbox(reactor, lambda: NOON_AT, Random(1), SandboxSettings(gist_every=0))
    sandbox.start()
    assert {interface for _, _, _, interface in reactor.tcpServers} == {"127.0.0.1"}
    await sandbox.stop()
