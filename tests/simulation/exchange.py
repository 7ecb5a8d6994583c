"""The requests of one process to one service."""

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.task import deferLater

from pipetest.domain.errors import Stopping, Unanswered
from pipetest.domain.model import Reply, Request
from pipetest.sandbox.calls import HeldReplies
from pipetest.sandbox.in_process import InProcessExchange
from pipetest.sandbox.service import Service
from tests.simulation.crash_plan import AFTER, BEFORE
from tests.simulation.process import Process, ProcessObserver
from tests.simulation.requests import creates

CONNECT_S = 0.05
"""From the decision to create something until the body leaves."""

MayCreate = Callable[[], bool]


class Defect(Exception):
    """Nobody foresaw it: a header that a library chokes on, or a slip in the code that reads an answer."""


class SimulatedExchange:
    """Before and after each request the process may crash. Where ``may_create`` is given, it is asked just before a
    body leaves, as :mod:`pipetest.http.fencing` does. ``has_defect``: whether the answer to this create is lost in the
    daemon itself."""

    def __init__(
        self,
        process: Process,
        service: Service,
        held_replies: HeldReplies,
        observer: ProcessObserver,
        may_create: MayCreate | None = None,
        has_defect: Callable[[], bool] = lambda: False,
    ) -> None:
        self._process = process
        self._service = service.name
        self._exchange = InProcessExchange(service, process, held_replies)
        self._observer = observer
        self._may_create = may_create
        self._has_defect = has_defect
        self._in_progress: dict[Deferred[Reply], Request] = {}
        self._closing = False

    async def __call__(self, request: Request, /) -> Reply:
        if self._closing:
            raise Stopping(f"{self._service}: not asked, the daemon stops")
        if not self._process.alive or self._observer.crashes_at(BEFORE, request):
            await self._process.never()
        exchange = Deferred.fromCoroutine(self._send(request))
        self._in_progress[exchange] = request
        if self._observer.crashes_at(AFTER, request):
            await self._process.never()
        try:
            reply = await exchange
        except (Unanswered, TimedOut, CancelledError):
            self._observer.exchange_ended(self._service, request, None)
            raise Unanswered(self._service, "no whole answer") from None
        finally:
            del self._in_progress[exchange]
        if creates(request) and self._has_defect():
            self._observer.exchange_ended(self._service, request, None)
            raise Defect
        self._observer.exchange_ended(self._service, request, reply)
        return reply

    async def _send(self, request: Request) -> Reply:
        if request.body is not None and self._may_create is not None:
            await deferLater(self._process, CONNECT_S)
            if not self._may_create():
                raise Unanswered(self._service, "not sent, another instance may have taken over")
        return await self._exchange(request)

    async def close(self, grace_s: float, /) -> None:
        self._closing = True
        await DeferredList([exchange.addTimeout(grace_s, self._process) for exchange in self._in_progress])
