"""Who may write: one instance at a time, and nobody who was deposed."""

from collections.abc import AsyncIterator
from functools import partial

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock

from pipetest.domain.errors import Unstored
from pipetest.domain.interfaces import Command, Time
from pipetest.domain.model import (
    DealChange,
    Done,
    Gist,
    Organization,
    OrganizationChange,
    PassResult,
    Quarantined,
    Secret,
    Sent,
)
from pipetest.store.postgres import migrations, writes
from pipetest.store.postgres.connection import READING, Database
from pipetest.store.postgres.lease import LeaseConnection
from pipetest.store.postgres.writer import FRESH_S, LeasedWriter
from tests.support.postgres.server import Server
from tests.support.postgres.world import PostgresWorld

ONE, TWO = Gist("one", 1.0), Gist("two", 2.0)
REFUSED = Quarantined("no", 1.0, status=400)


FULL = """
    CREATE FUNCTION pipetest.no_space() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END $$;
    CREATE TRIGGER no_space BEFORE INSERT ON pipetest.users EXECUTE FUNCTION pipetest.no_space()
"""
"""The server refuses users as it does when its disk is full."""


SLOW = """
    CREATE FUNCTION pipetest.take_long() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN
        IF current_setting('statement_timeout') <> '0' THEN RAISE 'cut off' USING ERRCODE = 'query_canceled'; END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER take_long BEFORE UPDATE ON pipetest.users EXECUTE FUNCTION pipetest.take_long()
"""
"""A change of users takes too long for whatever has a limit, as one of a million does."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


def found(*gists: Gist) -> PassResult:
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
async def test_one_instance_writes_and_the_others_read(postgres: PostgresWorld) -> None:
    one, two = postgres.instance().store, postgres.instance().store
    await one.add_gists(found(ONE))
    assert (one.writer.holds_lease, two.writer.holds_lease) == (True, False)
    assert list(await two.feed(0, 9)) == [ONE.id]
    with pytest.raises(Unstored, match="lease"):
        await two.add_gists(found(TWO))
    assert await two.writer.acquire() is False


def test_what_changes_every_user_may_take_longer_than_other_changes(
    database: Secret,
) -> None:
    """Else it would be cut off and made again for ever, and nobody could lead after a restore."""
    leading = LeaseConnection(Database(database), "leader")
    with Database(database).connect(READING) as onlooker:
        migrations.migrate(onlooker, "")
        onlooker.execute(SLOW.encode())
        assert leading.acquire()
        leading.write(partial(writes.mark_reconciled, reconciled_at=9.0))
        leading.write(writes.mark_unreconciled)
        leading.write(partial(writes.mark_reconciled, reconciled_at=None))
        leading.release()
        onlooker.execute("UPDATE pipetest.about SET server = 'another'")
        assert leading.acquire()
        leading.release()
    assert leading.unreconciled


@pytest_twisted.ensureDeferred
async def test_a_session_goes_on_at_another_instance(postgres: PostgresWorld) -> None:
    one, two = postgres.instance().store, postgres.instance().store
    await one.advance_session("s", 5, now=1.0)
    assert (await two.resume_session("s", now=2.0)).shown == 5
    await two.advance_session("s", 7, now=3.0)
    assert (await one.resume_session("s", now=4.0)).shown == 7


@pytest_twisted.ensureDeferred
async def test_after_a_clean_end_another_may_acquire_the_lease_at_once(postgres: PostgresWorld) -> None:
    one, two = postgres.instance(), postgres.instance()
    await one.close()
    assert await two.store.writer.acquire() is True
    assert await two.store.add_gists(found(ONE))


@pytest_twisted.ensureDeferred
async def test_an_instance_that_loses_its_session_loses_the_lease_and_writes_no_more(
    postgres: PostgresWorld, server_of_all: Server
) -> None:
    one, two = postgres.instance().store, postgres.instance().store
    lost: list[str] = []
    one.writer.on_lost(lambda: lost.append("lost"))
    cut_off(server_of_all, postgres.url)
    while not await two.writer.acquire():
        """The server takes a moment to end a session."""
    with pytest.raises(Unstored, match="lost"):
        await one.add_gists(found(ONE))
    assert (lost, one.writer.holds_lease, one.writer.is_fresh()) == (["lost"], False, False)
    assert list(await two.feed(0, 9)) == []


@pytest_twisted.ensureDeferred
async def test_what_waited_in_an_earlier_term_is_not_written_in_a_later_one(
    postgres: PostgresWorld, server_of_all: Server
) -> None:
    store = postgres.instance().store
    with server_of_all.connect(postgres.url) as onlooker:
        onlooker.execute(FULL)
        waiting = Deferred.fromCoroutine(store.add_gists(found(ONE)))
        while store.problem is None:
            await store.feed_length()
        assert "no space left" in store.problem
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
async def test_a_full_disk_is_waited_for_and_is_a_problem_until_then_even_while_the_lease_is_renewed(
    postgres: PostgresWorld, server_of_all: Server
) -> None:
    store = postgres.instance().store
    with server_of_all.connect(postgres.url) as onlooker:
        onlooker.execute(FULL)
        waiting = Deferred.fromCoroutine(store.add_gists(found(ONE)))
        while store.problem is None:
            await store.feed_length()
        await store.writer.renew()
        assert "no space left" in store.problem
        onlooker.execute("DROP TRIGGER no_space ON pipetest.users")
    assert [entry.gist for entry in await waiting] == [ONE]
    assert store.writer.holds_lease
    assert not store.problem


@pytest_twisted.ensureDeferred
async def test_what_waits_for_its_next_attempt_ends_with_the_lease(
    postgres: PostgresWorld, server_of_all: Server, clock: Clock
) -> None:
    store = postgres.instance(clock=clock).store
    with server_of_all.connect(postgres.url) as onlooker:
        onlooker.execute(FULL)
        waiting = Deferred.fromCoroutine(store.add_gists(found(ONE)))
        while store.problem is None:
            await store.feed_length()
        cut_off(server_of_all, postgres.url)
        while store.writer.holds_lease:
            await store.writer.renew()
    with pytest.raises(Unstored):
        await waiting


# --- how fresh it is --------------------------------------------------------------------------------------------------


@pytest_twisted.async_yield_fixture
async def writer(postgres: PostgresWorld, clock: Clock) -> AsyncIterator[LeasedWriter]:
    yield postgres.instance(Time(lambda: 1e9 + clock.seconds(), clock.seconds)).store.writer


@pytest_twisted.ensureDeferred
async def test_a_create_may_leave_for_two_seconds_after_a_renewal(writer: LeasedWriter, clock: Clock) -> None:
    fresh = [writer.is_fresh()]
    clock.advance(FRESH_S)
    fresh.append(writer.is_fresh())
    clock.advance(0.1)
    fresh.append(writer.is_fresh())
    await writer.renew()
    assert [*fresh, writer.is_fresh()] == [True, True, False, True]


@pytest_twisted.ensureDeferred
async def test_an_answer_that_came_late_does_not_count_from_now(writer: LeasedWriter, clock: Clock) -> None:
    renewing = Deferred.fromCoroutine(writer.renew())
    clock.advance(FRESH_S + 0.1)  # frozen: the question left before, and the answer was read after
    await renewing
    assert not writer.is_fresh()


# --- commands ---------------------------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_commands_reach_the_holder_of_the_lease_until_they_are_acknowledged(postgres: PostgresWorld) -> None:
    one, two = postgres.instance().store, postgres.instance().store
    await two.commands.scan()
    await two.commands.set_paused(True)
    await two.commands.audit()
    waiting = await one.writer.renew()
    assert [(command.what, command.about) for command in waiting] == [("scan", ""), ("pause", ""), ("audit", "")]
    await one.writer.acknowledge(waiting[0])
    assert list(await one.writer.renew()) == waiting[1:]
    assert isinstance(waiting[1], Command)


@pytest_twisted.ensureDeferred
async def test_only_what_is_in_quarantine_can_be_tried_again(postgres: PostgresWorld) -> None:
    store = postgres.instance().store
    await store.add_gists(found(ONE))
    assert await store.commands.retry(ONE.id) is False
    assert await store.commands.retry("ada") is False
    assert list(await store.writer.renew()) == []


@pytest_twisted.ensureDeferred
async def test_a_gist_an_organization_and_everything_in_quarantine_can_be_tried_again(postgres: PostgresWorld) -> None:
    store = postgres.instance().store
    await store.add_gists(found(ONE))
    await store.save(DealChange(ONE.id, REFUSED), OrganizationChange("ada", Organization(REFUSED)))
    assert await store.commands.retry(ONE.id) is True
    assert await store.commands.retry("ADA") is True
    await store.commands.retry_all()
    asked = [(command.what, command.about) for command in await store.writer.renew()]
    assert asked == [("retry", ONE.id), ("retry", "ADA"), ("retry-all", "")]


@pytest_twisted.ensureDeferred
async def test_a_backfill_is_asked_for_of_those_who_were_scanned(postgres: PostgresWorld) -> None:
    store = postgres.instance().store
    await store.add_gists(found(ONE))
    assert await store.commands.backfill("nobody") is False
    assert await store.commands.backfill("ADA") is True
    assert [(command.what, command.about) for command in await store.writer.renew()] == [("backfill", "ADA")]


@pytest_twisted.ensureDeferred
async def test_many_changes_at_once_are_made_one_after_the_other(postgres: PostgresWorld) -> None:
    store = postgres.instance().store
    await store.add_gists(found(*(Gist(f"gist {number}", 0.0) for number in range(50))))
    await store.save(OrganizationChange("ada", Organization(Sent())))
    changes = [DealChange(f"gist {number}", Done(number)) for number in range(50)]
    await gatherResults([Deferred.fromCoroutine(store.save(change)) for change in changes])
    assert list(await store.open_entries()) == []
