"""What has to reach Pipedrive, in memory: a task for each gist without a deal, and one for each user's organization.

A task's fields change in its own methods only; when it is due, :mod:`pipetest.outbox.progress` alone says. Moments are
monotonic seconds.
"""

from collections.abc import Mapping, Sequence
from math import inf
from typing import ClassVar, Literal

from msgspec import Struct
from msgspec.structs import replace

from pipetest.domain.backoff import backoff
from pipetest.domain.model import (
    DealChange,
    Done,
    Entry,
    Organization,
    OrganizationChange,
    Quarantined,
    State,
    Text,
    key,
)
from pipetest.domain.template import DealShape
from pipetest.outbox.pause import FAILURE_THRESHOLD, Pause, counts, paused
from pipetest.outbox.recognition import is_long_id
from pipetest.outbox.rules import needs_search

NEVER = inf

Kind = Literal["organization", "deal"]
KINDS: Sequence[Kind] = ("organization", "deal")


class Miss(Struct, frozen=True):
    """A search that did not find the record: when it ``began``, and in which epoch of the circuit breaker."""

    began: float
    epoch: int


class BaseTask(Struct, eq=False, kw_only=True):
    """What all tasks share.

    ``due`` is when it can go on; ``not_found`` the last search that did not find it, if one counts; ``in_progress``
    whether an action for it is under way; ``attempts`` how many of them in a row have failed and decided nothing, and
    ``failure`` why the last one did, where Pipedrive gave no usable answer.
    ``refused_with`` is what it was to be created with when it was refused for good, for which that may be at fault.
    """

    due: float
    not_found: Miss | None = None
    in_progress: bool = False
    attempts: int = 0
    failure: str | None = None
    refused_with: DealShape | None = None

    def start(self) -> None:
        """An action for it begins."""
        self.in_progress = True

    def finish(self) -> None:
        """The action for it has ended."""
        self.in_progress = False

    def schedule(self, due: float) -> None:
        """It can go on at this moment, no matter when it could before."""
        self.due = due

    def postpone(self, now: float, wait: float | None = None, failure: str | None = None) -> None:
        """An action failed and decided nothing: it goes on after ``wait`` seconds, or a backoff, but no sooner than it
        could before."""
        self.attempts += 1
        self.failure = failure
        self.due = max(self.due, now + (backoff(self.attempts) if wait is None else wait))

    def answered(self) -> None:
        """A search for it was answered, whatever the answer was."""
        self.attempts, self.failure = 0, None

    def refused(self, shape: DealShape) -> None:
        """It was refused when it was to be created with this shape, which may be at fault."""
        self.refused_with = shape

    def missed(self, miss: Miss) -> None:
        """A search did not find it."""
        self.not_found = miss

    def forget_miss(self) -> Miss | None:
        """No earlier search counts from now on. Returns the one that did."""
        miss, self.not_found = self.not_found, None
        return miss

    def miss_age(self, now: float, epoch: int) -> float:
        """Seconds since the last search began that did not find it; infinite where none counts.

        One of an earlier ``epoch`` does not: creation may have stood still for an hour since then, and people may have
        changed anything in Pipedrive.
        """
        return now - self.not_found.began if self.not_found is not None and self.not_found.epoch == epoch else inf


class DealTask(BaseTask, eq=False):
    """A gist without a deal. Its ``parent`` is the task of the organization that the deal will be in.

    ``waiting_since`` is when it came to wait here. ``reconciled``: its organization was listed, or created, since the
    gist was written, so that only a create that this database knows of can have made its deal.
    """

    entry: Entry
    parent: "OrganizationTask"
    state: State
    waiting_since: float
    reconciled: bool = False

    kind: ClassVar[Kind] = "deal"

    @property
    def organization_task(self) -> "OrganizationTask":
        return self.parent

    @property
    def gist_id(self) -> str:
        return self.entry.gist.id

    @property
    def text(self) -> Text | None:
        """None where it is not known yet."""
        return self.entry.gist.text

    @property
    def key(self) -> str:
        return gist_key(self.gist_id)

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
        return max(self.due, self.parent.ready)

    def start(self) -> None:
        super().start()
        self.parent.deal_started()

    def finish(self) -> None:
        super().finish()
        self.parent.deal_finished()

    @property
    def change(self) -> DealChange:
        """Its state, to be stored."""
        return DealChange(self.gist_id, self.state)

    def set_state(self, state: State) -> None:
        self.state = state

    def learn(self, entry: Entry) -> None:
        """More is known of the gist."""
        self.entry = entry

    def needs_search(self, now: float, epoch: int) -> bool:
        """Whether Pipedrive has to be searched for it before it may be created."""
        return needs_search(self.state, self.miss_age(now, epoch), reconciled=self.reconciled)

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


