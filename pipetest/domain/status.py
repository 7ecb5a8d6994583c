"""How the daemon is, in one frozen value: what ``/status`` answers, and what page, metrics and ``/ready`` are made of.

Times are seconds since the epoch.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct


class Instance(Struct, frozen=True, kw_only=True):
    """Which daemon this is. A gist's page is ``gists_url`` and its id, a deal's ``deals_url`` and its number."""

    company: str
    version: str
    started_at: float
    gists_url: str
    deals_url: str
    dry_run: bool = False


class Leader(Struct, frozen=True, kw_only=True):
    """Which of several instances scans and creates: ``here`` this one; ``name`` says who does, or who did last."""

    here: bool
    name: str | None = None


class Scan(Struct, frozen=True, kw_only=True):
    """The scan under way, or else the last one; ``started_at`` is None before the first. ``stalled``: scans fail again
    and again, or stand still."""

    under_way: bool = False
    started_at: float | None = None
    ended_at: float | None = None
    next_at: float | None = None
    users: int = 0
    visited: int = 0
    failed_in_a_row: int = 0
    stalled: bool = False


class Creation(Struct, frozen=True, kw_only=True):
    """``paused`` by people; ``refusal`` says why Pipedrive's account refuses every create, while it does."""

    paused: bool = False
    refusal: str | None = None


class Ledger(Struct, frozen=True, kw_only=True):
    """How many gists stand where."""

    wanted: int = 0
    sent: int = 0
    done: int = 0
    quarantined: int = 0

    @property
    def total(self) -> int:
        return self.wanted + self.sent + self.done + self.quarantined

    @property
    def waiting(self) -> int:
        return self.wanted + self.sent


class UserCounts(Struct, frozen=True, kw_only=True):
    """How many users are queried; how many the last visit could not read, and how many none has read yet."""

    total: int = 0
    failing: int = 0
    unread: int = 0


class QueriedUser(Struct, frozen=True, kw_only=True):
    """``error`` is None while visits go well; ``succeeded_at`` is None before the first success."""

    name: str
    succeeded_at: float | None = None
    error: str | None = None
    gists: int = 0
    deals: int = 0


class Quota(Struct, frozen=True, kw_only=True):
    """One limit of one API; None is not known, or not limited."""

    service: str
    name: str
    limit: float | None = None
    left: float | None = None
    used: float | None = None
    reset_at: float | None = None


class Outlook(Struct, frozen=True, kw_only=True):
    """When all that waits will be done; None where no day's budget allows it. ``text`` says so in a sentence."""

    done_at: float | None
    text: str


class ShownGist(Struct, frozen=True, kw_only=True):
    """A gist as people see it; ``state`` as in the ledger, ``deal`` where its number is known."""

    id: str
    user: str
    created_at: float
    state: str = "wanted"
    deal: int | None = None


class Waiting(Struct, frozen=True, kw_only=True):
    """A gist whose deal is still to be made; pipetest knows of it since ``since_at``, at the earliest its own start."""

    id: str
    user: str
    since_at: float


class Quarantined(Struct, frozen=True, kw_only=True):
    """A gist whose deal Pipedrive refused for good."""

    id: str
    user: str
    reason: str
    since_at: float


class Day(Struct, frozen=True, kw_only=True):
    """What was recorded and created on one day, by UTC; ``day`` as in 2026-11-24."""

    day: str
    gists: int = 0
    deals: int = 0


class Status(Struct, frozen=True, kw_only=True):
    """All of it. ``troubles`` is what somebody should look at, the worst first, a line each: without any, all is well.
    ``unready`` is why ``/ready`` answers 503, ``database_trouble`` why ``/health`` does.

    ``users`` are the queried ones, as many as are shown, those in trouble first; ``user_counts`` tells of all.
    ``oldest`` waits longest; ``latest`` are the newest gists first, ``days`` the oldest first. ``passes`` counts the
    ends of all readings of a user's list since the start, by outcome. ``leader`` is None where there is one instance
    only.
    """

    at: float
    instance: Instance
    leader: Leader | None = None
    troubles: Sequence[str] = ()
    unready: str | None = None
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
    passes: Mapping[str, int] = {}
