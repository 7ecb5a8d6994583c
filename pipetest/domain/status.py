"""How the daemon is, in one frozen value: what ``/status`` answers, and what page, metrics and ``/ready`` are made of.

Fields are names in JSON, and classes are names in ``/openapi.json``: they stay as they are, also where the code calls
the same thing otherwise. ``ledger`` is the outbox, ``quotas`` are the rate limits, ``visited`` are the users that were
read, and ``Quarantined`` is a record in the state that :mod:`pipetest.domain.model` calls so. Times are seconds since
the epoch.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct

from pipetest.domain.problems import PAUSED, OperatorProblem


class Instance(Struct, frozen=True, kw_only=True):
    """Which daemon this is. A gist's page is ``gists_url`` and its id, a user's ``profiles_url`` and the name, a deal's
    ``deals_url`` and its number."""

    company: str
    version: str
    started_at: float
    gists_url: str
    deals_url: str
    profiles_url: str = "https://github.com/"
    dry_run: bool = False


class Leader(Struct, frozen=True, kw_only=True):
    """Which of several instances scans and creates: this one, if it is ``here``. ``name`` is the one that does, or did
    last."""

    here: bool
    name: str | None = None


class Scan(Struct, frozen=True, kw_only=True):
    """The scan under way, or else the last one; ``started_at`` is None before the first. ``stalled``: scans fail again
    and again, or none ends."""

    under_way: bool = False
    started_at: float | None = None
    ended_at: float | None = None
    next_at: float | None = None
    users: int = 0
    visited: int = 0
    failed_in_a_row: int = 0
    stalled: bool = False


class Creation(Struct, frozen=True, kw_only=True):
    """``paused`` by an operator; ``refusal`` says why Pipedrive's account refuses every create, while it does;
    ``reconciling`` what is looked for in Pipedrive before anything is created."""

    paused: bool = False
    refusal: str | None = None
    reconciling: str | None = None


class Ledger(Struct, frozen=True, kw_only=True):
    """How many gists stand where; those that are ``skipped`` are older than the backfill, and get no deal."""

    wanted: int = 0
    sent: int = 0
    done: int = 0
    quarantined: int = 0
    skipped: int = 0

    @property
    def total(self) -> int:
        return self.wanted + self.sent + self.done + self.quarantined + self.skipped

    @property
    def waiting(self) -> int:
        return self.wanted + self.sent


class UserCounts(Struct, frozen=True, kw_only=True):
    """How many users are queried. Of ``failing`` the last pass has failed; GitHub does not know ``unknown`` of these.
    Of ``unread`` no pass has ended yet."""

    total: int = 0
    failing: int = 0
    unread: int = 0
    unknown: int = 0


class QueriedUser(Struct, frozen=True, kw_only=True):
    """``error`` is why the last pass failed, if it did; ``succeeded_at`` is None until a pass has gone well. Of the
    ``gists``, ``skipped`` are older than the backfill. ``recorded_as`` is the name that the account had when it was
    first read, if that is another one."""

    name: str
    recorded_as: str | None = None
    succeeded_at: float | None = None
    error: str | None = None
    gists: int = 0
    deals: int = 0
    skipped: int = 0


BURST = " in 2 s"
"""The name of a limit of seconds ends so."""


class Quota(Struct, frozen=True, kw_only=True):
    """One limit of one API. None: not known, or not limited."""

    service: str
    name: str
    limit: float | None = None
    left: float | None = None
    used: float | None = None
    reset_at: float | None = None

    @property
    def is_told(self) -> bool:
        """Whether people are told of it: something is known, and that is still so when they have read it."""
        return (self.left is not None or self.used is not None) and not self.name.endswith(BURST)


class Outlook(Struct, frozen=True, kw_only=True):
    """When every deal that waits will be created, in ``text`` as a sentence; ``done_at`` is None where that cannot be
    told. ``obstacle`` is why nothing is created, where that is no limit."""

    done_at: float | None
    text: str
    obstacle: str | None = None


class ShownGist(Struct, frozen=True, kw_only=True):
    """A gist as people see it; ``description`` is what it says of itself, or its first file's name. ``state`` is its
    deal's, ``deal`` its number where that is known."""

    id: str
    description: str = ""
    user: str
    created_at: float
    state: str = "wanted"
    deal: int | None = None


class Waiting(Struct, frozen=True, kw_only=True):
    """A gist whose deal is not created yet; this process has known of it since ``since_at``."""

    id: str
    user: str
    since_at: float


class Quarantined(Struct, frozen=True, kw_only=True):
    """A record that Pipedrive refused for good: the deal of the gist ``id``, or the organization of the user ``id``.
    ``status`` is the HTTP status of the refusal, 0 where it was not stored yet. It is tried again by itself at
    ``next_at``, or as soon after as anything is created."""

    id: str
    user: str
    reason: str
    since_at: float
    next_at: float | None = None
    kind: Literal["gist", "organization"] = "gist"
    status: int = 0