class OrganizationTask(BaseTask, eq=False):
    """One user's organization, and the gists that wait for their deal in it. It stays for gists that come later.

    ``account`` is the user's number at GitHub, where it is known. ``last_seen`` is when it was created, or last seen in
    Pipedrive. With a ``pause`` it is put off, alone: Pipedrive refused what was to be created in it. ``turn`` is the
    number of its last create, counted over all organizations: the one with the smallest was served longest ago.
    """

    kind: ClassVar[Kind] = "organization"

    priority: ClassVar[float] = -inf
    """It is found, or created, when one of its gists is next. Without gists it comes last."""

    name: str
    organization: Organization
    last_seen: float
    account: int | None = None
    deals: dict[str, DealTask] = {}
    pause: Pause | None = None
    turn: int = 0
    deals_in_progress: int = 0
    refused_in_a_row: int = 0

    @property
    def organization_task(self) -> "OrganizationTask":
        return self

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
        return self.due if self.pause is None else max(self.due, self.pause.not_before)

    @property
    def is_full(self) -> bool:
        """Whether no further deal may be begun in it now: put off, it goes one gist at a time."""
        return self.pause is not None and self.deals_in_progress > 0

    @property
    def waits_for(self) -> Kind | None:
        """What is yet to be created here, but for what is in quarantine."""
        if isinstance(self.state, Done):
            return "deal" if any(not isinstance(deal.state, Quarantined) for deal in self.deals.values()) else None
        return None if isinstance(self.state, Quarantined) else "organization"

    @property
    def has_all(self) -> bool:
        """Whether it is in Pipedrive and no gist waits for its deal."""
        return isinstance(self.state, Done) and not self.deals

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
        """It has changed, and with it whether the gists that wait here are reconciled."""
        moved = organization.state != self.state
        self.organization = organization
        for deal in self.deals.values():
            deal.organization_changed(organization, moved=moved)

    def short_ids_unreconciled(self) -> None:
        """The list of all deals says nothing of gists with short ids: only in this organization are they recognised."""
        for deal in self.deals.values():
            if not is_long_id(deal.gist_id):
                deal.unreconciled()

    def account_known(self, account: int) -> None:
        self.account = account

    def seen(self, now: float) -> None:
        self.last_seen = now

    def deal_started(self) -> None:
        self.deals_in_progress += 1

    def deal_finished(self) -> None:
        self.deals_in_progress -= 1

    def served(self, turn: int) -> None:
        """A create in it, or of it, begins."""
        self.turn = turn

    # --- what Pipedrive makes of it -----------------------------------------------------------------------------------

    def put_off(self, reason: str, now: float) -> None:
        """What was to be created here was refused, and that is not one record's fault."""
        if counts(self.pause, now):
            self.pause = paused(self.pause, reason, now)

    def deal_refused(self, reason: str, now: float) -> None:
        """A deal was refused for good."""
        self.refused_in_a_row += 1
        if self.pause is not None or self.refused_in_a_row >= FAILURE_THRESHOLD:
            self.put_off(reason, now)

    def try_now(self) -> None:
        """Another one was refused for the same reason, and no longer is."""
        if self.pause is not None:
            self.pause = replace(self.pause, not_before=0.0)

    def resume(self) -> None:
        """It, or something in it, was created, or is to be tried again by hand: it is not put off any more."""
        self.pause, self.refused_in_a_row = None, 0


Task = DealTask | OrganizationTask


def gist_key(gist_id: str) -> str:
    """The key of the task for this gist."""
    return f"gist {gist_id}"


def organization_key(user: str) -> str:
    """The key of the task for this user's organization."""
    return f"user {key(user)}"
