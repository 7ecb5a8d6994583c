"""What every route has in common: methods, slashes, and the answer to whatever goes wrong."""

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, fail

from pipetest.domain.errors import Unavailable
from tests.support.web.client import Client
from tests.support.web.serving import Connect
from tests.support.web.store import BlockableStore

PATHS = ["/health", "/getAllScannedUsers", "/getCurrentlyScannedUsers", "/getGists"]


@pytest.mark.parametrize("path", PATHS)
@pytest_twisted.ensureDeferred
async def test_a_trailing_slash_makes_no_difference(client: Client, path: str) -> None:
    plain, slashed = await client.ask(f"GET {path} HTTP/1.1"), await client.ask(f"GET {path}/ HTTP/1.1")
    assert (plain.status, plain.body) == (slashed.status, slashed.body)


@pytest.mark.parametrize("path", PATHS)
@pytest_twisted.ensureDeferred
async def test_head_has_the_headers_of_get_and_moves_no_session_on(
    client: Client, store: BlockableStore, path: str
) -> None:
    head, get = await client.ask(f"HEAD {path} HTTP/1.1"), await client.ask(f"GET {path} HTTP/1.1")
    assert head.headers.keys() == get.headers.keys()
    assert int(head.headers["content-length"]) == len(get.body)
    assert len(store.advances) == (path == "/getGists")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
@pytest_twisted.ensureDeferred
async def test_another_method_is_refused_with_those_allowed(client: Client, method: str) -> None:
    refused = await client.ask(f"{method} /health HTTP/1.1")
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")
    assert refused.json()["status"] == 405


@pytest.mark.parametrize(
    "path", ["/x", "/Health", "/health//", "/health/x", "/getGists%00", "//x", "/..;/health", "/healthhttp://a"]
)
@pytest_twisted.ensureDeferred
async def test_an_unknown_path_is_answered_in_json(client: Client, path: str) -> None:
    unknown = await client.ask(f"GET {path} HTTP/1.1")
    assert (unknown.status, unknown.json()["title"]) == (404, "Not Found")


@pytest.mark.parametrize("origin", ["http://127.0.0.1", "HTTP://host:8080", "https://[::1]:8080", "http://a@b"])
@pytest_twisted.ensureDeferred
async def test_a_request_in_the_absolute_form_is_answered_like_any_other(client: Client, origin: str) -> None:
    for path in ("/health", "/getGists/?limit=1", "/x", ""):
        answers = [await client.ask(f"GET {target} HTTP/1.1") for target in (origin + path, path or "/")]
        assert answers[0].status == answers[1].status
        assert answers[0].body == answers[1].body
    assert (await client.ask(f"DELETE {origin}/health HTTP/1.1")).headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/%ff%fe", "/\xff", "/health/\xff", "/quarantine/%ff/retry", "/static/\xe4", "\xff"])
@pytest.mark.parametrize("down", [False, True], ids=["up", "down"])
@pytest_twisted.ensureDeferred
async def test_a_path_that_is_not_utf8_is_refused(client: Client, store: BlockableStore, path: str, down: bool) -> None:
    if down:
        store.disk.capacity = 0
        Deferred.fromCoroutine(store.put_value("anything", "at all")).addErrback(lambda _: None)
        assert (await client.ask("GET /health HTTP/1.1")).status == 503
    refused = await client.ask(f"GET {path} HTTP/1.1")
    assert (refused.status, refused.json()["title"]) == (400, "Bad Request")
    assert "%" not in path or refused.json()["detail"] == "the path is not UTF-8"


@pytest_twisted.ensureDeferred
async def test_a_failure_is_logged_and_answered_without_its_details(
    client: Client, store: BlockableStore, monkeypatch: pytest.MonkeyPatch, no_failure_is_logged_unseen: list[object]
) -> None:
    monkeypatch.setattr(store, "users", None)
    failed = await client.ask("GET /getAllScannedUsers HTTP/1.1")
    assert failed.status == 500
    assert failed.json() == {"status": 500, "title": "Internal Server Error", "detail": "this failed; the log says why"}
    assert len(no_failure_is_logged_unseen) == 1
    no_failure_is_logged_unseen.clear()


@pytest_twisted.ensureDeferred
async def test_a_database_that_cannot_be_asked_is_a_503_that_is_not_logged(
    client: Client, store: BlockableStore, monkeypatch: pytest.MonkeyPatch
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
