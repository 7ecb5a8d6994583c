"""Who may use the admin routes, and what they do."""

import pytest
import pytest_twisted
from twisted.internet.task import Clock

from pipetest.domain.model import Secret
from pipetest.domain.status import QueriedUser
from tests.support.web.client import Client
from tests.support.web.sample import WITH_PROBLEMS
from tests.support.web.serving import TOKEN, serve, site_of
from tests.support.web.store import BlockableStore
from tests.support.web.stub_daemon import StubDaemon

GIST = WITH_PROBLEMS.quarantine[0].id
PATHS = [
    "/scan", "/pause", "/resume", "/audit",
    "/quarantine/retry", f"/quarantine/{GIST}/retry", "/users/torvalds/backfill",
]  # fmt: skip
ADMIN = f"Authorization: Bearer {TOKEN}"


@pytest_twisted.ensureDeferred
async def test_a_token_is_told_right_or_wrong_without_anything_being_done(
    client: Client, stub_daemon: StubDaemon
) -> None:
    right = await client.ask(f"GET /admin HTTP/1.1\n{ADMIN}")
    wrong = await client.ask("GET /admin HTTP/1.1\nAuthorization: Bearer wrong")
    assert (right.status, right.json(), wrong.status) == (200, {"admitted": True}, 401)
    assert stub_daemon.calls == []


@pytest_twisted.ensureDeferred
async def test_a_scan_is_asked_for(client: Client, stub_daemon: StubDaemon) -> None:
    asked = await client.ask(f"POST /scan HTTP/1.1\n{ADMIN}")
    assert (asked.status, asked.json(), stub_daemon.calls) == (202, {"scan": "asked"}, [("scan", None)])


@pytest_twisted.ensureDeferred
async def test_an_audit_is_asked_for(client: Client, stub_daemon: StubDaemon) -> None:
    asked = await client.ask(f"POST /audit HTTP/1.1\n{ADMIN}")
    assert (asked.status, asked.json(), stub_daemon.calls) == (202, {"audit": "asked"}, [("audit", None)])


@pytest.mark.parametrize(("path", "paused"), [("/pause", True), ("/resume", False)])
@pytest_twisted.ensureDeferred
async def test_creation_is_paused_and_resumed(client: Client, stub_daemon: StubDaemon, path: str, paused: bool) -> None:
    changed = await client.ask(f"POST {path} HTTP/1.1\n{ADMIN}")
    assert (changed.status, changed.json(), stub_daemon.calls) == (200, {"paused": paused}, [("pause", paused)])


@pytest_twisted.ensureDeferred
async def test_a_quarantined_gist_is_tried_again(client: Client, stub_daemon: StubDaemon) -> None:
    stub_daemon.status = WITH_PROBLEMS
    retried = await client.ask(f"POST /quarantine/{GIST}/retry HTTP/1.1\n{ADMIN}")
    assert (retried.status, retried.json(), stub_daemon.calls) == (202, {"gist": GIST}, [("retry", GIST)])


@pytest_twisted.ensureDeferred
async def test_everything_in_quarantine_is_tried_again(client: Client, stub_daemon: StubDaemon) -> None:
    retried = await client.ask(f"POST /quarantine/retry HTTP/1.1\n{ADMIN}")
    assert (retried.status, retried.json(), stub_daemon.calls) == (202, {"retry": "asked"}, [("retry_all", None)])


@pytest_twisted.ensureDeferred
async def test_a_users_skipped_gists_become_deals(client: Client, stub_daemon: StubDaemon) -> None:
    asked = await client.ask(f"POST /users/torvalds/backfill HTTP/1.1\n{ADMIN}")
    assert (asked.status, asked.json(), stub_daemon.calls) == (202, {"user": "torvalds"}, [("backfill", "torvalds")])
    unknown = await client.ask(f"POST /users/nobody/backfill HTTP/1.1\n{ADMIN}")
    assert (unknown.status, unknown.json()["detail"]) == (404, "no user of this name was ever scanned")


