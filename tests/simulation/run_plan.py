"""What kind of world a seed is: draw once, before anything happens in it."""

from collections.abc import Sequence
from random import Random

from attrs import frozen

from tests.simulation.database_server import FRESH_S

DAY_S = 24 * 3600.0

NAMES = ("ada", "Bela", "chiyo", "Dora-2", "emeka", "FARAH")

HAZARDS: Sequence[str] = (
    "crashes",
    "faults",
    "outages",
    "shifts",
    "renames",
    "deals",
    "organizations",
    "cap",
    "key",
    "limits",
    "disk",
    "database",
    "settings",
    "pauses",
    "adoption",
    "dry runs",
    "clock",
)
"""Each world has about half of them: what is always there hides what only happens without it."""


OF_A_FILE = frozenset({"disk", "database"})
"""Hazards of a database in one file."""


@frozen
class RunPlan:
    """``list_lag`` and ``late`` together stay below ``settle``: that much pipetest assumes of Pipedrive.

    ``many``: so many organizations of others lie in the CRM that a search is cheaper than a list. ``instances``: so
    many daemons share one server, and settle longer by what a body may be late there; else one has a file of its own.
    """

    seed: int
    days: float
    hazards: frozenset[str]
    users: Sequence[str]
    earlier_gists: int
    per_page: int
    token: bool
    settle: float
    list_lag: float
    search_lag: float
    late: float
    fault_rate: float
    many: bool
    interval: float
    gist_every: float
    instances: int

    @property
    def ends_after(self) -> float:
        """Seconds from the beginning until the world begins to settle."""
        return self.days * DAY_S


def draw(seed: int, days: float) -> RunPlan:
    random = Random(f"plan {seed}")
    instances = random.choices((1, 2, 3), (14, 1, 1))[0]
    unlike = OF_A_FILE if instances > 1 else frozenset[str]()
    settle = random.choice((30.0, 60.0, 90.0))
    list_lag = random.choice((0.0, 1.0, random.uniform(0.0, settle - 5.0)))
    return RunPlan(
        seed=seed,
        days=days,
        hazards=frozenset(hazard for hazard in HAZARDS if random.random() < 0.5) - unlike,
        users=random.sample(NAMES, random.randint(2, len(NAMES))),
        earlier_gists=random.choice((0, 3, 12)),
        per_page=random.choice((3, 6, 12, 100)),
        token=random.random() < 0.5,
        settle=settle + (FRESH_S if instances > 1 else 0.0),
        list_lag=list_lag,
        search_lag=random.uniform(list_lag, settle - 2.0),
        late=random.uniform(0.0, settle - list_lag - 2.0),
        fault_rate=random.choice((0.01, 0.05, 0.2)),
        many=random.random() < 0.02,
        interval=random.choice((900.0, 1800.0, 3600.0)),
        gist_every=random.choice((3600.0, 10_000.0)),
        instances=instances,
    )
