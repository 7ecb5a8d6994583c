"""Whatever answers where a daemon should, the command ends with one line that says what to do."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock

from pipetest.domain.model import Secret
from tests.cli.conftest import TOKEN
from tests.support.command import run
from tests.support.raw_server import Listen, listening, response
from tests.support.web.serving import serve, site_of
from tests.support.web.store import BlockableStore
from tests.support.web.stub_daemon import StubDaemon

ELSEWHERE = response(302, b"", {"location": "http://localhost:1/"})


@pytest_twisted.async_yield_fixture
async def listen() -> AsyncIterator[Listen]:
    async for listen in listening():
        yield listen


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (response(200, b"<html>"), "is no pipetest"),
        (response(200, b'{"status":"UP"}'), "is no pipetest"),
        (response(200, b"[" * 100_000), "is no pipetest"),
        (response(404, b"nothing here"), "is no pipetest"),
        (response(503, b'{"detail":"the database cannot be asked just now"}'), "the database cannot be asked just now"),
        (response(421, b"{}"), "set PIPETEST_HOSTS"),
        (ELSEWHERE, "redirects"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "it does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", "is no pipetest"),
    ],
    ids=range(9),
)
@pytest_twisted.ensureDeferred
async def test_what_is_no_daemon_is_told(answer: bytes, said: str, listen: Listen) -> None:
    server = listen(lambda connection, request: connection.send_last(answer))
    ran = await run("status", "--url", server.root)
    assert (ran.status, ran.out) == (2, "")
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1


@pytest_twisted.ensureDeferred
async def test_the_token_follows_no_redirect(listen: Listen) -> None:
    other = listen(lambda connection, request: response(200, b"{}"))
    first = listen(lambda connection, request: response(307, b"", {"location": f"{other.root}/scan"}))
    ran = await run("scan", "--url", first.root, ADMIN_TOKEN=TOKEN)
    assert (ran.status, other.requests) == (2, [])


@pytest_twisted.ensureDeferred
async def test_a_certificate_that_nobody_trusts_ends_it_before_the_token_is_sent(stub_daemon: StubDaemon) -> None:
    served = await serve(site_of(BlockableStore(), Clock(), stub_daemon, admin_token=Secret(TOKEN)), tls=True)
    ran = await run("scan", "--url", f"https://localhost:{served.port.getHost().port}", ADMIN_TOKEN=TOKEN)
    assert (ran.status, stub_daemon.calls) == (2, [])
    assert "its certificate is not trusted" in ran.err
    await served.stop()


@pytest_twisted.ensureDeferred
async def test_where_nothing_listens_it_says_so() -> None:
    ran = await run("status", "--url", "http://127.0.0.1:1")
    assert ran.status == 2
    assert ran.err == (
        "pipetest: no daemon answers at http://127.0.0.1:1: Connection refused. "
        "Is it running? Else name it with --url.\n"
    )


@pytest.mark.parametrize(
    "url", ["localhost:8080", "ftp://x", "http://", "http://u:p@x", "http://x:99999", "http://x/?a"]
)
@pytest_twisted.ensureDeferred
async def test_what_is_no_address_is_wrong_usage(url: str) -> None:
    ran = await run("status", "--url", url)
    assert ran.status == 2
    assert "expected http://HOST:PORT or https://HOST:PORT" in ran.err


@pytest_twisted.ensureDeferred
async def test_an_address_without_tls_is_told_in_words() -> None:
    class Greeting(Protocol):
        transport: Any

        def connectionMade(self) -> None:
            self.transport.write(b"SSH-2.0-OpenSSH_9.2\r\n")

    from twisted.internet import reactor

    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory.forProtocol(Greeting))
    ran = await run("status", "--url", f"https://127.0.0.1:{port.getHost().port}")
    await port.stopListening()
    assert (ran.status, ran.out) == (2, "")
    assert "it does not speak TLS" in ran.err
