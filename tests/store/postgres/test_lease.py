"""Who may write: one instance at a time, and nobody who was deposed."""

from collections.abc import AsyncIterator

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock

from pipetest.domain.errors import Unstored
from pipetest.domain.interfaces import Command, Time
from pipetest.domain.model import DealChange, Done, Gist, Organization, OrganizationChange, PassResult, Secret, Sent
from pipetest.store.postgres.writer import FRESH_S, LeasedWriter
from tests.support.postgres.server import Server
from tests.support.postgres.world import PostgresWorld

ONE, TWO = Gist("one", 1.0), Gist("two", 2.0)


FULL = """
    CREATE FUNCTION pipetest.no_space() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END $$;
    CREATE TRIGGER no_space BEFORE INSERT ON pipetest.users EXECUTE FUNCTION pipetest.no_space()
"""
"""The server says what it says when its disk is full."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


def reading(*gists: Gist) -> PassResult:
    return PassResult("ada", 7, None, gists)


def cut_off(server: Server, url: Secret) -> int:
    """End every session of the instances, as somebody with a server at hand would; how many."""
    with server.connect(url) as onlooker:
        ended = onlooker.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'pipetest'"
        ).fetchall()
    return len(ended)


@pytest_twisted.ensureDeferred
async def test_one_writes_and_the_others_read(postgres: PostgresWorld) -> None:
    one, two = postgres.instance().store, postgres.instance().store
    await one.add_gists(reading(ONE))
    assert (one.writer.holds_lease, two.writer.holds_lease) == (True, False)
    assert list(await two.feed(0, 9)) == [ONE.id]
    with pytest.raises(Unstored, match="lock"):
        await two.add_gists(reading(TWO))
    assert await two.writer.acquire() is False


@pytest_twisted.ensureDeferred
async def test_a_session_goes_on_at_another_instance(postgres: PostgresWorld) -> None:
    one, two = postgres.instance().store, postgres.instance().store
    await one.advance_session("s", 5, now=1.0)
    assert await two.resume_session("s", now=2.0) == 5
    await two.advance_session("s", 7, now=3.0)
    assert await one.resume_session("s", now=4.0) == 7


@pytest_twisted.ensureDeferred
async def test_after_a_clean_end_another_may_take_the_lock_at_once(postgres: PostgresWorld) -> None:
    one, two = postgres.instance(), postgres.instance()
    await one.close()
    assert await two.store.writer.acquire() is True
    assert await two.store.add_gists(reading(ONE))


@pytest_twisted.ensureDeferred
async def test_whoever_loses_the_session_loses_the_lock_and_writes_no_more(
    postgres: PostgresWorld, server_of_all: Server
) -> None:
    one, two = postgres.instance().store, postgres.instance().store
    lost: list[str] = []
    one.writer.on_lost(lambda: lost.append("lost"))
    cut_off(server_of_all, postgres.url)
    while not await two.writer.acquire():
        """The server takes a moment to end a session."""
    with pytest.raises(Unstored, match="lost"):
        await one.add_gists(reading(ONE))
    assert (lost, one.writer.holds_lease, one.writer.is_fresh()) == (["lost"], False, False)
    assert list(await two.feed(0, 9)) == []


@pytest_twisted.ensureDeferred
async def test_what_waited_in_an_earlier_time_is_not_written_in_a_later_one(
    postgres: PostgresWorld, server_of_all: Server
) -> None:
    store = postgres.instance().store
    with server_of_all.connect(postgres.url) as onlooker:
        onlooker.execute(FULL)
        waiting = Deferred.fromCoroutine(store.add_gists(reading(ONE)))
        while store.trouble is None:
            await store.feed_length()
        assert "no space left" in store.trouble
        cut_off(server_of_all, postgres.url)
        while store.writer.holds_lease:
            await store.writer.renew()
        while not await store.writer.acquire():
            """The server takes a moment to end a session."""
        onlooker.execute("DROP TRIGGER no_space ON pipetest.users")
    with pytest.raises(Unstored):
        await waiting
    assert list(await store.users()) == []


@pytest_twisted.ensureDeferred
async def test_a_full_disk_is_waited_for_and_is_trouble_until_then_however_well_the_lock_is(
    postgres: PostgresWorld, server_of_all: Server
) -> None:
    store = postgres.instance().store
    with server_of_all.connect(postgres.url) as onlooker:
        onlooker.execute(FULL)
        waiting = Deferred.fromCoroutine(store.add_gists(reading(ONE)))
        while store.trouble is None:
            await store.feed_length()
        await store.writer.renew()
        assert "no space left" in store.trouble
        onlooker.execute("DROP TRIGGER no_space ON pipetest.users")
    assert [entry.gist for entry in await waiting] == [ONE]
    assert store.writer.holds_lease
    assert not store.trouble


@pytest_twisted.ensureDeferred
async def test_what_waits_to_be_written_again_ends_with_the_lock(
    postgres: PostgresWorld, server_of_all: Server, clock: Clock
) -> None:
    store = postgres.instance(clock=clock).store
    with server_of_all.connect(postgres.url) as onlooker:
        onlooker.execute(FULL)
        waiting = Deferred.fromCoroutine(store.add_gists(reading(ONE)))
        while store.trouble is None:
            await store.feed_length()
        cut_off(server_of_all, postgres.url)
        while store.writer.holds_lease:
            await store.writer.renew()
    with pytest.raises(Unstored):
        await waiting


# --- how sure it is ---------------------------------------------------------------------------------------------------


@pytest_twisted.async_yield_fixture
async def writer(postgres: PostgresWorld, clock: Clock) -> AsyncIterator[LeasedWriter]:
    yield postgres.instance(Time(lambda: 1e9 + clock.seconds(), clock.seconds)).store.writer


@pytest_twisted.ensureDeferred
async def test_a_create_may_leave_for_two_seconds_after_the_lock_was_used(writer: LeasedWriter, clock: Clock) -> None:
    fresh = [writer.is_fresh()]
    clock.advance(FRESH_S)
    fresh.append(writer.is_fresh())
    clock.advance(0.1)
    fresh.append(writer.is_fresh())
    await writer.renew()
    assert [*fresh, writer.is_fresh()] == [True, True, False, True]


@pytest_twisted.ensureDeferred
async def test_an_answer_that_came_late_says_nothing_of_now(writer: LeasedWriter, clock: Clock) -> None:
    using = Deferred.fromCoroutine(writer.renew())
    clock.advance(FRESH_S + 0.1)  # frozen: the question left before, and the answer was read after
    await using
    assert not writer.is_fresh()


# --- what people ask for ----------------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_orders_reach_whoever_holds_the_lock_until_they_are_obeyed(postgres: PostgresWorld) -> None:
    one, two = postgres.instance().store, postgres.instance().store
    orders = two.commands
    await orders.scan()
    await orders.pause(True)
    asked = await one.writer.renew()
    assert [(order.what, order.about) for order in asked] == [("scan", ""), ("pause", "")]
    await one.writer.acknowledge(asked[0])
    assert list(await one.writer.renew()) == [asked[1]]
    assert isinstance(asked[1], Command)


@pytest_twisted.ensureDeferred
async def test_only_what_is_in_quarantine_can_be_tried_again(postgres: PostgresWorld) -> None:
    store = postgres.instance().store
    await store.add_gists(reading(ONE))
    assert await store.commands.retry(ONE.id) is False
    assert list(await store.writer.renew()) == []


@pytest_twisted.ensureDeferred
async def test_many_changes_at_once_are_made_one_after_the_other(postgres: PostgresWorld) -> None:
    store = postgres.instance().store
    await store.add_gists(reading(*(Gist(f"gist {number}", 0.0) for number in range(50))))
    await store.save(OrganizationChange("ada", Organization(Sent())))
    changes = [DealChange(f"gist {number}", Done(number)) for number in range(50)]
    await gatherResults([Deferred.fromCoroutine(store.save(change)) for change in changes])
    assert list(await store.open_entries()) == []
