"""What is around every instance of the daemon: time, GitHub and Pipedrive, the disk, and events at random times."""

from collections.abc import Callable
from random import Random

from pipetest.sandbox.world import World
from tests.simulation.clock import DAY_S, HOUR_S, JumpingClock
from tests.simulation.database_server import DatabaseServer
from tests.simulation.run_plan import TEMPLATES, RunPlan
from tests.support.simulated_disk import SimDisk

EPOCH = 1_700_000_000.0

TOKEN = "sandbox-token"


class RandomEvents:
    """What happens at random times. What happens again and again does so until :meth:`stop`."""

    def __init__(self, clock: JumpingClock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self.stopped = False

    def once(self, mean_s: float, act: Callable[..., object], *args: object) -> None:
        """Call ``act`` in about ``mean_s`` seconds."""
        self._clock.callLater(self._random.expovariate(1.0 / mean_s), act, *args)

    def every(self, mean_s: float, act: Callable[[], object]) -> None:
        """Call ``act`` about every ``mean_s`` seconds from now on."""
        self.once(mean_s, self._act, mean_s, act)

    def stop(self) -> None:
        self.stopped = True

    def _act(self, mean_s: float, act: Callable[[], object]) -> None:
        if not self.stopped:
            act()
            self.every(mean_s, act)


class WallClock:
    """The machine's idea of the time, which may be wrong. ``on_set`` is called with the seconds by which it is set: a
    reactor goes by this clock, so what its delayed calls wait for comes so much earlier."""

    def __init__(self, clock: JumpingClock) -> None:
        self._clock = clock
        self._wrong_by = 0.0
        self.on_set: Callable[[float], None] = lambda _: None

    def __call__(self) -> float:
        return self._clock.seconds() + self._wrong_by

    def set_wrong_by(self, seconds: float) -> None:
        ahead, self._wrong_by = seconds - self._wrong_by, seconds
        self.on_set(ahead)


class Environment:
    """Built as the plan says, before anything happens. ``server``: the database server, where several instances share
    one. ``random``: all chance, except in the disk and in the services, which have their own."""

    def __init__(self, plan: RunPlan) -> None:
        # The seeds of the generators never change: with others, a seed would not be the run in docs/reliability.md.
        random = Random(f"stage {plan.seed}")
        clock = JumpingClock(EPOCH + random.uniform(0.0, DAY_S))
        tokens = {TOKEN: random.choice(plan.users)} if plan.token else {}
        world = World(clock.seconds, Random(f"world {plan.seed}"), tokens=tokens)
        world.github_api.per_page_most = plan.per_page
        world.crm.list_lag = plan.list_lag
        world.crm.search_lag = plan.search_lag
        world.pipedrive_api.deleted_shown = random.random() < 0.5
        world.pipedrive_api.page_ceiling = 500 if plan.many_organizations else random.choice((5, 500))
        if plan.many_organizations:  # their ids far apart, and no bound to the lag of searches
            world.pipedrive_api.page_ceiling = 100
            world.crm.organization_ids_apart = 20
            world.crm.search_lag = 4 * HOUR_S
        if TEMPLATES in plan.hazards:  # a look-up reads no more than a page or two
            world.pipedrive_api.page_ceiling = max(25, world.pipedrive_api.page_ceiling)
        self.plan = plan
        self.random = random
        self.clock = clock
        self.wall = WallClock(clock)
        self.events = RandomEvents(clock, random)
        self.world = world
        self.disk = SimDisk(Random(f"disk {plan.seed}"))
        self.server = DatabaseServer.on(clock, self.disk, random) if plan.instances > 1 else None
        self._began_at = clock.seconds()

    @property
    def days_passed(self) -> float:
        return (self.clock.seconds() - self._began_at) / DAY_S

    def has(self, hazard: str) -> bool:
        return hazard in self.plan.hazards

    def chance(self, probability: float) -> bool:
        """Draw; whether it happens this time."""
        return self.random.random() < probability
