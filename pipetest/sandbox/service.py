"""One service as a client meets it: its rules, its limits, its faults, and a count of all that came.

The one entry, :meth:`Service.handle`, is the same for sockets, for memory and for the simulation.
"""

from collections import Counter
from collections.abc import Callable
from heapq import heappop, heappush

from pipetest.domain.model import Reply, Request
from pipetest.sandbox.calls import Answer, Api, Call, Limits, Lost
from pipetest.sandbox.faults import NONE, Fault, Hook


class Service:
    """``wall`` tells the seconds since the epoch. ``latency``, in seconds, ``limits`` and ``faults`` may be changed at
    any time."""

    def __init__(
        self, api: Api, limits: Limits, wall: Callable[[], float], faults: Hook, *, latency: float = 0.0
    ) -> None:
        self._api = api
        self._wall = wall
        self._late: list[tuple[float, int, Call]] = []
        self.limits = limits
        self.faults = faults
        self.latency = latency
        self.calls: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.acted_out: Counter[str] = Counter()

    @property
    def name(self) -> str:
        return self._api.name

    def handle(self, request: Request) -> Answer:
        fault = self.faults(self.name, request) or NONE
        self.catch_up()
        call = Call.of(request)
        self.calls[self._api.route(call)] += 1
        truth: Reply | Lost = Lost("silent")
        if fault.applied == 0.0:
            truth = fault.bend(self._carried_out(call, self._wall()))
        elif fault.applied is not None:
            heappush(self._late, (self._wall() + fault.applied, self.calls.total(), call))
        ending = fault.instead or truth
        self._note(fault, ending)
        return Answer(ending, self.latency + fault.delay, fault.held)

    def catch_up(self) -> None:
        """Carry out what has become due meanwhile: each as of its time."""
        while self._late and self._late[0][0] <= self._wall():
            due, _, call = heappop(self._late)
            self._carried_out(call, due)

    def _carried_out(self, call: Call, now: float) -> Reply:
        who = self._api.identify(call)
        if isinstance(who, Reply):
            return who
        route = self._api.route(call)
        refusal = self.limits.refuse(who, route, now)
        if refusal is not None:
            return refusal
        return self.limits.count(who, route, self._api.answer(call, who, now), now)

    def _note(self, fault: Fault, ending: Reply | Lost) -> None:
        self.statuses[str(ending.status) if isinstance(ending, Reply) else ending.how] += 1
        if fault is not NONE:
            self.acted_out[fault.name] += 1
