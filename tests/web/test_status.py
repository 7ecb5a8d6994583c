"""Whether the daemon is up, whether it is ready, and its status for programs, asked for over a real socket."""

import msgspec
import pytest_twisted
from twisted.internet.defer import Deferred

from pipetest.domain.status import AuditState, Status
from tests.support.web.client import Client
from tests.support.web.sample import WITH_PROBLEMS
from tests.support.web.store import BlockableStore
from tests.support.web.stub_daemon import StubDaemon


@pytest_twisted.ensureDeferred
async def test_health_is_up_while_the_database_can_be_written(client: Client, store: BlockableStore) -> None:
    up = await client.ask("GET /health HTTP/1.1")
    assert (up.status, up.json()) == (200, {"status": "UP"})
    store.disk.capacity = 0
    kept = Deferred.fromCoroutine(store.put_value("anything", "at all"))
    down = await client.ask("GET /health HTTP/1.1")
    assert (down.status, down.json()) == (503, {"status": "DOWN", "reason": store.problem})
    store.disk.capacity = None
    store.retry_clock.advance(60.0)
    await kept
    assert (await client.ask("GET /health HTTP/1.1")).status == 200


@pytest_twisted.ensureDeferred
async def test_it_is_ready_until_there_is_a_reason_not_to_be(client: Client, stub_daemon: StubDaemon) -> None:
    ready = await client.ask("GET /ready HTTP/1.1")
    assert (ready.status, ready.json()) == (200, {"status": "READY"})
    stub_daemon.status = WITH_PROBLEMS
    unready = await client.ask("GET /ready HTTP/1.1")
    assert (unready.status, unready.json()) == (503, {"status": "UNREADY", "reason": WITH_PROBLEMS.unready})


@pytest_twisted.ensureDeferred
async def test_the_status_is_answered_whole(client: Client, stub_daemon: StubDaemon) -> None:
    stub_daemon.status = WITH_PROBLEMS
    answered = msgspec.json.decode((await client.ask("GET /status HTTP/1.1")).body, type=Status)
    assert answered == msgspec.convert(msgspec.to_builtins(WITH_PROBLEMS), Status)


@pytest_twisted.ensureDeferred
async def test_the_last_audit_is_answered_by_itself_and_none_before_the_first(
    client: Client, stub_daemon: StubDaemon
) -> None:
    first = (await client.ask("GET /audit HTTP/1.1")).json()
    assert (first["running"], first["last"]) == (False, None)
    stub_daemon.status = WITH_PROBLEMS
    audit = msgspec.json.decode((await client.ask("GET /audit HTTP/1.1")).body, type=AuditState)
    assert audit == msgspec.convert(msgspec.to_builtins(WITH_PROBLEMS.audit), AuditState)
    assert audit.last is not None
    assert audit.last.missing