@pytest_twisted.ensureDeferred
async def test_an_account_that_was_renamed_is_asked_for_by_the_name_that_the_page_shows(
    client: Client, stub_daemon: StubDaemon
) -> None:
    swapped = [QueriedUser(name="Ada", recorded_as="bob"), QueriedUser(name="bob", recorded_as="ada")]
    stub_daemon.all_users = [QueriedUser(name="cyd2", recorded_as="cyd"), *swapped]
    for asked in ("CYD2", "cyd", "ada", "bob"):
        await client.ask(f"POST /users/{asked}/backfill HTTP/1.1\n{ADMIN}")
    assert [user for _, user in stub_daemon.calls] == ["cyd", "cyd", "bob", "ada"]


@pytest_twisted.ensureDeferred
async def test_a_gist_that_is_not_in_quarantine_cannot_be_tried_again(client: Client) -> None:
    unknown = await client.ask(f"POST /quarantine/{GIST}/retry HTTP/1.1\n{ADMIN}")
    assert (unknown.status, unknown.json()["detail"]) == (
        404,
        "no gist of this id, and no organization of such a user, is in quarantine",
    )


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "header",
    [
        "X: y",
        "Authorization:",
        "Authorization: Bearer",
        f"Authorization: Bearer {TOKEN[:-1]}",
        f"Authorization: Bearer {TOKEN}x",
        f"Authorization: Basic {TOKEN}",
        f"Authorization: {TOKEN}",
        "Authorization: Bearer \u00e4",
        f"Cookie: token={TOKEN}",
    ],
)
@pytest_twisted.ensureDeferred
async def test_without_the_token_nothing_is_done(
    client: Client, stub_daemon: StubDaemon, path: str, header: str
) -> None:
    refused = await client.ask(f"POST {path} HTTP/1.1\n{header}")
    assert (refused.status, refused.headers["www-authenticate"]) == (401, 'Bearer realm="pipetest"')
    assert stub_daemon.calls == []


@pytest.mark.parametrize("path", PATHS)
@pytest_twisted.ensureDeferred
async def test_a_page_of_another_site_is_not_allowed_to_send_the_token(client: Client, path: str) -> None:
    preflight = await client.ask(
        f"OPTIONS {path} HTTP/1.1\nOrigin: https://evil.example\nAccess-Control-Request-Method: POST\n"
        "Access-Control-Request-Headers: authorization"
    )
    assert preflight.status == 405
    assert not [name for name in preflight.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", PATHS)
@pytest_twisted.ensureDeferred
async def test_an_admin_route_cannot_be_a_link(client: Client, stub_daemon: StubDaemon, path: str) -> None:
    refused = await client.ask(f"GET {path} HTTP/1.1\n{ADMIN}")
    assert stub_daemon.calls == []
    assert path == "/audit" or (refused.status, refused.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("token", [None, Secret(TOKEN)], ids=["without", "with"])
@pytest_twisted.ensureDeferred
async def test_while_no_token_is_set_there_are_no_admin_routes(
    store: BlockableStore, clock: Clock, stub_daemon: StubDaemon, token: Secret | None
) -> None:
    served = await serve(site_of(store, clock, stub_daemon, admin_token=token))
    client = await served.connect()
    for path in PATHS:
        for method in ("GET", "POST"):
            answer = await client.ask(f"{method} {path} HTTP/1.1\nAuthorization: Bearer ")
            is_shown = (method, path) == ("GET", "/audit")
            assert (answer.status == 404) == (token is None and not is_shown)
    described = (await client.ask("GET /openapi.json HTTP/1.1")).json()["paths"]
    assert ("/scan" in described) == ("post" in described["/audit"]) == (token is not None)
    shown = (await client.ask("GET / HTTP/1.1")).body
    assert (b'id="admin"' in shown) == (token is not None)
    await served.stop()


@pytest.mark.parametrize("gist", ["%00", "a%00b", "%0a", "%1b[2J", "%e2%80%ae", "x%c3%a4"])
@pytest_twisted.ensureDeferred
async def test_what_no_gist_or_user_can_be_called_is_asked_of_no_database(
    client: Client, stub_daemon: StubDaemon, gist: str
) -> None:
    for path in (f"/quarantine/{gist}/retry", f"/users/{gist}/backfill"):
        unknown = await client.ask(f"POST {path} HTTP/1.1\n{ADMIN}")
        assert (unknown.status, stub_daemon.calls) == (404, [])
