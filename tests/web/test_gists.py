"""What each path answers, over a real socket."""

import re
from urllib.parse import quote

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock

from pipetest.domain.errors import Unavailable
from pipetest.web import feed
from tests.support.web.client import Client
from tests.support.web.held import HeldStore
from tests.web.conftest import YEAR_S, Connect

PATHS = ["/health", "/getAllScannedUsers", "/getCurrentlyScannedUsers", "/getGists"]


@pytest_twisted.ensureDeferred
async def test_health_is_up_while_the_database_can_be_written(client: Client, store: HeldStore) -> None:
    up = await client.ask("GET /health HTTP/1.1")
    assert (up.status, up.json()) == (200, {"status": "UP"})
    store.simulated.capacity = 0
    kept = Deferred.fromCoroutine(store.put_value("anything", "at all"))
    down = await client.ask("GET /health HTTP/1.1")
    assert (down.status, down.json()) == (503, {"status": "DOWN", "reason": store.trouble})
    store.simulated.capacity = None
    store.retrying.advance(60.0)
    await kept
    assert (await client.ask("GET /health HTTP/1.1")).status == 200


@pytest_twisted.ensureDeferred
async def test_all_users_ever_scanned_are_named_as_configured(client: Client, store: HeldStore) -> None:
    store.scanned("octocat")
    assert (await client.ask("GET /getAllScannedUsers HTTP/1.1")).json() == ["antomer", "Torvalds", "octocat"]


@pytest_twisted.ensureDeferred
async def test_the_queried_users_are_named(client: Client) -> None:
    assert (await client.ask("GET /getCurrentlyScannedUsers HTTP/1.1")).json() == ["antomer", "Torvalds"]


@pytest_twisted.ensureDeferred
async def test_a_visitor_is_shown_the_feed_once_and_then_what_is_new(client: Client, store: HeldStore) -> None:
    first = await client.ask("GET /getGists HTTP/1.1")
    assert first.json() == ["a1", "b2", "c3"]
    again = f"GET /getGists HTTP/1.1\nCookie: {first.cookie}"
    assert (await client.ask(again)).json() == []
    store.scanned("antomer", ["d4"])
    assert (await client.ask(again)).json() == ["d4"]


@pytest_twisted.ensureDeferred
async def test_a_limited_visitor_is_moved_on_by_what_was_shown(client: Client) -> None:
    first = await client.ask("GET /getGists?limit=2 HTTP/1.1")
    assert first.json() == ["a1", "b2"]
    assert (await client.ask(f"GET /getGists?limit=1000000 HTTP/1.1\nCookie: {first.cookie}")).json() == ["c3"]


@pytest.mark.parametrize("query", ["0", "-1", "1000001", "10000000", "", "x", "1.0", "%31%00", "1&limit=2", "\u0661"])
@pytest_twisted.ensureDeferred
async def test_a_limit_that_is_no_number_from_one_to_a_million_is_refused(
    client: Client, store: HeldStore, query: str
) -> None:
    refused = await client.ask(f"GET /getGists?limit={quote(query, '&=%')} HTTP/1.1")
    assert (refused.status, refused.headers["content-type"]) == (400, "application/problem+json")
    assert store.shown == []


@pytest.mark.parametrize("path", PATHS)
@pytest_twisted.ensureDeferred
async def test_a_trailing_slash_makes_no_difference(client: Client, path: str) -> None:
    plain, slashed = await client.ask(f"GET {path} HTTP/1.1"), await client.ask(f"GET {path}/ HTTP/1.1")
    assert (plain.status, plain.body) == (slashed.status, slashed.body)


@pytest.mark.parametrize("path", PATHS)
@pytest_twisted.ensureDeferred
async def test_head_tells_what_get_would_and_moves_nothing(client: Client, store: HeldStore, path: str) -> None:
    head, get = await client.ask(f"HEAD {path} HTTP/1.1"), await client.ask(f"GET {path} HTTP/1.1")
    assert head.headers.keys() == get.headers.keys()
    assert int(head.headers["content-length"]) == len(get.body)
    assert len(store.shown) == (path == "/getGists")


@pytest_twisted.ensureDeferred
async def test_a_feed_of_many_slices_is_whole_and_in_order(client: Client, store: HeldStore) -> None:
    store.scanned("antomer", [f"{number:x}" for number in range(3 * feed.SLICE)])
    assert (await client.ask("GET /getGists HTTP/1.1")).json() == store.ids()
    assert all(stop - start <= feed.SLICE for start, stop in store.slices)


