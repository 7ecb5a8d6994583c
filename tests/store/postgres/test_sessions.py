"""Visitors cannot fill the database on a PostgreSQL server either."""

from typing import cast

import pytest
import pytest_twisted
from twisted.internet.interfaces import IReactorTime

from pipetest.domain.interfaces import Store
from pipetest.domain.model import Gist, PassResult
from pipetest.store.postgres import sessions
from tests.support.postgres.server import Server
from tests.support.postgres.world import PostgresWorld
from tests.support.web.serving import serve, site_of
from tests.support.web.stub_daemon import StubDaemon


def bound(monkeypatch: pytest.MonkeyPatch, most: int, returned: int | None = None) -> None:
    monkeypatch.setattr(sessions, "MAX_SESSIONS", most)
    monkeypatch.setattr(sessions, "MOST_RETURNED", most if returned is None else returned)


@pytest_twisted.ensureDeferred
async def test_those_seen_only_once_go_first_then_the_longest_unvisited(
    postgres: PostgresWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound(monkeypatch, 2)
    store = postgres.start()
    for at, session_id in enumerate(("returned", "once", "new", "newer")):
        await store.advance_session(session_id, 1, float(at))
    assert (await store.resume_session("returned", now=9.0)).shown == 1
    assert await store.expire_sessions(unvisited_since=0.0) == 2
    assert [(await store.resume_session(name, now=10.0)).shown for name in ("returned", "once", "new", "newer")] == [
        1,
        None,
        None,
        1,
    ]


@pytest_twisted.ensureDeferred
async def test_a_visit_to_which_nothing_is_new_costs_one_statement(
    postgres: PostgresWorld, server_of_all: Server
) -> None:
    from twisted.internet import reactor

    with server_of_all.connect(postgres.url) as administrator:
        database = administrator.info.dbname
        administrator.execute(f"ALTER DATABASE {database} SET log_statement = 'all'".encode())
    store = postgres.start()
    await store.add_gists(PassResult("ada", 7, None, [Gist("one", 1.0)]))
    served = await serve(site_of(store, cast(IReactorTime, reactor), StubDaemon()))
    client = await served.connect()
    first = await client.ask("GET /getGists HTTP/1.1")
    again = f"GET /getGists HTTP/1.1\nCookie: {first.cookie}"
    assert (first.json(), (await client.ask(again)).json()) == (["one"], [])
    statements = server_of_all.statements()
    assert (await client.ask(again)).json() == []
    assert server_of_all.statements() == statements + 1
    await served.stop()


async def visits(store: Store, session_id: str, *times: float) -> None:
    await store.advance_session(session_id, 1, times[0])
    for now in times[1:]:
        await store.resume_session(session_id, now)
        await store.expire_sessions(unvisited_since=0.0)  # which first stores who has returned


async def known(store: Store, *session_ids: str) -> list[str]:
    return [name for name in session_ids if (await store.resume_session(name, now=1e6)).shown is not None]


@pytest_twisted.ensureDeferred
async def test_strangers_who_come_twice_leave_those_alone_who_have_long_been_coming(
    postgres: PostgresWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound(monkeypatch, 3)
    store = postgres.start()
    await visits(store, "regular", 0.0, 7 * 86_400.0)
    strangers = [f"stranger {number}" for number in range(4)]
    for number, name in enumerate(strangers):
        await visits(store, name, 7.5 * 86_400 + number, 7.5 * 86_400 + number + 0.5)
    assert await known(store, "regular", *strangers) == ["regular", *strangers[2:]]


@pytest_twisted.ensureDeferred
async def test_however_many_return_there_is_room_for_newcomers(
    postgres: PostgresWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound(monkeypatch, 3, returned=2)
    store = postgres.start()
    for number in range(3):
        await visits(store, f"regular {number}", 0.0, 86_400.0 * 2**number)
    await visits(store, "newcomer", 5e5)
    await store.expire_sessions(unvisited_since=0.0)
    assert await known(store, "regular 0", "regular 1", "regular 2", "newcomer") == [
        "regular 1",
        "regular 2",
        "newcomer",
    ]
