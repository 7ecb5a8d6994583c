"""What becomes of changes and visitors when the server or the way to it fails."""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial

import pytest
import pytest_twisted
from psycopg import OperationalError
from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.task import Clock, deferLater
from twisted.python.failure import Failure

from pipetest.domain.errors import DatabaseRefused, Unavailable, Unstorable, Unstored
from pipetest.domain.interfaces import Time
from pipetest.domain.model import Gist, PassResult, Secret
from pipetest.store.postgres import connection
from pipetest.store.postgres.connection import ANSWER_S, Connected, Database
from pipetest.store.postgres.pool import RETRY_S, ConnectionPool
from pipetest.store.postgres.reads import feed_length
from pipetest.store.postgres.store import PostgresStore
from pipetest.store.postgres.writer import STUCK_S
from tests.support.postgres.relay import Relay
from tests.support.postgres.server import Server, server
from tests.support.postgres.world import Instance, PostgresWorld
from tests.support.store.worlds import RealThreads

ONE = Gist("one", 1.0)


def found(*gists: Gist) -> PassResult:
    return PassResult("ada", 7, None, gists)


@pytest_twisted.async_yield_fixture
async def relay(server_of_all: Server) -> AsyncIterator[Relay]:
    relay = Relay(server_of_all.port)
    relay.listen()
    yield relay
    await relay.close()


@pytest_twisted.async_yield_fixture
async def far_instance(relay: Relay, database: Secret) -> AsyncIterator[Instance]:
    """An instance whose connections go through the relay."""
    from twisted.internet import reactor
    from twisted.internet.threads import deferToThread

    world = PostgresWorld(Secret(relay.through(database.reveal())), reactor)  # type: ignore[arg-type]
    yield await deferToThread(world.instance)  # it blocks, and the relay must not
    await world.end()


@pytest.fixture
def one_thread() -> Iterator[RealThreads]:
    from twisted.internet import reactor

    thread = RealThreads(reactor)  # type: ignore[arg-type]
    thread.start()
    yield thread
    thread.stop()


@pytest.mark.parametrize("statement", [b"BEGIN", b"INSERT INTO pipetest.users", b"UPDATE pipetest.about", b"COMMIT"])
@pytest_twisted.ensureDeferred
async def test_a_connection_cut_anywhere_in_a_change_leaves_all_of_it_or_nothing(
    relay: Relay, far_instance: Instance, statement: bytes
) -> None:
    store = far_instance.store
    relay.cut_at(statement)
    with pytest.raises(Unstored, match="lost"):
        await store.add_gists(found(ONE))
    assert relay.cuts == 1
    while not await store.writer.acquire():
        """The server takes a moment to end a session."""
    shown = [len(await store.users()), await store.feed_length(), len(await store.feed(0, 9))]
    assert shown == ([1, 1, 1] if statement == b"COMMIT" else [0, 0, 0])
    await store.add_gists(found(ONE))
    assert [entry.position for entry in await store.open_entries()] == [1]


@pytest_twisted.ensureDeferred
async def test_a_read_whose_connection_was_cut_is_asked_again_unseen(relay: Relay, far_instance: Instance) -> None:
    store = far_instance.store
    await store.add_gists(found(ONE))
    await store.feed_length()  # leaves an idle connection behind: what happens to those is not noticed
    relay.cut_at(b"SELECT gist FROM")
    assert list(await store.feed(0, 9)) == [ONE.id]
    assert relay.cuts == 1


@pytest.mark.parametrize("statement", [b"SELECT 1 / 0", b"INSERT INTO pipetest.roots SELECT * FROM pipetest.roots"])
@pytest_twisted.ensureDeferred
async def test_a_statement_that_fails_for_its_data_is_not_repeated_and_holds_up_no_other(
    postgres: PostgresWorld, statement: bytes
) -> None:
    store = postgres.instance().store
    with pytest.raises(Unstorable, match="PostgreSQL at 127"):
        await store.writer.submit(lambda connection: connection.execute(statement))
    assert (store.problem, store.writer.holds_lease) == (None, True)
    await store.add_gists(found(ONE))
    with pytest.raises(Unstorable):
        await store.known_gists(["a\0b"])
    assert store.problem is None


