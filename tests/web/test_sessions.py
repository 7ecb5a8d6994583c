"""How a session is named, how long it lives, and that its cookie stays on TLS."""

import re

import pytest
import pytest_twisted
from twisted.internet.defer import fail
from twisted.internet.task import Clock

from pipetest.domain.interfaces import Time
from pipetest.web.sessions import EXPIRE_EVERY_S, SessionExpiry
from pipetest.web.site import WebSite
from tests.support.results import result_of
from tests.support.web.client import Client
from tests.support.web.serving import YEAR_S, Connect, serve, site_of
from tests.support.web.store import BlockableStore
from tests.support.web.stub_daemon import StubDaemon


@pytest.mark.parametrize("cookie", ["x", "0" * 31, "0" * 32, "0" * 33, "Ä" * 32, '"' + "0" * 32 + '"'])
@pytest_twisted.ensureDeferred
async def test_a_cookie_that_names_no_session_begins_a_new_one(client: Client, cookie: str) -> None:
    shown = await client.ask(f"GET /getGists HTTP/1.1\nCookie: pipetest_session={cookie}")
    assert shown.json() == ["a1", "b2", "c3"]
    assert re.fullmatch("pipetest_session_[0-9a-f]{8}=[0-9a-f]{32}", shown.cookie)
    assert not shown.cookie.endswith(f"={cookie}")


@pytest_twisted.ensureDeferred
async def test_a_session_of_version_1_0_0_goes_on_under_the_new_name(client: Client, store: BlockableStore) -> None:
    await store.advance_session("0" * 32, 2, 0.0)
    shown = await client.ask(f"GET /getGists HTTP/1.1\nCookie: pipetest_session={'0' * 32}")
    assert shown.json() == ["c3"]
    assert re.fullmatch(f"pipetest_session_[0-9a-f]{{8}}={'0' * 32}", shown.cookie)


@pytest_twisted.ensureDeferred
async def test_two_instances_on_one_host_leave_each_others_sessions_alone(
    client: Client, clock: Clock, stub_daemon: StubDaemon
) -> None:
    other = BlockableStore()
    other.record("octocat", ["x9"])
    served = await serve(site_of(other, clock, stub_daemon))
    jar: dict[str, str] = {}
    for number in range(3):
        for asked in (client, await served.connect()):
            cookies = "; ".join(f"{name}={value}" for name, value in jar.items())
            shown = await asked.ask(f"GET /getGists HTTP/1.1\nCookie: {cookies}")
            assert (shown.json() == []) == (number > 0)
            name, _, value = shown.cookie.partition("=")
            jar[name] = value
    assert len(jar) == 2
    await served.stop()


@pytest_twisted.ensureDeferred
async def test_a_cookie_that_was_not_used_for_a_lifetime_begins_a_new_session(connect: Connect, clock: Clock) -> None:
    first = await (await connect()).ask("GET /getGists HTTP/1.1")
    clock.advance(YEAR_S + 1.0)
    again = await (await connect()).ask(f"GET /getGists HTTP/1.1\nCookie: {first.cookie}")
    assert again.json() == ["a1", "b2", "c3"]
    assert again.cookie != first.cookie


@pytest_twisted.ensureDeferred
async def test_each_answer_renews_the_cookie_for_a_sessions_whole_lifetime(client: Client) -> None:
    first = await client.ask("GET /getGists HTTP/1.1")
    second = await client.ask(f"GET /getGists HTTP/1.1\nCookie: other=1; {first.cookie}")
    assert first.headers["set-cookie"] == second.headers["set-cookie"]
    attributes = {attribute.strip().lower() for attribute in second.headers["set-cookie"].split(";")[1:]}
    assert attributes == {"path=/", f"max-age={YEAR_S:.0f}", "httponly", "samesite=lax"}


@pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")  # Twisted's way
@pytest.mark.parametrize("tls", [False, True])
@pytest_twisted.ensureDeferred
async def test_over_tls_the_cookie_is_for_tls_only(site: WebSite, tls: bool) -> None:
    served = await serve(site, tls=tls)
    shown = await (await served.connect()).ask("GET /getGists HTTP/1.1")
    assert ("Secure" in shown.headers["set-cookie"].split("; ")) == tls
    await served.stop()


def test_a_defect_while_sessions_are_removed_does_not_end_the_loop(
    store: BlockableStore,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    no_failure_is_logged_unseen: list[object],
) -> None:
    clock.advance(YEAR_S)
    expiry = SessionExpiry(store, Time(clock.seconds, clock.seconds), clock, YEAR_S)
    with monkeypatch.context() as broken:
        broken.setattr(store, "expire_sessions", lambda unvisited_since: fail(RuntimeError("a defect")))
        expiry.start()
    assert len(no_failure_is_logged_unseen) == 1
    no_failure_is_logged_unseen.clear()
    result_of(store.advance_session("visitor", 0, 0.0))
    clock.advance(EXPIRE_EVERY_S)
    assert result_of(store.resume_session("visitor", clock.seconds())).shown is None
    result_of(expiry.stop())
