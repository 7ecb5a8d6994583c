"""The sandbox without HTTP: an exchange that asks a service's model itself, for days of simulation in a second."""

from attrs import frozen
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from pipetest.domain.errors import Unanswered
from pipetest.domain.model import Reply, Request
from pipetest.sandbox.calls import Answer, Lost
from pipetest.sandbox.holds import Holds
from pipetest.sandbox.service import Service

TIMEOUT_S = 20.0


@frozen
class DirectExchange:
    """An :class:`~pipetest.domain.interfaces.Exchange` with one service; ``timeout`` is in seconds.

    A request is carried out as soon as it is made: who cancels the wait for its answer does not take it back.
    """

    _service: Service
    _clock: IReactorTime
    _holds: Holds
    _timeout: float = TIMEOUT_S

    async def __call__(self, request: Request) -> Reply:
        answer = self._service.handle(request)
        await self._wait(answer)
        if isinstance(answer.ending, Lost):
            raise Unanswered(self._service.name, f"the connection was {answer.ending.how}")
        return answer.ending

    async def _wait(self, answer: Answer) -> None:
        endless = isinstance(answer.ending, Lost) and answer.ending.endless
        delay = self._timeout if endless else min(answer.delay, self._timeout)
        if delay > 0.0:
            await deferLater(self._clock, delay)
        if delay == self._timeout:
            raise self._too_late()
        if answer.held:
            try:
                await self._holds.wait().addTimeout(self._timeout - delay, self._clock)
            except TimedOut:
                raise self._too_late() from None

    def _too_late(self) -> Unanswered:
        return Unanswered(self._service.name, f"no answer within {self._timeout:g} s")