class AuditFinding(Struct, frozen=True, kw_only=True):
    """A gist and its deal; ``others`` are more living deals of it. ``user`` is None of a gist that the feed lacks, and
    ``deal`` where its number was never known."""

    gist: str
    deal: int | None = None
    user: str | None = None
    others: Sequence[int] = ()


class Audit(Struct, frozen=True, kw_only=True):
    """What a comparison of feed and outbox with all deals in Pipedrive found, that began ``at`` and cost so many
    ``tokens``. So many ``gists`` were judged: those whose deal was done a settle time before it began.

    ``missing``: no deal is there, not even a deleted one. ``duplicate``: there are several that live. ``moved``: the
    deal is no longer in its user's organization. ``renamed``: its title does not tell the gist any more.
    ``unknown``: a deal is there of a gist that the feed lacks. Of each the first hundred are named, and ``counts``
    counts all. ``newly_missing`` is how many of those missing the audit before did not report.
    """

    at: float
    tokens: int
    gists: int
    counts: Mapping[str, int]
    newly_missing: int = 0
    missing: Sequence[AuditFinding] = ()
    duplicate: Sequence[AuditFinding] = ()
    moved: Sequence[AuditFinding] = ()
    renamed: Sequence[AuditFinding] = ()
    unknown: Sequence[AuditFinding] = ()


class AuditState(Struct, frozen=True, kw_only=True):
    """The ``last`` audit that came to its end, and whether one is ``running``; ``progress`` is the share of it that is
    done. ``failure`` is why a later one, which ended at ``failed_at``, has no result."""

    running: bool = False
    progress: float = 0.0
    failure: str | None = None
    failed_at: float | None = None
    last: Audit | None = None


class Day(Struct, frozen=True, kw_only=True):
    """How many gists were recorded and how many deals created or found on one day, by UTC; ``day`` as in 2026-11-24.
    ``written`` is how many of all gists were written on that day, whenever they were recorded."""

    day: str
    gists: int = 0
    deals: int = 0
    written: int = 0


class NextDeal(Struct, frozen=True, kw_only=True):
    """What the template in force makes of a gist: of one that waits for its deal, else of the newest. ``fields`` are
    custom fields by name. Its owner is left out: whoever may ask for gists sees this."""

    gist: str
    user: str
    title: str
    pipeline: str | None = None
    stage: str | None = None
    labels: Sequence[str] = ()
    fields: Mapping[str, str] = {}


class Status(Struct, frozen=True, kw_only=True):
    """All of it. ``problems`` are what an operator has to know, the worst first: without any, all is well.
    ``troubles`` are their texts, and ``database_trouble`` is the store's problem: 1.0.0 called them so. ``unready`` is
    why ``/ready`` answers 503. ``healthy_since`` is since when there has been no problem, as far as this process knows.
    ``leader`` is None where there is one instance only; where another one leads, all but what is about this process is
    what that one stored ``age`` seconds ago.

    ``users`` are as many queried users as are shown, those that cannot be read first; ``user_counts`` counts all.
    ``oldest`` has waited longest. ``latest`` has the gist first that was written last, ``days`` the oldest day.
    ``passes`` counts by outcome the passes that have ended since the start.
    """

    at: float
    instance: Instance
    leader: Leader | None = None
    age: float = 0.0
    problems: Sequence[OperatorProblem] = ()
    troubles: Sequence[str] = ()
    unready: str | None = None
    healthy_since: float | None = None
    database_trouble: str | None = None
    scan: Scan = Scan()
    creation: Creation = Creation()
    ledger: Ledger = Ledger()
    outlook: Outlook | None = None
    oldest: Waiting | None = None
    user_counts: UserCounts = UserCounts()
    users: Sequence[QueriedUser] = ()
    quotas: Sequence[Quota] = ()
    latest: Sequence[ShownGist] = ()
    quarantine: Sequence[Quarantined] = ()
    days: Sequence[Day] = ()
    deals_last_hour: int = 0
    next_deal: NextDeal | None = None
    passes: Mapping[str, int] = {}
    audit: AuditState = AuditState()

    @property
    def headline(self) -> str:
        """How it is as a whole: "error", "warning", "paused", "rehearsing" in a dry run, or "healthy". A pause is what
        people asked for, and no alarm."""
        wrong = [problem.severity for problem in self.problems if problem.id != PAUSED]
        if wrong:
            return wrong[0]
        if self.problems:
            return "paused"
        return "rehearsing" if self.instance.dry_run else "healthy"
