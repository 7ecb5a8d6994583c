"""Who may tell the daemon what to do, and what is done then."""

import pytest
import pytest_twisted
from twisted.internet.task import Clock

from pipetest.domain.interfaces import Time
from pipetest.domain.model import Secret
from pipetest.web.site import make_site
from tests.support.web.client import Client
from tests.support.web.held import HeldStore
from tests.support.web.sample import TROUBLED
from tests.web.conftest import TOKEN, YEAR_S, Backstage, serve

GIST = TROUBLED.quarantine[0].id
CONTROLS = ["/scan", "/pause", "/resume", f"/quarantine/{GIST}/retry"]
ADMIN = f"Authorization: Bearer {TOKEN}"


@pytest_twisted.ensureDeferred
async def test_a_scan_is_asked_for(client: Client, backstage: Backstage) -> None:
    asked = await client.ask(f"POST /scan HTTP/1.1\n{ADMIN}")
    assert (asked.status, asked.json(), backstage.done) == (202, {"scan": "asked"}, [("scan", None)])


@pytest.mark.parametrize(("path", "paused"), [("/pause", True), ("/resume", False)])
@pytest_twisted.ensureDeferred
async def test_creation_is_paused_and_resumed(client: Client, backstage: Backstage, path: str, paused: bool) -> None:
    turned = await client.ask(f"POST {path} HTTP/1.1\n{ADMIN}")
    assert (turned.status, turned.json(), backstage.done) == (200, {"paused": paused}, [("pause", paused)])


@pytest_twisted.ensureDeferred
async def test_a_quarantined_gist_is_tried_again(client: Client, backstage: Backstage) -> None:
    backstage.status = TROUBLED
    retried = await client.ask(f"POST /quarantine/{GIST}/retry HTTP/1.1\n{ADMIN}")
    assert (retried.status, retried.json(), backstage.done) == (202, {"gist": GIST}, [("retry", GIST)])


@pytest_twisted.ensureDeferred
async def test_a_gist_that_is_not_in_quarantine_cannot_be_tried_again(client: Client) -> None:
    unknown = await client.ask(f"POST /quarantine/{GIST}/retry HTTP/1.1\n{ADMIN}")
    assert (unknown.status, unknown.json()["detail"]) == (404, "no gist of this id is in quarantine")


@pytest.mark.parametrize("path", CONTROLS)
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
async def test_without_the_token_nothing_is_done(client: Client, backstage: Backstage, path: str, header: str) -> None:
    refused = await client.ask(f"POST {path} HTTP/1.1\n{header}")
    assert (refused.status, refused.headers["www-authenticate"]) == (401, 'Bearer realm="pipetest"')
    assert backstage.done == []


@pytest.mark.parametrize("path", CONTROLS)
@pytest_twisted.ensureDeferred
async def test_a_page_of_another_site_is_not_allowed_to_send_the_token(client: Client, path: str) -> None:
    preflight = await client.ask(
        f"OPTIONS {path} HTTP/1.1\nOrigin: https://evil.example\nAccess-Control-Request-Method: POST\n"
        "Access-Control-Request-Headers: authorization"
    )
    assert preflight.status == 405
    assert not [name for name in preflight.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", CONTROLS)
@pytest_twisted.ensureDeferred
async def test_a_control_is_no_link(client: Client, backstage: Backstage, path: str) -> None:
    refused = await client.ask(f"GET {path} HTTP/1.1\n{ADMIN}")
    assert (refused.status, refused.headers["allow"], backstage.done) == (405, "POST", [])


@pytest.mark.parametrize("token", [None, Secret(TOKEN)], ids=["without", "with"])
@pytest_twisted.ensureDeferred
async def test_while_no_token_is_set_there_are_no_controls(
    store: HeldStore, clock: Clock, backstage: Backstage, token: Secret | None
) -> None:
    site = make_site(
        store,
        [],
        Time(clock.seconds, clock.seconds),
        clock,
        YEAR_S,
        status=lambda: backstage.status,
        operations=backstage.operations,
        admin_token=token,
    )
    served = await serve(site, tls=False)
    client = await served.connect()
    for path in CONTROLS:
        for method in ("GET", "POST"):
            answer = await client.ask(f"{method} {path} HTTP/1.1\nAuthorization: Bearer ")
            assert (answer.status == 404) == (token is None)
    described = (await client.ask("GET /openapi.json HTTP/1.1")).json()["paths"]
    assert ("/scan" in described) == (token is not None)
    shown = (await client.ask("GET / HTTP/1.1")).body
    assert (b'id="controls"' in shown) == (token is not None)
    await served.stop()
