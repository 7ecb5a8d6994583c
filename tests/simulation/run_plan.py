"""What a seed stands for: the hazards, sizes, lags and rates of its run, drawn before anything happens in it."""

from collections.abc import Mapping, Sequence
from random import Random

from msgspec import Struct

from tests.simulation.clock import DAY_S
from tests.simulation.database_server import FRESH_S

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
    "defects",
    "titles",
)
"""Each run has about half of them: a hazard that is always there hides what happens only without it."""


QUIRKS, BACKFILL, LISTS, REFUSALS = "quirks", "backfill", "lists", "refusals"
ROLLBACKS, MOVES, UNSEEN, TEMPLATES, STAMPS = "rollbacks", "moves", "unseen", "templates", "stamps"
FOLLOWED, HINTS, BY_ORGANIZATION = "followed", "hints", "by organization"
LOSSES, RELOADS, PARTS = "losses", "reloads", "parts"
BY_ITSELF: Mapping[str, float] = {
    QUIRKS: 0.3,
    BACKFILL: 0.3,
    LISTS: 0.2,
    REFUSALS: 0.3,
    ROLLBACKS: 0.3,
    MOVES: 0.3,
    UNSEEN: 0.1,
    TEMPLATES: 0.3,
    STAMPS: 0.3,
    FOLLOWED: 0.6,  # of those with lists
    HINTS: 0.2,
    LOSSES: 0.2,
    RELOADS: 0.3,
    PARTS: 0.3,
}
"""Hazards too, each drawn by itself, with this chance: so it changes no other run."""

DATABASE_FILE_HAZARDS = frozenset({"disk", "database"})

LOSES_ANSWERS = frozenset({"crashes", "faults", "outages", "cap", "disk", "database", "defects", ROLLBACKS, LOSSES})
"""What may leave unknown what was created: where it is not seen either, it is created twice."""


class RunPlan(Struct, frozen=True):
    """``list_lag`` and ``latest_s`` together stay below ``settle_s``: that much the daemon takes for granted of
    Pipedrive.

    ``per_page``: the most gists on a page of GitHub's. ``latest_s``: up to so long after it was asked for, a create is
    still carried out. ``many_organizations``: others have so many in the CRM that a search costs less than the list.
    ``instances``: several share one database server, and their settle time is longer by what a create may be late
    there; a single one has its database in a file.
    ``wrong_hints``: GraphQL tells how users' gists do not stand. ``users_at_once``: so many are a part of a scan.
    """

    seed: int
    days: float
    hazards: frozenset[str]
    users: Sequence[str]
    earlier_gists: int
    per_page: int
    token: bool
    settle_s: float
    list_lag: float
    search_lag: float
    latest_s: float
    fault_rate: float
    many_organizations: bool
    interval_s: float
    gist_every_s: float
    instances: int
    wrong_hints: bool
    users_at_once: int

    @property
    def faults_last_s(self) -> float:
        """So long things go wrong; after that all has to come right."""
        return self.days * DAY_S

    @property
    def lists_organizations(self) -> bool:
        """Whether listing all deals may be too dear: always, or on a day of few tokens."""
        return BY_ORGANIZATION in self.hazards or ("limits" in self.hazards and not self.needs_whole_list)

    @property
    def needs_whole_list(self) -> bool:
        """Whether there are deals that only the list of all tells of, where the database is lost."""
        return bool(self.hazards & {MOVES, FOLLOWED})

    @property
    def page_sizes(self) -> Sequence[int]:
        """What takes the place of the daemon's own, so that there are full pages."""
        return (self.per_page, -(-self.per_page // 3), -(-self.per_page // 10))

    @classmethod
    def draw(cls, seed: int, days: float) -> "RunPlan":
        random = Random(f"plan {seed}")
        instances = random.choices((1, 2, 3), (14, 1, 1))[0]
        excluded = set(DATABASE_FILE_HAZARDS if instances > 1 else ())
        more = {hazard for hazard, chance in BY_ITSELF.items() if Random(f"{hazard} of {seed}").random() < chance}
        if Random(f"organizations of {seed}").random() < 0.2:
            more.add(BY_ORGANIZATION)  # listing all deals counts as too dear
            # what people move, or was made for another name, is not found again there without a database
            more -= {MOVES, FOLLOWED}
        if instances > 1:
            more -= {ROLLBACKS, LOSSES, UNSEEN}
        if UNSEEN in more:
            more -= LOSES_ANSWERS
            excluded |= LOSES_ANSWERS
        if TEMPLATES in more:
            more -= {STAMPS}  # of a field that goes away for good, nobody can tell what it held
        if MOVES in more:
            excluded |= {"dry runs"}  # which leave unknown for days whether a deal was created
        if LISTS in more:
            excluded |= {"renames"}  # which are of users whose names people write
        else:
            more -= {FOLLOWED}
        settle_s = random.choice((30.0, 60.0, 90.0))
        list_lag = random.choice((0.0, 1.0, random.uniform(0.0, settle_s - 5.0)))
        if LOSSES in more:
            list_lag = max(list_lag, settle_s - 10.0)  # what was created last is not listed before the next start
        return cls(
            seed=seed,
            days=days,
            hazards=frozenset(hazard for hazard in HAZARDS if random.random() < 0.5) - excluded | more,
            users=random.sample(NAMES, random.randint(2, len(NAMES))),
            earlier_gists=random.choice((0, 3, 12)),
            per_page=random.choice((3, 6, 12, 100) if FOLLOWED not in more else (3, 3, 3, 6)),
            token=random.random() < 0.5 or HINTS in more,
            settle_s=settle_s + (FRESH_S if instances > 1 else 0.0),
            list_lag=list_lag,
            search_lag=random.uniform(list_lag, settle_s - 2.0),
            latest_s=random.uniform(0.0, settle_s - list_lag - 2.0),
            fault_rate=random.choice((0.01, 0.05, 0.2)),
            many_organizations=random.random() < 0.02,
            interval_s=random.choice((900.0, 1800.0, 3600.0)),
            gist_every_s=random.choice((3600.0, 10_000.0)),
            instances=instances,
            wrong_hints=Random(f"wrong hints of {seed}").random() < 0.5,
            users_at_once=Random(f"users at once of {seed}").choice((1, 2, 3)),
        )
