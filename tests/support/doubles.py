"""What a test puts in the place of connections and threads."""

from msgspec import Struct, field
from twisted.internet.defer import Deferred, succeed

from pipetest.domain.interfaces import Exchange
from pipetest.domain.model import Reply, Request


class StubExchange(Struct):
    """An ``exchange`` that can be closed. It notes how long what is under way was given, in ``graces``, and has closed
    when ``closed`` fires."""

    exchange: Exchange
    graces: list[float] = field(default_factory=list)
    closed: "Deferred[None]" = field(default_factory=lambda: succeed(None))

    async def __call__(self, request: Request) -> Reply:
        return await self.exchange(request)

    async def close(self, grace_s: float) -> None:
        self.graces.append(grace_s)
        await self.closed
