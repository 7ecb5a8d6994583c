"""One seed, one run: a world, what happens in it, how it settles, and what the checker says to that."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from traceback import format_exc
from unittest.mock import patch

from attrs import field, frozen
from twisted.logger import globalLogPublisher

from tests.simulation.crm_users import CrmUsers
from tests.simulation.database_server import FRESH_S, USED_EVERY_S
from tests.simulation.environment import build
from tests.simulation.final_checks import FinalChecks
from tests.simulation.github_users import GitHubUsers
from tests.simulation.invariants import Invariants, Tell
from tests.simulation.operators import Operators
from tests.simulation.run_plan import draw
from tests.simulation.scan_checks import ScanChecks
from tests.simulation.service_faults import HOUR_S, ServiceFaults

DAYS = 2.0

SETTLES_H = (27.0, 52.0, 77.0)
"""Hours after which all may have settled: the daily pass to the end of each list; once or twice more, where what was
refused for good had to be tried again, or a day's quota had to pass."""


SLOWER: Mapping[str, float] = {
    "monitoring.health.CHECK_EVERY_S": 600.0,
    "monitoring.history.SAVE_EVERY_S": 600.0,
    "ratelimit.persistence.EVERY_S": 600.0,
    "leader_election.EVERY_S": USED_EVERY_S,
    "store.postgres.writer.FRESH_S": FRESH_S,
}
"""What happens so often that it would take a third of all time, or more: looks that mostly find nothing to do."""


@frozen
class Result:
    """What came of a seed; ``days`` are simulated ones, the settling included."""

    seed: int
    violations: Sequence[str]
    days: float
    requests: Counter[str] = field(factory=Counter)
    faults: Counter[str] = field(factory=Counter)
    ends: Counter[str] = field(factory=Counter)


class Simulation:
    """``tell`` hears the story, line by line."""

    def __init__(self, seed: int, days: float = DAYS, tell: Tell | None = None) -> None:
        self.plan = draw(seed, days)
        self.environment = build(self.plan)
        self.github_users = GitHubUsers(self.environment)
        self.invariants = Invariants(self.environment, self.github_users.published, tell)
        self.crm_users = CrmUsers(self.environment)
        if self.environment.has("adoption"):
            self.crm_users.foresee(self.github_users.published)
        self.service_faults = ServiceFaults(self.environment, self.github_users.shift)
        self.operators = Operators(self.environment, self.invariants)
        self.scan_checks = ScanChecks(
            self.environment, self.github_users.late, lambda: self.operators.life, self.invariants.objects
        )

    def live(self) -> None:
        """The days of trouble."""
        self.environment.clock.pass_time(self.environment.clock.seconds() + self.plan.ends_after)

    def settle(self) -> None:
        """All trouble ends, and what was promised has to come true."""
        environment, began = self.environment, self.environment.clock.seconds()
        environment.events.rest()
        self.service_faults.clear()
        self.crm_users.relent()
        self.operators.rest()
        self.github_users.write_each()
        violations: Sequence[str] = ()
        for hours in SETTLES_H:
            environment.clock.pass_time(began + hours * HOUR_S)
            environment.world.apply_late_calls()
            violations = list(FinalChecks(environment, self.github_users, self.crm_users, self.operators).violations())
            if not violations:
                break
        for violation in violations:
            self.invariants.objects(violation)

    def result(self) -> Result:
        services = (self.environment.world.github, self.environment.world.pipedrive)
        return Result(
            self.plan.seed,
            self.invariants.violations,
            days=self.environment.days_passed,
            requests=Counter({service.name: service.calls.total() for service in services}),
            faults=sum((service.injected for service in services), Counter()),
            ends=self.operators.ends,
        )


def run(seed: int, days: float = DAYS, tell: Tell | None = None) -> Result:
    """The same seed, the same run."""
    with ExitStack() as patches:
        for name, slower in SLOWER.items():
            patches.enter_context(patch(f"pipetest.{name}", slower))
        return _run(Simulation(seed, days, tell))


def _run(simulation: Simulation) -> Result:
    globalLogPublisher.addObserver(simulation.invariants)
    try:
        simulation.live()
        simulation.settle()
    except Exception:
        simulation.invariants.objects(f"what a reactor would have logged: {format_exc()}")
    finally:
        globalLogPublisher.removeObserver(simulation.invariants)
    return simulation.result()
