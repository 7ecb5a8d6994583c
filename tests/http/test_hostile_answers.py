"""Five hundred spoilt answers over real sockets, ten thousand with ``make hostile``: none of them raises anything but
our own errors, or leaves anything in memory."""

import gc
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults

from pipetest.domain.errors import ServiceError, Unanswered
from pipetest.domain.model import Created, GistPage, Outcome, Reply, Request, Secret
from pipetest.github.pages import parsed_gists
from pipetest.github.rate_limit import github_rate_limit
from pipetest.github.responses import refusal
from pipetest.http.exchange import connect
from pipetest.pipedrive.rate_limit import pipedrive_rate_limit
from pipetest.pipedrive.responses import outcome
from pipetest.ratelimit.policy import Instant
from tests.support.hostile import hostile_answer
from tests.support.raw_server import Listen, listening

ANSWERS = int(os.environ.get("ANSWERS", "500"))
AT_ONCE = 8
GROWTH_MIB = 24
KEY = Secret("very-secret")
NOW = Instant(0.0, 1_800_000_000.0)


@pytest_twisted.async_yield_fixture
async def listen() -> AsyncIterator[Listen]:
    async for listen in listening():
        yield listen


def memory_mib() -> float:
    gc.collect()
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def read(reply: Reply) -> None:
    """As GitHub's and Pipedrive's clients and rate limits do."""
    with suppress(ServiceError):
        assert isinstance(parsed_gists(reply, "http://localhost/"), GistPage)
    assert isinstance(refusal(reply, KEY, NOW.wall), ServiceError)
    ended = outcome(reply, KEY, in_organization=True)
    assert isinstance(ended, Outcome)
    assert isinstance(ended, Created) or ended.reason.isprintable()
    for limit in (
        github_rate_limit(token=False, host="api.github.com"),
        pipedrive_rate_limit(ceiling=None, reserve=0.2),
    ):
        started, permit = limit.started(limit.cost(Request("GET", "http://localhost/", {})), NOW)
        finished = started.finished(permit, reply, NOW, 0.5)
        finished.usage(NOW)
        assert finished.wait(permit.cost, 0, NOW) >= 0.0


@pytest_twisted.ensureDeferred
async def test_no_answer_raises_anything_but_our_own_errors_or_stays_in_memory(listen: Listen) -> None:
    from twisted.internet import reactor

    random, exchange = Random(ANSWERS), connect("GitHub", reactor)
    server = listen(lambda connection, request: connection.send_last(hostile_answer(random)))
    read_whole = 0

    async def ask(times: int) -> None:
        nonlocal read_whole
        for _ in range(times):
            method, body = random.choice((("GET", None), ("POST", b"{}")))
            with suppress(Unanswered):
                read(await exchange(Request(method, f"{server.root}/", {}, body)))
                read_whole += 1
            server.forget()

    async def ask_all(times: int) -> None:
        await gatherResults([Deferred.fromCoroutine(ask(times // AT_ONCE)) for _ in range(AT_ONCE)])

    await ask_all(ANSWERS // 4)  # what is loaded once, and the memory that is used again and again
    before = memory_mib()
    await ask_all(ANSWERS * 3 // 4)
    assert memory_mib() - before < GROWTH_MIB
    assert read_whole > ANSWERS // 10
    await exchange.close()