class Unreachable(Database):
    """A database that is never found."""

    tries = 0

    def connect(self, settings: str) -> Connected:
        Unreachable.tries += 1
        raise OperationalError("no route to host")


@pytest_twisted.ensureDeferred
async def test_a_query_that_queued_while_others_found_no_database_does_not_try_too(one_thread: RealThreads) -> None:
    """Each try may take seconds: behind a few hundred visitors a scan would wait for many minutes."""
    clock = Clock()
    time = Time(clock.seconds, clock.seconds)
    pool = ConnectionPool(Unreachable(Secret("postgresql://db")), one_thread, time, clock)
    asked = [Deferred.fromCoroutine(pool.ask(feed_length)) for _ in range(20)]
    answers = await DeferredList(asked, consumeErrors=True)
    assert not any(answered for answered, _ in answers)
    clock.advance(RETRY_S)
    with pytest.raises(Unavailable, match="no route"):
        await pool.ask(feed_length)
    assert Unreachable.tries == 2


@pytest_twisted.ensureDeferred
async def test_a_database_that_takes_reads_alone_is_read_on_and_unavailable_for_the_rest(
    database: Secret, one_thread: RealThreads
) -> None:
    """As services make it whose disk is nearly full."""

    def told(connection: Connected, statement: bytes) -> str:
        return str(connection.execute(statement).statusmessage)

    clock = Clock()
    pool = ConnectionPool(Database(database), one_thread, Time(clock.seconds, clock.seconds), clock)
    await pool.ask(told, b"SET default_transaction_read_only = on")
    with pytest.raises(Unavailable, match="read-only transaction"):
        await pool.ask(told, b"CREATE TABLE anything ()")
    assert await pool.ask(told, b"SELECT 1") == "SELECT 1"
    await pool.close()


async def stand_still(relay: Relay, store: PostgresStore, clock: Clock) -> list[object]:
    """The way to the server does, until whoever waits gives up; what became of a question, a renewal and a change."""
    from twisted.internet import reactor

    relay.hold()
    under_way = [store.feed_length(), store.writer.renew(), store.add_gists(found(ONE))]
    ends = DeferredList([Deferred.fromCoroutine(each) for each in under_way], consumeErrors=True)
    while relay.held < 2:  # the change waits behind the renewal
        await deferLater(reactor, 0.0)
    clock.advance(STUCK_S + 1.0)
    assert store.problem is not None
    clock.advance(ANSWER_S)
    return [type(end.value) if isinstance(end, Failure) else end for _, end in await ends]


@pytest_twisted.ensureDeferred
async def test_a_way_to_the_server_that_stands_still_is_given_up_and_taken_again_once_it_is_open(
    relay: Relay, database: Secret
) -> None:
    """As a proxy lets it, which ends no connection."""
    from twisted.internet import reactor
    from twisted.internet.threads import deferToThread

    world = PostgresWorld(Secret(relay.through(database.reveal())), reactor)  # type: ignore[arg-type]
    clock = Clock()
    store = (await deferToThread(world.instance, Time(clock.seconds, clock.seconds), clock)).store
    await gatherResults([Deferred.fromCoroutine(store.feed_length()) for _ in range(4)])  # leaves idle connections
    assert await stand_still(relay, store, clock) == [Unavailable, [], Unstored]
    assert not store.writer.holds_lease
    relay.go_on()
    clock.advance(RETRY_S)
    while not await store.writer.acquire():
        """The server takes a moment to end a session."""
    await store.add_gists(found(ONE))
    assert await store.feed_length() == 1
    assert store.problem is None
    await world.end()


