"""The sandbox without HTTP: an exchange that asks a service itself, for days of simulation in a second."""

from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from pipetest.domain.errors import Unanswered
from pipetest.domain.model import Reply, Request
from pipetest.sandbox.calls import HeldReplies, LostReply, PlannedReply
from pipetest.sandbox.service import Service

TIMEOUT_S = 20.0


class InProcessExchange:
    """An :class:`~pipetest.domain.interfaces.Exchange` with one service; ``timeout`` is in seconds.

    A request is carried out as soon as it is made: cancelling the wait for its reply does not take it back.
    """

    def __init__(
        self, service: Service, clock: IReactorTime, held_replies: HeldReplies, timeout: float = TIMEOUT_S
    ) -> None:
        self._service = service
        self._clock = clock
        self._held_replies = held_replies
        self._timeout = timeout

    async def __call__(self, request: Request) -> Reply:
        planned = self._service.handle(request)
        await self._wait(planned)
        if isinstance(planned.ending, LostReply):
            raise Unanswered(self._service.name, f"the connection was {planned.ending.how}")
        return planned.ending

    async def _wait(self, planned: PlannedReply) -> None:
        hangs = isinstance(planned.ending, LostReply) and planned.ending.hangs
        delay = self._timeout if hangs else min(planned.delay, self._timeout)
        if delay > 0.0:
            await deferLater(self._clock, delay)
        if delay == self._timeout:
            raise self._timed_out()
        if planned.held:
            try:
                await self._held_replies.wait().addTimeout(self._timeout - delay, self._clock)
            except TimedOut:
                raise self._timed_out() from None

    def _timed_out(self) -> Unanswered:
        return Unanswered(self._service.name, f"no answer within {self._timeout:g} s")
