"""The heartbeat: a URL that is requested after every scan that did not fail, for Healthchecks or another dead-man's
switch, which raises the alarm when the requests stop."""

from twisted.internet.defer import Deferred
from twisted.logger import Logger, LogLevel

from pipetest.domain.errors import PipetestError
from pipetest.domain.interfaces import Exchange
from pipetest.domain.model import Request, Secret
from pipetest.runtime.problem import Problem


class Heartbeat:
    """Nobody waits for its replies, and what goes wrong with them is only reported. The URL is a secret: whoever knows
    it can keep the alarm from being raised."""

    _log = Logger()

    def __init__(self, exchange: Exchange, url: Secret) -> None:
        self._exchange = exchange
        self._url = url
        self._problem = Problem(
            self._log, "the heartbeat is not taken: {reason}", "the heartbeat is taken again", LogLevel.warn
        )

    @property
    def problem(self) -> str | None:
        """Why the last beat was not taken."""
        return self._problem.reason

    def beat(self) -> None:
        beaten = Deferred.fromCoroutine(self._beat())
        beaten.addErrback(lambda failure: self._log.failure("the heartbeat failed", failure))

    async def _beat(self) -> None:
        try:
            reply = await self._exchange(Request("GET", self._url.reveal(), {}))
        except PipetestError as e:
            self._problem.report(str(e))
            return
        if 200 <= reply.status < 300:
            self._problem.over()
        else:  # a redirect too: it is not followed
            self._problem.report(f"status {reply.status}")
