"""One service as a client meets it: its API's rules, its limits, its faults, and a count of all that came.

The one way in, :meth:`Service.handle`, is the same over HTTP, in process and in the simulation.
"""

from collections import Counter
from collections.abc import Callable
from email.utils import formatdate
from heapq import heappop, heappush

from msgspec.structs import replace

from pipetest.domain.model import Reply, Request
from pipetest.sandbox.calls import Api, Call, LostReply, PlannedReply
from pipetest.sandbox.faults import NO_FAULT, Fault, FaultInjector
from pipetest.sandbox.limits import Limits


class Service:
    """``wall`` tells the seconds since the epoch. ``limits``, ``faults`` and ``latency``, in seconds, may be changed at
    any time."""

    def __init__(
        self, api: Api, limits: Limits, wall: Callable[[], float], faults: FaultInjector, *, latency: float = 0.0
    ) -> None:
        self._api = api
        self._wall = wall
        self._late: list[tuple[float, int, Call]] = []
        self.limits = limits
        self.faults = faults
        self.latency = latency
        self.calls: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.injected: Counter[str] = Counter()

    @property
    def name(self) -> str:
        return self._api.name

    def handle(self, request: Request) -> PlannedReply:
        fault = self.faults(self.name, request) or NO_FAULT
        self.apply_late_calls()
        call = Call.of(request)
        self.calls[self._api.route(call)] += 1
        true_ending: Reply | LostReply = LostReply("silent")
        if fault.applied_after == 0.0:
            true_ending = fault.alter(self._apply(call, self._wall()))
        elif fault.applied_after is not None:
            heappush(self._late, (self._wall() + fault.applied_after, self.calls.total(), call))
        ending = fault.reply or true_ending
        self._count(fault, ending)
        return PlannedReply(ending, self.latency + fault.delay, fault.held)

    def apply_late_calls(self) -> None:
        """Carry out the late calls that are due by now, each as of its time."""
        while self._late and self._late[0][0] <= self._wall():
            due, _, call = heappop(self._late)
            self._apply(call, due)

    def _apply(self, call: Call, now: float) -> Reply:
        client = self._api.identify(call)
        if isinstance(client, Reply):
            return client
        route = self._api.route(call)
        refusal = self.limits.refuse(client, route, now)
        if refusal is not None:
            return refusal
        reply = self.limits.count(client, route, self._api.answer(call, client, now), now)
        return replace(reply, headers={"date": formatdate(now, usegmt=True), **reply.headers})

    def _count(self, fault: Fault, ending: Reply | LostReply) -> None:
        self.statuses[str(ending.status) if isinstance(ending, Reply) else ending.how] += 1
        if fault is not NO_FAULT:
            self.injected[fault.name] += 1
