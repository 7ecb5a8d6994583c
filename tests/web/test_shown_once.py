"""A session moves on by what was sent to a visitor who is still there, and by nothing else.

All of this holds over plain TCP and over TLS. Small buffers do not hold one slice of the feed, so the end of an answer
stays with us while the visitor does not read.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from pipetest.web.connection import STALL_S
from pipetest.web.gists import SLICE
from pipetest.web.site import WebSite
from tests.support.results import result_of
from tests.support.web.client import Client
from tests.support.web.serving import Connect, serve, until
from tests.support.web.store import BlockableStore

# Twisted hands pyOpenSSL its certificates the old way.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")

SESSION = "0" * 32
ASK = f"GET /getGists HTTP/1.1\nCookie: pipetest_session={SESSION}"


def ids(number: int) -> list[str]:
    return [f"{position:032x}" for position in range(number)]


@pytest.fixture
def store() -> BlockableStore:
    """A feed of one gist and a whole slice, of which this session was shown the first gist."""
    store = BlockableStore()
    store.record("antomer", ids(SLICE + 1))
    result_of(store.advance_session(SESSION, 1, 0.0))
    return store


@pytest_twisted.async_yield_fixture(params=["tcp", "tls"])
async def connect(site: WebSite, request: pytest.FixtureRequest) -> AsyncIterator[Connect]:
    served = await serve(site, tls=request.param == "tls")
    yield served.connect
    await served.stop()


async def ask_without_reading(connect: Connect, store: BlockableStore) -> Client:
    """A visitor who does not read, so that the end of the answer stays with us."""
    visitor = await connect(small_buffers=True)
    await visitor.ask("GET /health HTTP/1.1")  # so that the TLS handshake is over
    visitor.stop_reading()
    visitor.send(ASK)
    other = await connect()
    await until(lambda: store.slices[1:] == [(1, SLICE + 1)])  # measured, then written
    for _ in range(20):
        await other.ask("GET /health HTTP/1.1")
    return visitor


@pytest_twisted.ensureDeferred
async def test_a_session_waits_for_the_last_byte_to_leave(connect: Connect, store: BlockableStore) -> None:
    visitor = await ask_without_reading(connect, store)
    assert store.position(SESSION) == 1
    visitor.read_on()
    assert (await visitor.answer()).json() == store.ids()[1:]
    await until(lambda: store.position(SESSION) == SLICE + 1)


@pytest_twisted.ensureDeferred
async def test_a_visitor_who_hangs_up_midway_is_shown_the_same_again(connect: Connect, store: BlockableStore) -> None:
    visitor = await ask_without_reading(connect, store)
    await visitor.hang_up()
    assert (await (await connect()).ask(ASK)).json() == store.ids()[1:]


@pytest_twisted.ensureDeferred
async def test_a_visitor_who_hangs_up_before_the_first_byte_is_shown_the_same_again(
    connect: Connect, store: BlockableStore
) -> None:
    blocked: Deferred[None] = Deferred()
    store.blocked = blocked
    visitor = await connect()
    visitor.send(ASK)
    await until(lambda: bool(store.slices))
    await visitor.hang_up()
    other = await connect()
    await other.ask("GET /health HTTP/1.1")
    store.blocked = None
    blocked.callback(None)
    assert store.position(SESSION) == 1
    assert (await other.ask(ASK)).json() == store.ids()[1:]


@pytest_twisted.ensureDeferred
async def test_a_visitor_who_stopped_reading_is_disconnected_in_the_end(
    connect: Connect, store: BlockableStore, clock: Clock
) -> None:
    visitor = await ask_without_reading(connect, store)
    clock.advance(STALL_S)
    visitor.read_on()
    await visitor.closed()
    assert store.position(SESSION) == 1


@pytest_twisted.ensureDeferred
async def test_two_requests_of_one_session_at_once_lose_nothing(connect: Connect, store: BlockableStore) -> None:
    slow = await ask_without_reading(connect, store)
    quick = await connect()
    assert (await quick.ask(ASK.replace("getGists", "getGists?limit=3"))).json() == store.ids()[1:4]
    await slow.hang_up()
    assert (await quick.ask(ASK)).json() == store.ids()[4:]


@pytest_twisted.ensureDeferred
async def test_a_slower_request_does_not_take_a_session_back(connect: Connect, store: BlockableStore) -> None:
    slow = await ask_without_reading(connect, store)
    quick = await connect()
    store.record("antomer", ["new"])
    assert (await quick.ask(ASK)).json() == store.ids()[1:]
    slow.read_on()
    assert (await slow.answer()).json() == store.ids()[1:-1]
    assert (await slow.ask(ASK)).json() == []


@pytest_twisted.ensureDeferred
async def test_pipelined_requests_are_answered_in_order_and_each_moves_the_session_on(
    connect: Connect, store: BlockableStore
) -> None:
    visitor = await connect(small_buffers=True)
    for path in ["health", "getGists?limit=2", "getGists?limit=1", "getGists", "health", "getGists"]:
        visitor.send(ASK.replace("getGists", path))
    shown = [(await visitor.answer()).json() for _ in range(6)]
    assert shown == [{"status": "UP"}, store.ids()[1:3], store.ids()[3:4], store.ids()[4:], {"status": "UP"}, []]


@pytest_twisted.ensureDeferred
async def test_what_a_visitor_does_not_read_is_not_read_from_the_store(connect: Connect, store: BlockableStore) -> None:
    store.record("antomer", ids(30 * SLICE))
    visitor = await connect(small_buffers=True)
    await visitor.ask("GET /health HTTP/1.1")  # so that the TLS handshake is over
    visitor.stop_reading()
    visitor.send(ASK)
    other = await connect()
    await until(lambda: len(store.slices) > 30)
    for _ in range(20):
        await other.ask("GET /health HTTP/1.1")
    assert len(store.slices) - 30 <= 2
    visitor.read_on()
    assert (await visitor.answer()).json() == store.ids()[1:]


@pytest_twisted.ensureDeferred
async def test_an_answer_that_cannot_be_finished_is_cut_off_and_does_not_count(
    connect: Connect, store: BlockableStore, no_failure_is_logged_unseen: list[object]
) -> None:
    store.record("antomer", ids(3 * SLICE))
    store.broken_slice = 5  # of the three that are measured and the three that are written
    visitor = await connect()
    visitor.send(ASK)
    await visitor.closed()
    assert store.position(SESSION) == 1
    assert len(no_failure_is_logged_unseen) == 1
    no_failure_is_logged_unseen.clear()


@pytest_twisted.ensureDeferred
async def test_a_client_that_hangs_up_cancels_nothing_that_others_wait_for(
    connect: Connect, store: BlockableStore
) -> None:
    store.blocked = Deferred()
    leaving, staying = await connect(), await connect()
    leaving.send(ASK)
    staying.send(ASK)
    await until(lambda: len(store.slices) == 2)
    await leaving.hang_up()
    await (await connect()).ask("GET /health HTTP/1.1")
    blocked, store.blocked = store.blocked, None
    assert not blocked.called  # as a cancelled one would be
    blocked.callback(None)
    assert (await staying.answer()).json() == store.ids()[1:]
