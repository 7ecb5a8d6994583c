"""What the outbox tells of itself: how far gists have come, and what of them waits or is refused."""

from collections.abc import Sequence

from pipetest.domain import status
from pipetest.domain.interfaces import Time
from pipetest.domain.model import Quarantined, Sent, Wanted
from pipetest.outbox.queue import TaskQueue


class OutboxStatus:
    """Reads the tasks of a queue."""

    def __init__(self, queue: TaskQueue, time: Time) -> None:
        self._queue = queue
        self._time = time

    def counts(self, gists: int) -> status.Ledger:
        """How far all ``gists`` have come: those that are not here are done."""
        counts = self._queue.counts
        wanted, sent, quarantined = counts[Wanted], counts[Sent], counts[Quarantined]
        return status.Ledger(wanted=wanted, sent=sent, quarantined=quarantined, done=gists - counts.total())

    def state_name(self, gist_id: str) -> str:
        """How far this gist has come, as people are told; one that is not here is done."""
        task = self._queue.deal(gist_id)
        return "done" if task is None else type(task.state).__name__.lower()

    def oldest(self) -> status.Waiting | None:
        """The gist that has waited longest for its deal."""
        task = self._queue.oldest()
        if task is None:
            return None
        since_at = self._time.wall() - (self._time.monotonic() - task.waiting_since)
        return status.Waiting(id=task.gist_id, user=task.parent.name, since_at=since_at)

    def quarantine(self) -> Sequence[status.Quarantined]:
        return [
            status.Quarantined(
                id=task.gist_id, user=task.parent.name, reason=task.state.reason, since_at=task.state.since_at
            )
            for task in self._queue.quarantined.values()
            if isinstance(task.state, Quarantined)
        ]

    def quarantined(self) -> int:
        return len(self._queue.quarantined)

    def waiting(self) -> int:
        """How many gists wait for their deal; those in quarantine wait for people."""
        return self._queue.waiting

    def to_create(self) -> tuple[int, int]:
        """How many deals are yet to be created, and how many organizations before them."""
        return self._queue.waiting, self._queue.organizations_waiting

    def open_deals(self, user: str) -> int:
        """How many of this user's gists have no deal yet."""
        organization = self._queue.organization(user)
        return 0 if organization is None else len(organization.deals)