@pytest_twisted.ensureDeferred
async def test_to_let_go_of_the_lease_takes_no_longer_than_any_answer_may(relay: Relay, database: Secret) -> None:
    """So it is when the work cannot begin, for the same reason: the next term begins once it is let go."""
    from twisted.internet import reactor
    from twisted.internet.threads import deferToThread

    world = PostgresWorld(Secret(relay.through(database.reveal())), reactor)  # type: ignore[arg-type]
    clock = Clock()
    store = (await deferToThread(world.instance, Time(clock.seconds, clock.seconds), clock)).store
    relay.hold()
    released = Deferred.fromCoroutine(store.writer.release())
    while not relay.held:
        await deferLater(reactor, 0.0)
    clock.advance(ANSWER_S)
    try:
        await released.addTimeout(2.0, reactor)
    finally:
        store.writer.abort()
        relay.go_on()
        await world.end()


# --- a server of its own ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [Server.stop, partial(Server.stop, mode="immediate"), Server.kill])
@pytest_twisted.ensureDeferred
async def test_a_server_that_restarts_is_found_again_with_all_that_was_acknowledged(
    end: Callable[[Server], None],
) -> None:
    from twisted.internet import reactor

    with server() as own:
        world = PostgresWorld(own.database(), reactor)  # type: ignore[arg-type]
        clock = Clock()
        store = world.instance(Time(clock.seconds, clock.seconds)).store
        await store.add_gists(found(ONE))
        end(own)
        with pytest.raises(Unavailable, match="PostgreSQL at 127"):
            await store.feed(0, 9)
        await store.writer.renew()
        assert (store.writer.holds_lease, await store.writer.acquire()) == (False, False)
        assert store.problem is not None
        own.start()
        clock.advance(RETRY_S)
        assert await store.writer.acquire()
        assert store.writer.problem is None
        assert [entry.gist for entry in await store.open_entries()] == [ONE]
        await world.end()


@pytest_twisted.ensureDeferred
async def test_a_standby_that_is_promoted_counts_as_restored_from_the_first_moment() -> None:
    """It may lack what was acknowledged last. Its control file names the old timeline until a checkpoint has ended."""
    from twisted.internet import reactor

    with server() as primary:
        url = primary.database()
        with server(standby_of=primary) as standby:
            world = PostgresWorld(url, reactor)  # type: ignore[arg-type]
            store = world.instance().store
            await store.add_gists(found(*(Gist(f"gist {number}", 1.0) for number in range(1000))))
            await store.mark_reconciled()
            await world.end()
            standby.caught_up(primary)
            standby.promote()
            world = PostgresWorld(standby.url(url.reveal().rpartition("/")[2]), reactor)  # type: ignore[arg-type]
            promoted = world.instance().store
            unreconciled, length = promoted.unreconciled, await promoted.feed_length()
            await world.end()
    assert (unreconciled, length) == (True, 1000)


@pytest_twisted.ensureDeferred
async def test_a_database_that_cannot_be_reached_is_refused_in_one_line(server_of_all: Server) -> None:
    from twisted.internet import reactor

    world = PostgresWorld(Secret("postgresql://me:unprintable@127.0.0.1:1/db"), reactor)  # type: ignore[arg-type]
    with pytest.raises(DatabaseRefused, match="refused") as refused:
        world.start()
    assert "\n" not in str(refused.value)
    assert "unprintable" not in str(refused.value)


@pytest_twisted.ensureDeferred
async def test_a_server_too_old_to_take_the_lease_from_a_frozen_instance_is_refused(
    postgres: PostgresWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "OLDEST", 99)  # there is no server before 14 at hand
    with pytest.raises(DatabaseRefused, match=r"127\.0\.0\.1/test[0-9]+: pipetest needs PostgreSQL 99 or later"):
        postgres.start()


@pytest_twisted.ensureDeferred
async def test_closing_does_not_wait_for_a_server_that_hangs(relay: Relay, far_instance: Instance) -> None:
    """A stop has ten seconds in all, in which the threads have to end as well."""
    store = far_instance.store
    await store.feed_length()
    relay.hold()
    writing, asking = Deferred.fromCoroutine(store.add_gists(found(ONE))), Deferred.fromCoroutine(store.feed_length())
    writing.addErrback(lambda failure: failure.trap(Unstored))
    asking.addErrback(lambda failure: failure.trap(Unavailable))
    await far_instance.close()
    await writing
    await asking
