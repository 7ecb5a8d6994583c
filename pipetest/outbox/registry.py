"""The tasks in memory, by their keys: what there is, how far each has come, and how many have come how far. Pure."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from pipetest.domain.model import Done, Organization, Quarantined, Sent, State, Wanted
from pipetest.outbox.breaker import Cause, CircuitBreaker
from pipetest.outbox.prerequisites import FirstTask
from pipetest.outbox.tasks import KINDS, DealTask, Kind, OrganizationTask, Task, gist_key, organization_key


class TaskRegistry:
    """All tasks. ``counts`` are gists without a deal by the type of their state; ``quarantined`` are the gists and
    organizations that Pipedrive refused, by key. ``listed_at`` is when all deals of the company were listed: since then
    none is unknown here, but for gists with short ids. None where they were not listed.

    ``alone``: the kinds of record of which none was seen yet that the template in force has made; ``firsts``: the
    records that were created for that, and are yet to be seen."""

    def __init__(self, breaker: CircuitBreaker) -> None:
        self.counts: Counter[type[State]] = Counter()
        self.quarantined: dict[str, Task] = {}
        self.listed_at: float | None = None
        self.alone: set[Kind] = set(KINDS)
        self.firsts: dict[Kind, FirstTask] = {}
        self._breaker = breaker
        self._organizations: dict[str, OrganizationTask] = {}
        self._without_organization: dict[str, OrganizationTask] = {}
        self._deals: dict[str, DealTask] = {}

    # --- what is here -------------------------------------------------------------------------------------------------

    def get(self, key: str) -> Task | None:
        """The task of this key; None when it has left, or never was here."""
        return self._deals.get(key) or self._organizations.get(key)

    def organization(self, user: str) -> OrganizationTask | None:
        return self._organizations.get(organization_key(user))

    def deal(self, gist_id: str) -> DealTask | None:
        """The task of this gist; None when its deal is done, or nobody knows the gist."""
        return self._deals.get(gist_key(gist_id))

    def state_of(self, gist_id: str) -> State | None:
        """How far this gist has come; None when its deal is done, or nobody knows the gist."""
        task = self.deal(gist_id)
        return None if task is None else task.state

    def oldest(self) -> DealTask | None:
        """The gist that has waited longest for its deal; those in quarantine wait for people."""
        return next((deal for deal in self._deals.values() if not isinstance(deal.state, Quarantined)), None)

    def organizations(self) -> Collection[OrganizationTask]:
        return self._organizations.values()

    def without_organization(self) -> Collection[OrganizationTask]:
        """Those that are yet to be found, or created."""
        return self._without_organization.values()

    def waiting_for(self, kind: Kind) -> Iterator[OrganizationTask]:
        """The organizations for which, or in which, a record of this kind is yet to be created."""
        return (task for task in self._organizations.values() if task.waits_for == kind)

    def hidden(self) -> Sequence[FirstTask]:
        """The first records that should be seen by now, and are not."""
        return [task for task in self.firsts.values() if task.hidden]

    def put_off(self) -> Sequence[OrganizationTask]:
        """The organizations that wait alone, as Pipedrive refused what was to be created in them."""
        return [task for task in self._organizations.values() if task.pause is not None and task.waits_for]

    def oldest_quarantined(self, cause: Cause, but: Task) -> Task | None:
        """Of the others that were refused for this cause, the one that was tried longest ago."""
        alike = (
            task
            for task in self.quarantined.values()
            if task is not but and not task.in_progress and cause.status and _cause(task) == cause
        )
        return min(alike, key=tried_at, default=None)

    @property
    def waiting(self) -> int:
        """How many gists wait for their deal; those in quarantine wait for people."""
        return self.counts[Wanted] + self.counts[Sent]

    @property
    def organizations_waiting(self) -> int:
        """How many organizations are yet to be created, or found."""
        return sum(isinstance(task.state, Wanted | Sent) for task in self._without_organization.values())

    @property
    def anything_waits(self) -> bool:
        """Whether a gist waits for its deal, or a user for the organization."""
        return self.waiting + self.organizations_waiting > 0

    # --- what changes in it -------------------------------------------------------------------------------------------

    def first_created(self, task: FirstTask) -> None:
        self.firsts[task.kind] = task

    def goes_alone(self, kind: Kind) -> None:
        """The next record of this kind does: none was seen yet that was created as they are from now on, and none is
        looked for any more."""
        self.alone.add(kind)
        self.firsts.pop(kind, None)

    def first_seen(self, kind: Kind) -> None:
        self.alone.discard(kind)
        self.firsts.pop(kind, None)

    def whole_list_read(self, listed_at: float) -> None:
        """All deals of the company were listed, so what was found then holds for every organization."""
        self.listed_at = listed_at
        for task in self._organizations.values():
            if isinstance(task.state, Done):
                self.set_organization(task, Organization(task.state, listed_at))
                task.short_ids_unreconciled()

    def nothing_reconciled(self) -> None:
        """Any organization may hold deals that are unknown here."""
        self.listed_at = None
        for task in self._organizations.values():
            self.set_organization(task, Organization(task.state))

    def add_organization(self, task: OrganizationTask) -> None:
        self._organizations[task.key] = task
        self.set_organization(task, task.organization)

    def add_deal(self, task: DealTask) -> None:
        self._deals[task.key] = task
        task.parent.add_deal(task)
        self.counts[type(task.state)] += 1
        self.set_state(task, task.state)

    def set_organization(self, task: OrganizationTask, organization: Organization) -> None:
        task.set_organization(organization)
        self._note_quarantine(task)
        if isinstance(task.state, Done):
            self._without_organization.pop(task.key, None)
        else:
            self._without_organization[task.key] = task

    def set_state(self, task: Task, state: State) -> None:
        """A gist whose deal is done leaves."""
        if isinstance(state, Done):
            self._breaker.found(task)
        if isinstance(task, OrganizationTask):
            self.set_organization(task, Organization(state))
            return
        self.counts[type(task.state)] -= 1
        task.set_state(state)
        self._note_quarantine(task)
        if isinstance(state, Done):
            del self._deals[task.key]
            task.parent.remove_deal(task)
            return
        self.counts[type(state)] += 1

    def _note_quarantine(self, task: Task) -> None:
        if isinstance(task.state, Quarantined):
            self.quarantined[task.key] = task
        else:
            self.quarantined.pop(task.key, None)


def _cause(task: Task) -> Cause | None:
    return Cause(task.state.status, task.state.code) if isinstance(task.state, Quarantined) else None


def tried_at(task: Task) -> float:
    """When a task in quarantine was refused last."""
    return task.state.since_at if isinstance(task.state, Quarantined) else 0.0
