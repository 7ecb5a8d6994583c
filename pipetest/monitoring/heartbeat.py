"""The heartbeat: a URL that is requested after every scan that did not fail, for Healthchecks or another dead-man's
switch, which raises the alarm when the requests stop."""

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pipetest.domain.errors import PipetestError, ServiceError
from pipetest.domain.interfaces import Exchange
from pipetest.domain.model import Request, Secret


class Heartbeat:
    """Nobody waits for its replies; ``problem`` is why the last request failed, if it did. The URL is a secret: whoever
    knows it can keep the alarm from being raised."""

    _log = Logger()

    def __init__(self, exchange: Exchange, url: Secret) -> None:
        self._exchange = exchange
        self._url = url
        self.problem: str | None = None

    def beat(self) -> None:
        beaten = Deferred.fromCoroutine(self._beat())
        beaten.addErrback(
            lambda failure: self._log.failure(
                "the heartbeat request failed unexpectedly", failure, event="heartbeat_failed"
            )
        )

    async def _beat(self) -> None:
        try:
            reply = await self._exchange(Request("GET", self._url.reveal(), {}))
        except ServiceError as e:
            self.problem = e.reason
            return
        except PipetestError as e:
            self.problem = str(e)
            return
        taken = 200 <= reply.status < 300  # a redirect is not followed
        self.problem = None if taken else f"answered {reply.status}"
