"""What the outbox tells of itself: how far gists have come, and what of them waits or is refused."""

from collections import Counter
from collections.abc import Mapping, Sequence

from pipetest.domain import status
from pipetest.domain.interfaces import Time
from pipetest.domain.model import Quarantined, Sent, Wanted
from pipetest.outbox.breaker import CircuitBreaker
from pipetest.outbox.pause import FAILURE_THRESHOLD
from pipetest.outbox.registry import TaskRegistry
from pipetest.outbox.rules import QUARANTINE_S
from pipetest.outbox.tasks import KINDS, DealTask, OrganizationTask, Task


class OutboxStatus:
    """Reads the tasks, and what the circuit breaker makes of them."""

    def __init__(self, tasks: TaskRegistry, breaker: CircuitBreaker, time: Time) -> None:
        self._tasks = tasks
        self._breaker = breaker
        self._time = time

    def counts(self, gists: int, skipped: int) -> status.Ledger:
        """How far all ``gists`` have come, of which so many are ``skipped``: the others that are not here are done."""
        counts = self._tasks.counts
        wanted, sent, quarantined = counts[Wanted], counts[Sent], counts[Quarantined]
        done = gists - skipped - counts.total()
        return status.Ledger(wanted=wanted, sent=sent, quarantined=quarantined, skipped=skipped, done=done)

    def state_name(self, gist_id: str) -> str:
        """How far this gist has come, as people are told; one that is not here is done."""
        task = self._tasks.deal(gist_id)
        return "done" if task is None else type(task.state).__name__.lower()

    def oldest(self) -> status.Waiting | None:
        """The gist that has waited longest for its deal."""
        task = self._tasks.oldest()
        if task is None:
            return None
        since_at = self._time.wall() - (self._time.monotonic() - task.waiting_since)
        return status.Waiting(id=task.gist_id, user=task.parent.name, since_at=since_at)

    def quarantine(self) -> Sequence[status.Quarantined]:
        return [
            _quarantined(task, task.state)
            for task in self._tasks.quarantined.values()
            if isinstance(task.state, Quarantined)
        ]

    def quarantined(self) -> Mapping[str, int]:
        """How many records of each kind are in quarantine."""
        return Counter[str](task.kind for task in self._tasks.quarantined.values())

    def refusals(self) -> Mapping[str, str]:
        """Why no record of a kind is created, though some wait."""
        reasons = {kind: self._breaker.kinds[kind].refusal(self._tasks.waiting_for(kind)) for kind in KINDS}
        return {kind: reason for kind, reason in reasons.items() if reason is not None}

    def put_off(self) -> Mapping[str, str]:
        """Why an organization is put off, by its user; without those whose whole kind of record is refused."""
        refused = self.refusals()
        return {
            task.name: task.pause.reason
            for task in self._tasks.put_off()
            if task.pause is not None and task.waits_for not in refused
        }

    def unsearched(self) -> Mapping[str, str]:
        """Why Pipedrive has not told, several times in a row, what it holds of these users: nothing is created of
        theirs before it does."""
        return {
            task.name: task.failure
            for task in self._tasks.organizations()
            if task.failure is not None and task.attempts >= FAILURE_THRESHOLD and task.waits_for
        }

    def hidden(self) -> Mapping[str, int]:
        """The first record of a kind, by its id, that Pipedrive does not show: nothing more is created meanwhile."""
        return {task.kind: task.id for task in self._tasks.hidden()}

    def waiting(self) -> int:
        """How many gists wait for their deal; those in quarantine wait for people."""
        return self._tasks.waiting

    def anything_waits(self) -> bool:
        """Whether a gist waits for its deal, or a user for the organization."""
        return self._tasks.anything_waits

    def to_create(self) -> tuple[int, int]:
        """How many deals are yet to be created, and how many organizations before them; without those that wait for an
        organization in quarantine."""
        stuck = (task for task in self._tasks.quarantined.values() if isinstance(task, OrganizationTask))
        deals = sum(not isinstance(deal.state, Quarantined) for task in stuck for deal in task.deals.values())
        return self._tasks.waiting - deals, self._tasks.organizations_waiting

    def open_deals(self, user: str) -> int:
        """How many of this user's gists have no deal yet."""
        organization = self._tasks.organization(user)
        return 0 if organization is None else len(organization.deals)


def _quarantined(task: Task, state: Quarantined) -> status.Quarantined:
    return status.Quarantined(
        id=task.gist_id if isinstance(task, DealTask) else task.name,
        user=task.organization_task.name,
        reason=state.reason,
        since_at=state.since_at,
        next_at=state.since_at + QUARANTINE_S,
        kind="gist" if isinstance(task, DealTask) else "organization",
        status=state.status,
    )