@pytest.mark.parametrize("cookie", ["x", "0" * 31, "0" * 32, "0" * 33, "Ä" * 32, '"' + "0" * 32 + '"'])
@pytest_twisted.ensureDeferred
async def test_a_cookie_that_names_no_session_begins_a_new_one(client: Client, cookie: str) -> None:
    shown = await client.ask(f"GET /getGists HTTP/1.1\nCookie: pipetest_session={cookie}")
    assert shown.json() == ["a1", "b2", "c3"]
    assert re.fullmatch("pipetest_session=[0-9a-f]{32}", shown.cookie)
    assert shown.cookie != f"pipetest_session={cookie}"


@pytest_twisted.ensureDeferred
async def test_a_cookie_that_was_not_shown_for_a_lifetime_begins_a_new_session(connect: Connect, clock: Clock) -> None:
    first = await (await connect()).ask("GET /getGists HTTP/1.1")
    clock.advance(YEAR_S + 1.0)
    again = await (await connect()).ask(f"GET /getGists HTTP/1.1\nCookie: {first.cookie}")
    assert again.json() == ["a1", "b2", "c3"]
    assert again.cookie != first.cookie


@pytest_twisted.ensureDeferred
async def test_each_visit_renews_the_cookie_for_a_sessions_whole_life(client: Client) -> None:
    first = await client.ask("GET /getGists HTTP/1.1")
    second = await client.ask(f"GET /getGists HTTP/1.1\nCookie: other=1; {first.cookie}")
    assert first.headers["set-cookie"] == second.headers["set-cookie"]
    attributes = {attribute.strip().lower() for attribute in second.headers["set-cookie"].split(";")[1:]}
    assert attributes == {"path=/", f"max-age={YEAR_S:.0f}", "httponly", "samesite=lax"}


@pytest_twisted.ensureDeferred
async def test_no_cache_may_keep_or_mix_up_what_a_session_was_shown(client: Client) -> None:
    shown = await client.ask("GET /getGists HTTP/1.1")
    assert (shown.headers["cache-control"], shown.headers["vary"]) == ("no-store", "Cookie")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
@pytest_twisted.ensureDeferred
async def test_another_method_is_refused_with_those_allowed(client: Client, method: str) -> None:
    refused = await client.ask(f"{method} /health HTTP/1.1")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")
    assert refused.json()["status"] == 405


@pytest.mark.parametrize("path", ["/x", "/Health", "/health//", "/health/x", "/getGists%00", "//x", "/..;/health"])
@pytest_twisted.ensureDeferred
async def test_an_unknown_path_is_told_in_json(client: Client, path: str) -> None:
    unknown = await client.ask(f"GET {path} HTTP/1.1")
    assert (unknown.status, unknown.json()["title"]) == (404, "Not Found")


@pytest_twisted.ensureDeferred
async def test_a_path_that_is_no_text_is_refused(client: Client) -> None:
    refused = await client.ask("GET /%ff%fe HTTP/1.1")
    assert (refused.status, refused.json()["detail"]) == (400, "the path is not UTF-8")


@pytest_twisted.ensureDeferred
async def test_a_failure_is_logged_and_told_without_its_details(
    client: Client, store: HeldStore, monkeypatch: pytest.MonkeyPatch, no_failure_is_logged_unseen: list[object]
) -> None:
    monkeypatch.setattr(store, "users", None)
    failed = await client.ask("GET /getAllScannedUsers HTTP/1.1")
    assert failed.status == 500
    assert failed.json() == {"status": 500, "title": "Internal Server Error", "detail": "this failed; the log says why"}
    assert len(no_failure_is_logged_unseen) == 1
    no_failure_is_logged_unseen.clear()


@pytest_twisted.ensureDeferred
async def test_a_database_that_cannot_be_asked_is_told_without_a_word_in_the_log(
    client: Client, store: HeldStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "users", lambda: fail(Unavailable("PostgreSQL at 10.0.0.7: refused")))
    later = await client.ask("GET /getAllScannedUsers HTTP/1.1")
    assert (later.status, later.headers["retry-after"]) == (503, "1")
    assert later.json()["detail"] == "the database cannot be asked just now"


@pytest_twisted.ensureDeferred
async def test_every_answer_carries_the_security_headers_and_no_version(connect: Connect) -> None:
    for request in [
        "GET /health HTTP/1.1",
        "GET /x HTTP/1.1",
        "POST /health HTTP/1.1",
        "nonsense",
        "GET /%ff HTTP/1.1",
    ]:
        answer = await (await connect()).ask(request)
        assert answer.headers["server"] == "pipetest"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
