"""Exchanges for tests of the clients."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from attrs import define, field

from pipetest.domain.interfaces import Exchange
from pipetest.domain.model import Reply, Request
from pipetest.http.exchange import connect
from pipetest.sandbox.http import QuietSite, resource
from pipetest.sandbox.service import Service
from pipetest.sandbox.world import World
from tests.openapi import check


@define
class Checked:
    """An exchange with the service at ``root``; every request and reply is held against the service's description."""

    _exchange: Exchange
    root: str
    asked: list[Request] = field(factory=list)

    async def __call__(self, request: Request, /) -> Reply:
        self.asked.append(request)
        reply = await self._exchange(request)
        check(request, reply)
        return reply


@define
class Scripted:
    """Answers at once, as it is told; an error is raised."""

    _answer: Callable[[Request], Reply | Exception]
    asked: list[Request] = field(factory=list)

    async def __call__(self, request: Request, /) -> Reply:
        self.asked.append(request)
        answer = self._answer(request)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def served(world: World, service: Service) -> AsyncIterator[Checked]:
    """For a fixture: an exchange with a service of the sandbox, over real sockets."""
    from twisted.internet import reactor as untyped_reactor

    reactor: Any = untyped_reactor
    port = reactor.listenTCP(0, QuietSite(resource(service, reactor, world.held_replies)), interface="127.0.0.1")
    exchange = connect(service.name, reactor)
    yield Checked(exchange, f"http://127.0.0.1:{port.getHost().port}")
    await exchange.close()
    await port.stopListening()
