"""What goes wrong on the way to the services, and at their doors."""

from collections.abc import Callable
from datetime import timedelta

from msgspec.structs import replace

from pipetest.domain.model import Reply, Request
from pipetest.sandbox.faults import FAULTS, Fault
from pipetest.sandbox.replies import pipedrive_error
from pipetest.sandbox.world import KEY
from tests.simulation.environment import TOKEN, Environment

HOUR_S = timedelta(hours=1).total_seconds()

DOWN = ("refused", "reset", "silent", "500", "502", "503", "applied-silent", "403-html")
"""What a service that is out may answer, one of them all the time."""


def _not_found(reply: Reply) -> Reply:
    return replace(reply, status=404) if reply.status == 400 else reply


UNPROCESSABLE = Fault("422", None, pipedrive_error(422, "Unprocessable"))
NOT_FOUND = Fault("404", alter=_not_found)
"""Of creates alone: of a look they would be true answers."""


class ServiceFaults:
    """The fault injector of both services. ``shift`` changes somebody's list while it is read."""

    def __init__(self, environment: Environment, shift: Callable[[str], None]) -> None:
        self._environment = environment
        self._shift = shift
        late = environment.plan.late
        self._faults = [replace(fault, applied_after=fault.applied_after and late) for fault in FAULTS.values()]
        self._create_faults = [*self._faults, UNPROCESSABLE, NOT_FOUND]
        self._down: dict[str, Fault] = {}
        self._fine = False
        self._token_of = environment.world.github_api.tokens.get(TOKEN, "")
        environment.world.inject(self)
        if environment.has("limits"):
            self._tighten()
        for hazard, mean_h, act in (("outages", 12, self._fall), ("key", 12, self._lock)):
            if environment.has(hazard):
                environment.events.every(mean_h * HOUR_S, act)

    def clear(self) -> None:
        """From now on all goes well."""
        self._fine = True
        self._down.clear()
        self._unlock()
        self._environment.world.lift_limits()

    def __call__(self, service: str, request: Request, /) -> Fault | None:
        environment, random = self._environment, self._environment.random
        model = environment.world.github if service == "GitHub" else environment.world.pipedrive
        model.latency = random.choice((0.05, 0.3, 2.0)) * random.random() + 0.001
        if self._fine:
            return None
        if service == "GitHub" and environment.has("shifts") and random.random() < 0.2:
            self._shift(request.url)
        if service in self._down:
            return self._down[service]
        rate = environment.plan.fault_rate * (2.0 if request.method == "POST" else 1.0)
        if environment.has("faults") and random.random() < rate:
            return random.choice(self._create_faults if request.method == "POST" else self._faults)
        return None

    # --- hours of it --------------------------------------------------------------------------------------------------

    def _fall(self) -> None:
        service = self._environment.random.choice(("GitHub", "Pipedrive"))
        self._down[service] = FAULTS[self._environment.random.choice(DOWN)]
        self._environment.clock.callLater(self._while(), self._down.pop, service, None)

    def _lock(self) -> None:
        """The keys are taken away for a while."""
        self._environment.world.pipedrive_api.key = "another"
        self._environment.world.github_api.tokens.pop(TOKEN, None)
        self._environment.clock.callLater(self._while(), self._unlock)

    def _unlock(self) -> None:
        self._environment.world.pipedrive_api.key = KEY
        if self._environment.plan.token:
            self._environment.world.github_api.tokens[TOKEN] = self._token_of

    def _while(self) -> float:
        return self._environment.random.expovariate(1.0 / self._environment.random.choice((0.1, 3.0))) * HOUR_S

    def _tighten(self) -> None:
        random, world = self._environment.random, self._environment.world
        github, pipedrive = world.github_limits, world.pipedrive_limits
        github.without_token, github.with_token = 60, random.choice((100, 5000))
        github.points = random.choice((10, 900))
        github.primary_status, github.secondary_status = random.choice((403, 429)), random.choice((403, 429))
        github.primary_retry_after, github.secondary_retry_after = random.random() < 0.5, random.random() < 0.5
        pipedrive.burst, pipedrive.search_burst = 20, 10
        pipedrive.daily_tokens = random.choice((None, 300, 30_000))
        pipedrive.daily_writes = random.choice((None, 20, 10_000))
        pipedrive.daily_retry_after = random.random() < 0.5
        pipedrive.block_after = random.choice((None, 5))
