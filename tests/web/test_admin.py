"""Who may use the admin routes, and what they do."""

import pytest
import pytest_twisted
from twisted.internet.task import Clock

from pipetest.domain.model import Secret
from tests.support.web.client import Client
from tests.support.web.sample import TROUBLED
from tests.support.web.serving import TOKEN, serve, site_of
from tests.support.web.store import BlockableStore
from tests.support.web.stub_daemon import StubDaemon

GIST = TROUBLED.quarantine[0].id
PATHS = ["/scan", "/pause", "/resume", f"/quarantine/{GIST}/retry"]
ADMIN = f"Authorization: Bearer {TOKEN}"


@pytest_twisted.ensureDeferred
async def test_a_scan_is_asked_for(client: Client, stub_daemon: StubDaemon) -> None:
    asked = await client.ask(f"POST /scan HTTP/1.1\n{ADMIN}")
    assert (asked.status, asked.json(), stub_daemon.calls) == (202, {"scan": "asked"}, [("scan", None)])


@pytest.mark.parametrize(("path", "paused"), [("/pause", True), ("/resume", False)])
@pytest_twisted.ensureDeferred
async def test_creation_is_paused_and_resumed(client: Client, stub_daemon: StubDaemon, path: str, paused: bool) -> None:
    changed = await client.ask(f"POST {path} HTTP/1.1\n{ADMIN}")
    assert (changed.status, changed.json(), stub_daemon.calls) == (200, {"paused": paused}, [("pause", paused)])


@pytest_twisted.ensureDeferred
async def test_a_quarantined_gist_is_tried_again(client: Client, stub_daemon: StubDaemon) -> None:
    stub_daemon.status = TROUBLED
    retried = await client.ask(f"POST /quarantine/{GIST}/retry HTTP/1.1\n{ADMIN}")
    assert (retried.status, retried.json(), stub_daemon.calls) == (202, {"gist": GIST}, [("retry", GIST)])


@pytest_twisted.ensureDeferred
async def test_a_gist_that_is_not_in_quarantine_cannot_be_tried_again(client: Client) -> None:
    unknown = await client.ask(f"POST /quarantine/{GIST}/retry HTTP/1.1\n{ADMIN}")
    assert (unknown.status, unknown.json()["detail"]) == (404, "no gist of this id is in quarantine")


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
    assert (refused.status, refused.headers["allow"], stub_daemon.calls) == (405, "POST", [])


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
            assert (answer.status == 404) == (token is None)
    described = (await client.ask("GET /openapi.json HTTP/1.1")).json()["paths"]
    assert ("/scan" in described) == (token is not None)
    shown = (await client.ask("GET / HTTP/1.1")).body
    assert (b'id="controls"' in shown) == (token is not None)
    await served.stop()
