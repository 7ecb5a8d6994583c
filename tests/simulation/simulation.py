"""One seed, one run: a world, what happens in it, how it settles, and what the checker says to that."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from traceback import format_exc
from unittest.mock import patch

from attrs import field, frozen
from twisted.logger import globalLogPublisher

from tests.simulation.checker import Checker
from tests.simulation.crm_users import Keepers
from tests.simulation.environment import built
from tests.simulation.faults import HOUR_S, Weather
from tests.simulation.inspector import Inspector
from tests.simulation.invariants import Tell, Witness
from tests.simulation.operators import Operators
from tests.simulation.plan import drawn
from tests.simulation.server import FRESH_S, USED_EVERY_S
from tests.simulation.writers import Writers

DAYS = 2.0

SETTLES_H = (27.0, 52.0, 77.0)
"""Hours after which all may have settled: the daily pass to the end of each list; once or twice more, where what was
refused for good had to be tried again, or a day's quota had to pass."""


SLOWER: Mapping[str, float] = {
    "monitoring.health.CHECK_EVERY_S": 600.0,
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
        self.plan = drawn(seed, days)
        self.stage = built(self.plan)
        self.writers = Writers(self.stage)
        self.witness = Witness(self.stage, self.writers.published, tell)
        self.keepers = Keepers(self.stage)
        if self.stage.has("adoption"):
            self.keepers.foresee(self.writers.published)
        self.weather = Weather(self.stage, self.writers.shift)
        self.operators = Operators(self.stage, self.witness)
        self.inspector = Inspector(self.stage, self.writers.late, lambda: self.operators.life, self.witness.objects)

    def live(self) -> None:
        """The days of trouble."""
        self.stage.clock.pass_time(self.stage.clock.seconds() + self.plan.ends_after)

    def settle(self) -> None:
        """All trouble ends, and what was promised has to come true."""
        stage, began = self.stage, self.stage.clock.seconds()
        stage.habits.rest()
        self.weather.clear()
        self.keepers.relent()
        self.operators.rest()
        self.writers.write_each()
        violations: Sequence[str] = ()
        for hours in SETTLES_H:
            stage.clock.pass_time(began + hours * HOUR_S)
            stage.world.catch_up()
            violations = list(Checker(stage, self.writers, self.keepers, self.operators).violations())
            if not violations:
                break
        for violation in violations:
            self.witness.objects(violation)

    def result(self) -> Result:
        services = (self.stage.world.github, self.stage.world.pipedrive)
        return Result(
            self.plan.seed,
            self.witness.violations,
            days=self.stage.days_passed,
            requests=Counter({service.name: service.calls.total() for service in services}),
            faults=sum((service.acted_out for service in services), Counter()),
            ends=self.operators.ends,
        )


def run(seed: int, days: float = DAYS, tell: Tell | None = None) -> Result:
    """The same seed, the same run."""
    with ExitStack() as patches:
        for name, slower in SLOWER.items():
            patches.enter_context(patch(f"pipetest.{name}", slower))
        return _run(Simulation(seed, days, tell))


def _run(simulation: Simulation) -> Result:
    globalLogPublisher.addObserver(simulation.witness)
    try:
        simulation.live()
        simulation.settle()
    except Exception:
        simulation.witness.objects(f"what a reactor would have logged: {format_exc()}")
    finally:
        globalLogPublisher.removeObserver(simulation.witness)
    return simulation.result()
