"""The dead-man's switch: a URL asked for after every scan that did not fail, as Healthchecks and others want."""

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from pipetest.domain.errors import PipetestError
from pipetest.domain.interfaces import Exchange
from pipetest.domain.model import Request, Secret


class Heartbeat:
    """Never waits for the answer, never fails. The URL is a secret: who knows it can keep the switch from falling.

    ``trouble`` says why the last beat was not taken.
    """

    _log = Logger()

    def __init__(self, exchange: Exchange, url: Secret) -> None:
        self._exchange = exchange
        self._url = url
        self.trouble: str | None = None

    def beat(self) -> None:
        Deferred.fromCoroutine(self._beat()).addErrback(
            lambda failure: self._log.failure("the heartbeat failed", failure)
        )

    async def _beat(self) -> None:
        """Say once when it stops being taken, and when it is again."""
        try:
            reply = await self._exchange(Request("GET", self._url.reveal(), {}))
            problem = None if 200 <= reply.status < 300 else f"status {reply.status}"  # redirects are not followed
        except PipetestError as e:
            problem = str(e)
        if problem is not None and self.trouble is None:
            self._log.warn("the heartbeat is not taken: {reason}", reason=problem)
        elif problem is None and self.trouble is not None:
            self._log.info("the heartbeat is taken again")
        self.trouble = problem
