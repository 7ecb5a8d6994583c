"""Exchanges for the tests of the two API clients."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from pipetest.domain.interfaces import Exchange
from pipetest.domain.model import Reply, Request
from pipetest.http.exchange import connect
from pipetest.sandbox.http import QuietSite, resource
from pipetest.sandbox.service import Service
from pipetest.sandbox.world import World
from tests.openapi import check


class CheckedExchange:
    """An exchange with the service at ``root``. It checks each request and reply against the service's description."""

    def __init__(self, exchange: Exchange, root: str) -> None:
        self._exchange = exchange
        self.root = root
        self.requests: list[Request] = []

    async def __call__(self, request: Request, /) -> Reply:
        self.requests.append(request)
        reply = await self._exchange(request)
        check(request, reply)
        return reply


class ScriptedExchange:
    """Replies at once with what ``script`` returns for the request. An error is raised."""

    def __init__(self, script: Callable[[Request], Reply | Exception]) -> None:
        self._script = script
        self.requests: list[Request] = []

    async def __call__(self, request: Request, /) -> Reply:
        self.requests.append(request)
        scripted = self._script(request)
        if isinstance(scripted, Exception):
            raise scripted
        return scripted


async def exchange_with(world: World, service: Service) -> AsyncIterator[CheckedExchange]:
    """For a fixture: an exchange with this service of the sandbox, over real sockets."""
    from twisted.internet import reactor as untyped_reactor

    reactor: Any = untyped_reactor
    port = reactor.listenTCP(0, QuietSite(resource(service, reactor, world.held_replies)), interface="127.0.0.1")
    exchange = connect(service.name, reactor)
    yield CheckedExchange(exchange, f"http://127.0.0.1:{port.getHost().port}")
    await exchange.close()
    await port.stopListening()
