"""What a test puts in the place of connections and threads."""

from attrs import define, field
from twisted.internet.defer import Deferred, succeed

from pipetest.domain.interfaces import Exchange
from pipetest.domain.model import Reply, Request


@define
class StubExchange:
    """An ``exchange`` that can be closed. It notes how long what is under way was given, in ``graces``, and has closed
    when ``closed`` fires."""

    exchange: Exchange
    graces: list[float] = field(factory=list)
    closed: "Deferred[None]" = field(factory=lambda: succeed(None))

    async def __call__(self, request: Request) -> Reply:
        return await self.exchange(request)

    async def close(self, grace_s: float) -> None:
        self.graces.append(grace_s)
        await self.closed
