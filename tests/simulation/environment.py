"""The world that every life of the daemon meets: time, services, disk, and what happens there at random times."""

from collections.abc import Callable
from random import Random

from attrs import define, field, frozen

from pipetest.sandbox.world import World
from tests.simulation.clock import JumpingClock
from tests.simulation.database_server import DatabaseServer
from tests.simulation.run_plan import DAY_S, RunPlan
from tests.support.simulated_disk import SimDisk

EPOCH = 1_700_000_000.0

TOKEN = "sandbox-token"


@define
class RandomEvents:
    """What happens again and again at random times, until all of it rests."""

    _clock: JumpingClock
    _random: Random
    resting: bool = False

    def every(self, mean_s: float, act: Callable[[], object]) -> None:
        """From now on, about every ``mean_s`` seconds."""
        self._clock.callLater(self._random.expovariate(1.0 / mean_s), self._act, mean_s, act)

    def rest(self) -> None:
        self.resting = True

    def _act(self, mean_s: float, act: Callable[[], object]) -> None:
        if not self.resting:
            act()
            self.every(mean_s, act)


@define
class WallClock:
    """The machine's idea of the time: ``wrong_by`` seconds."""

    _clock: JumpingClock
    wrong_by: float = 0.0

    def __call__(self) -> float:
        return self._clock.seconds() + self.wrong_by


@frozen
class Environment:
    """``random`` is the world's chance; the disk's and the services' own go apart from it. ``server``: where several
    instances share one."""

    plan: RunPlan
    random: Random
    clock: JumpingClock
    world: World
    disk: SimDisk
    server: DatabaseServer | None
    events: RandomEvents = field(init=False)
    wall: WallClock = field(init=False)
    begun_at: float = field(init=False)

    @events.default
    def _none_yet(self) -> RandomEvents:
        return RandomEvents(self.clock, self.random)

    @wall.default
    def _right(self) -> WallClock:
        return WallClock(self.clock)

    @begun_at.default
    def _now(self) -> float:
        return self.clock.seconds()

    @property
    def days_passed(self) -> float:
        return (self.clock.seconds() - self.begun_at) / DAY_S

    def has(self, hazard: str) -> bool:
        return hazard in self.plan.hazards

    def chance(self, of_1: float) -> bool:
        return self.random.random() < of_1


def build(plan: RunPlan) -> Environment:
    """As the plan has it, with nobody in it yet."""
    random = Random(f"stage {plan.seed}")
    clock = JumpingClock(EPOCH + random.uniform(0.0, DAY_S))
    tokens = {TOKEN: random.choice(plan.users)} if plan.token else {}
    world = World(clock.seconds, Random(f"world {plan.seed}"), tokens=tokens)
    world.github_api.per_page_most = plan.per_page
    world.crm.list_lag = plan.list_lag
    world.crm.search_lag = plan.search_lag
    rules = world.pipedrive_api
    rules.deleted_shown = random.random() < 0.5
    rules.page_ceiling = 500 if plan.many else random.choice((5, 500))
    disk = SimDisk(Random(f"disk {plan.seed}"))
    server = DatabaseServer.on(clock, disk, random) if plan.instances > 1 else None
    return Environment(plan, random, clock, world, disk, server)
