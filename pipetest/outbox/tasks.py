"""What has to reach Pipedrive, in memory: a task for each gist without a deal, and one for each user's organization.

A task's fields change in its own methods only; when it is due, :mod:`pipetest.outbox.progress` alone says. Moments are
monotonic seconds.
"""

from collections.abc import Mapping
from math import inf
from typing import ClassVar

from msgspec import Struct

from pipetest.domain.backoff import backoff
from pipetest.domain.model import DealChange, Entry, Organization, OrganizationChange, State, key
from pipetest.outbox.recognition import is_long_id

NEVER = inf


class Miss(Struct, frozen=True):
    """A search that did not find the record: when it ``began``, and in which epoch of the circuit breaker."""

    began: float
    epoch: int


class _Task(Struct, eq=False, kw_only=True):
    """What both kinds of tasks share.

    ``due`` is when it can go on; ``not_found`` the last search that did not find it, if one counts; ``in_progress``
    whether a worker has it; ``attempts`` how often in a row it failed before anything was decided.
    """

    due: float
    not_found: Miss | None = None
    in_progress: bool = False
    attempts: int = 0

    def start(self) -> None:
        """A worker has it now."""
        self.in_progress = True

    def finish(self) -> None:
        """The worker is done with it."""
        self.in_progress = False

    def schedule(self, due: float) -> None:
        """It can go on at this moment, no matter when it could before."""
        self.due = due

    def postpone(self, now: float, wait: float | None = None) -> None:
        """Something failed before anything was decided: it goes on after ``wait`` seconds, or a backoff, at the
        earliest."""
        self.attempts += 1
        self.due = max(self.due, now + (backoff(self.attempts) if wait is None else wait))

    def answered(self) -> None:
        """A search for it was answered, whatever the answer was."""
        self.attempts = 0

    def missed(self, miss: Miss) -> None:
        """A search did not find it."""
        self.not_found = miss

    def forget_miss(self) -> Miss | None:
        """An earlier search says nothing about it any more. Returns what that said."""
        miss, self.not_found = self.not_found, None
        return miss

    def miss_age(self, now: float, epoch: int) -> float:
        """Seconds since the last search began that did not find it; infinite where none counts.

        One of an earlier ``epoch`` does not: an hour's refusal may lie between, in which anything may have happened in
        Pipedrive.
        """
        return now - self.not_found.began if self.not_found is not None and self.not_found.epoch == epoch else inf


class DealTask(_Task, eq=False):
    """A gist without a deal. Its ``parent`` is the task of the organization that the deal will be in.

    ``waiting_since`` is when it came to wait here. ``reconciled``: no life of the daemon that this database has
    forgotten can have created its deal, as its organization was listed, or created, since.
    """

    entry: Entry
    parent: "OrganizationTask"
    state: State
    waiting_since: float
    reconciled: bool = False

    @property
    def gist_id(self) -> str:
        return self.entry.gist.id

    @property
    def key(self) -> str:
        return f"gist {self.gist_id}"

    @property
    def about(self) -> Mapping[str, str]:
        """The fields that name it in the log."""
        return {"gist": self.gist_id, "user": self.parent.name}

    @property
    def priority(self) -> float:
        """The newest gist goes first, so that a backfill of thousands does not delay what is fresh."""
        return self.entry.gist.created_at

    @property
    def ready(self) -> float:
        """What an organization waits for, its gists wait for too."""
        return max(self.due, self.parent.due)

    @property
    def change(self) -> DealChange:
        """Its state, to be stored."""
        return DealChange(self.gist_id, self.state)

    def set_state(self, state: State) -> None:
        self.state = state

    def searched(self, miss: Miss) -> None:
        """All deals of its organization were listed, and its own was not among them."""
        self.missed(miss)
        self.reconciled = True

    def unreconciled(self) -> None:
        """Its deal may be in Pipedrive although a list that was read has not shown it."""
        self.reconciled = False

    def organization_changed(self, organization: Organization, *, moved: bool) -> None:
        """``moved``: its deal will be in another organization, in which nobody has searched for it yet."""
        self.reconciled = organization.reconciled_at is not None
        if moved:
            self.forget_miss()


class OrganizationTask(_Task, eq=False):
    """One user's organization, and the gists that wait for their deal in it. It stays for gists that come later.

    ``last_seen`` is when it was created, or last seen in Pipedrive.
    """

    priority: ClassVar[float] = -inf
    """What its gists need of it comes when they do; what it needs by itself comes last."""

    name: str
    organization: Organization
    last_seen: float
    deals: dict[str, DealTask] = {}

    @property
    def key(self) -> str:
        return organization_key(self.name)

    @property
    def about(self) -> Mapping[str, str]:
        """The fields that name it in the log."""
        return {"user": self.name}

    @property
    def state(self) -> State:
        return self.organization.state

    @property
    def ready(self) -> float:
        return self.due

    @property
    def change(self) -> OrganizationChange:
        """Its state, to be stored."""
        return OrganizationChange(self.name, self.organization)

    def add_deal(self, deal: DealTask) -> None:
        """It waits for this organization."""
        self.deals[deal.key] = deal

    def remove_deal(self, deal: DealTask) -> None:
        """It waits no more."""
        del self.deals[deal.key]

    def set_organization(self, organization: Organization) -> None:
        """Whether it is reconciled counts for all gists that wait here."""
        moved = organization.state != self.state
        self.organization = organization
        for deal in self.deals.values():
            deal.organization_changed(organization, moved=moved)

    def short_ids_unreconciled(self) -> None:
        """What is known of its deals is known of gists whose ids are recognised in any organization."""
        for deal in self.deals.values():
            if not is_long_id(deal.gist_id):
                deal.unreconciled()

    def seen(self, now: float) -> None:
        self.last_seen = now


Task = DealTask | OrganizationTask


class StoreTask(_Task, eq=False):
    """What the store has to learn from Pipedrive before anything else may go on."""

    key: ClassVar[str] = "what is unknown here"
    priority: ClassVar[float] = inf

    @property
    def ready(self) -> float:
        return self.due


def organization_key(user: str) -> str:
    """The key of the task for this user's organization."""
    return f"user {key(user)}"
