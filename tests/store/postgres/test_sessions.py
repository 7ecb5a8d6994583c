"""Visitors cannot fill the database on a PostgreSQL server either."""

import pytest
import pytest_twisted

from pipetest.store.postgres import sessions
from tests.support.postgres.world import PostgresWorld


@pytest_twisted.ensureDeferred
async def test_those_seen_only_once_go_first_then_the_longest_unvisited(
    postgres: PostgresWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 2)
    store = postgres.start()
    for at, session_id in enumerate(("returned", "once", "new", "newer")):
        await store.advance_session(session_id, 1, float(at))
    assert await store.resume_session("returned", now=9.0) == 1
    assert await store.expire_sessions(unvisited_since=0.0) == 2
    assert [await store.resume_session(name, now=10.0) for name in ("returned", "once", "new", "newer")] == [
        1,
        None,
        None,
        1,
    ]
