"""What is around the daemon: the simulation's environment, small, and without any chance in it."""

from collections.abc import Mapping
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from pipetest.domain.model import key
from tests.exploration.choices import Choices
from tests.simulation.clock import DAY_S
from tests.simulation.database_server import FRESH_S, DatabaseServer
from tests.simulation.environment import Environment
from tests.simulation.run_plan import RunPlan
from tests.support.simulated_disk import SimDisk

SETTLE_S = 60.0
LATENCY_S = 0.05
INTERVAL_S = 900.0


class Small(Struct, frozen=True):
    """How many gists each user has; how many of them are on a page of GitHub's, and how many records on one of
    Pipedrive's; by how much Pipedrive's lists lag; and how many instances there are, on one database server."""

    gists: Mapping[str, int]
    per_page: int = 100
    page_ceiling: int = 500
    list_lag: float = 0.0
    instances: int = 1


WORLDS: Mapping[str, Small] = {
    "one user": Small({"ada": 2}),
    "two users": Small({"ada": 2, "Bela": 1}),
    "two pages": Small({"ada": 3}, per_page=2, page_ceiling=1),
    "lists that lag": Small({"ada": 2}, list_lag=30.0),
    "two instances": Small({"ada": 2}, instances=2),
}


class Middle(Random):
    """In place of chance: always the middle. It has no state, so none is part of what a run has come to."""

    def random(self) -> float:
        return 0.5


class SmallWorld(Environment):
    """``choices`` decide whatever could happen in another way. ``published``: of each user the gists, with their
    creation time."""

    def __init__(self, small: Small, choices: Choices) -> None:
        super().__init__(_plan(small))
        self.choices = choices
        self.random = Middle()
        self.disk = SimDisk(Middle())
        self.server = DatabaseServer.on(self.clock, self.disk, self.random) if small.instances > 1 else None
        self.world.github.latency = self.world.pipedrive.latency = LATENCY_S
        self.world.pipedrive_api.page_ceiling = small.page_ceiling
        self.published: dict[str, dict[str, float]] = {}
        for user, gists in small.gists.items():
            account = self.world.accounts.open(user)
            for number in range(gists):
                written_at = self.clock.seconds() - DAY_S * (10 - number)
                self.world.accounts.write(user, public=True, created_at=written_at)
            self.published[key(user)] = {gist.id: gist.created_at for gist in account.listing()}


def _plan(small: Small) -> RunPlan:
    return replace(
        RunPlan.draw(0, 1.0),
        hazards=frozenset(),
        users=list(small.gists),
        per_page=small.per_page,
        token=False,
        settle_s=SETTLE_S + (FRESH_S if small.instances > 1 else 0.0),
        list_lag=small.list_lag,
        search_lag=small.list_lag,
        latest_s=0.0,
        many_organizations=False,
        interval_s=INTERVAL_S,
        instances=small.instances,
    )
