"""The promise of the feed: a session moves on by what has left for a visitor who is still there, and by nothing else.

Each holds over plain TCP and over TLS. "Tight" connections have buffers too small for one slice of the feed, so that a
visitor who does not read leaves the end of the answer with us.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from pipetest.web.connection import STALL_S
from pipetest.web.feed import SLICE
from pipetest.web.site import WebSite
from tests.support.results import result_of
from tests.support.web.client import Client
from tests.support.web.held import HeldStore
from tests.web.conftest import Connect, serve, until

# Twisted hands pyOpenSSL its certificates the old way.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")

SESSION = "0" * 32
ASK = f"GET /getGists HTTP/1.1\nCookie: pipetest_session={SESSION}"


def ids(number: int) -> list[str]:
    return [f"{position:032x}" for position in range(number)]


@pytest.fixture
def store() -> HeldStore:
    """A feed of one whole slice, of which this session was shown the first."""
    store = HeldStore()
    store.scanned("antomer", ids(SLICE + 1))
    result_of(store.advance_session(SESSION, 1, 0.0))
    return store


@pytest_twisted.async_yield_fixture(params=["tcp", "tls"])
async def connect(site: WebSite, request: pytest.FixtureRequest) -> AsyncIterator[Connect]:
    served = await serve(site, tls=request.param == "tls")
    yield served.connect
    await served.stop()


async def asked_and_left_unread(connect: Connect, store: HeldStore) -> Client:
    """A visitor whose answer is on its way, and stands still short of its end."""
    visitor = await connect(tight=True)
    await visitor.ask("GET /health HTTP/1.1")  # so that the TLS handshake is over
    visitor.stop_reading()
    visitor.say(ASK)
    other = await connect()
    await until(lambda: store.slices[1:] == [(1, SLICE + 1)])  # measured, then written
    for _ in range(20):
        await other.ask("GET /health HTTP/1.1")
    return visitor


@pytest_twisted.ensureDeferred
async def test_a_session_waits_for_the_last_byte_to_leave(connect: Connect, store: HeldStore) -> None:
    visitor = await asked_and_left_unread(connect, store)
    assert store.position(SESSION) == 1
    visitor.read_on()
    assert (await visitor.answer()).json() == store.ids()[1:]
    await until(lambda: store.position(SESSION) == SLICE + 1)


@pytest_twisted.ensureDeferred
async def test_a_visitor_who_hangs_up_midway_is_shown_the_same_again(connect: Connect, store: HeldStore) -> None:
    visitor = await asked_and_left_unread(connect, store)
    await visitor.hang_up()
    assert (await (await connect()).ask(ASK)).json() == store.ids()[1:]


@pytest_twisted.ensureDeferred
async def test_a_visitor_who_hangs_up_before_the_first_byte_is_shown_the_same_again(
    connect: Connect, store: HeldStore
) -> None:
    gate: Deferred[None] = Deferred()
    store.gate = gate
    visitor = await connect()
    visitor.say(ASK)
    await until(lambda: bool(store.slices))
    await visitor.hang_up()
    other = await connect()
    await other.ask("GET /health HTTP/1.1")
    store.gate = None
    gate.callback(None)
    assert store.position(SESSION) == 1
    assert (await other.ask(ASK)).json() == store.ids()[1:]


@pytest_twisted.ensureDeferred
async def test_a_visitor_who_stopped_reading_is_hung_up_on_in_the_end(
    connect: Connect, store: HeldStore, clock: Clock
) -> None:
    visitor = await asked_and_left_unread(connect, store)
    clock.advance(STALL_S)
    visitor.read_on()
    await visitor.gone()
    assert store.position(SESSION) == 1


@pytest_twisted.ensureDeferred
async def test_two_requests_of_one_session_at_once_lose_nothing(connect: Connect, store: HeldStore) -> None:
    slow = await asked_and_left_unread(connect, store)
    quick = await connect()
    assert (await quick.ask(ASK.replace("getGists", "getGists?limit=3"))).json() == store.ids()[1:4]
    await slow.hang_up()
    assert (await quick.ask(ASK)).json() == store.ids()[4:]


@pytest_twisted.ensureDeferred
async def test_a_slower_request_does_not_take_a_session_back(connect: Connect, store: HeldStore) -> None:
    slow = await asked_and_left_unread(connect, store)
    quick = await connect()
    store.scanned("antomer", ["new"])
    assert (await quick.ask(ASK)).json() == store.ids()[1:]
    slow.read_on()
    assert (await slow.answer()).json() == store.ids()[1:-1]
    assert (await slow.ask(ASK)).json() == []


@pytest_twisted.ensureDeferred
async def test_pipelined_requests_are_answered_in_order_and_move_the_session_each(
    connect: Connect, store: HeldStore
) -> None:
    visitor = await connect(tight=True)
    for path in ["health", "getGists?limit=2", "getGists?limit=1", "getGists", "health", "getGists"]:
        visitor.say(ASK.replace("getGists", path))
    shown = [(await visitor.answer()).json() for _ in range(6)]
    assert shown == [{"status": "UP"}, store.ids()[1:3], store.ids()[3:4], store.ids()[4:], {"status": "UP"}, []]


@pytest_twisted.ensureDeferred
async def test_what_a_visitor_does_not_read_is_not_read_from_the_store(connect: Connect, store: HeldStore) -> None:
    store.scanned("antomer", ids(30 * SLICE))
    visitor = await connect(tight=True)
    await visitor.ask("GET /health HTTP/1.1")  # so that the TLS handshake is over
    visitor.stop_reading()
    visitor.say(ASK)
    other = await connect()
    await until(lambda: len(store.slices) > 30)
    for _ in range(20):
        await other.ask("GET /health HTTP/1.1")
    assert len(store.slices) - 30 <= 2
    visitor.read_on()
    assert (await visitor.answer()).json() == store.ids()[1:]


@pytest_twisted.ensureDeferred
async def test_an_answer_that_cannot_be_finished_is_cut_and_does_not_count(
    connect: Connect, store: HeldStore, no_failure_is_logged_unseen: list[object]
) -> None:
    store.scanned("antomer", ids(3 * SLICE))
    store.broken_slice = 5  # of the three that are measured and the three that are written
    visitor = await connect()
    visitor.say(ASK)
    await visitor.gone()
    assert store.position(SESSION) == 1
    assert len(no_failure_is_logged_unseen) == 1
    no_failure_is_logged_unseen.clear()


@pytest_twisted.ensureDeferred
async def test_a_client_that_hangs_up_takes_nothing_from_others_who_wait_for_the_same(
    connect: Connect, store: HeldStore
) -> None:
    store.gate = Deferred()
    leaving, staying = await connect(), await connect()
    leaving.say(ASK)
    staying.say(ASK)
    await until(lambda: len(store.slices) == 2)
    await leaving.hang_up()
    await (await connect()).ask("GET /health HTTP/1.1")
    gate, store.gate = store.gate, None
    assert not gate.called  # as a cancelled one would be
    gate.callback(None)
    assert (await staying.answer()).json() == store.ids()[1:]


@pytest_twisted.ensureDeferred
async def test_over_tls_the_cookie_is_for_tls_only(connect: Connect, request: pytest.FixtureRequest) -> None:
    shown = await (await connect()).ask(ASK)
    tls = "tls" in request.node.name.partition("[")[2]
    assert ("Secure" in shown.headers["set-cookie"].split("; ")) == tls
