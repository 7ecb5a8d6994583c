"""How far each deal and organization has come: the same in memory and in the store."""

from collections.abc import Sequence

from twisted.logger import Logger

from pipetest.domain.interfaces import OutboxListener, Store, Time
from pipetest.domain.model import Organization, OrganizationChange, State
from pipetest.outbox import rules
from pipetest.outbox.queue import TaskQueue
from pipetest.outbox.tasks import DealTask, OrganizationTask, Task


class Progress:
    """Brings tasks from one state to the next. ``settle`` is in seconds."""

    _log = Logger()

    def __init__(self, queue: TaskQueue, store: Store, time: Time, listener: OutboxListener, settle: float) -> None:
        self._queue = queue
        self._store = store
        self._time = time
        self._listener = listener
        self._settle = settle

    async def transition(self, task: Task, state: State) -> None:
        """The task comes to ``state``; returns when that is durable."""
        task.schedule(self._time.monotonic() + rules.due_in(state, self._time.wall(), settle=self._settle))
        self._queue.set_state(task, state)
        await self._store.save(task.change)

    def organization_seen(self, task: OrganizationTask, organization: Organization) -> OrganizationChange:
        """The organization was just seen in Pipedrive, or seen to be gone. Returns the change, yet to be stored."""
        now = self._time.monotonic()
        self._queue.set_organization(task, organization)
        task.seen(now)
        task.schedule(now)
        task.forget_miss()
        return task.change

    def deal_done(self, task: DealTask, deal_id: int, how: str) -> None:
        """Tell that the gist has its deal, and ``how`` it came to that."""
        self._listener.deal_done(task.gist_id, deal_id)
        self._log.info("{user}: gist {gist} {how} {deal_id}", how=how, deal_id=deal_id, **task.about)

    def postpone(self, tasks: Sequence[Task], wait: float | None = None) -> None:
        """Something failed before anything was decided: try these again after ``wait`` seconds, or a backoff."""
        for task in tasks:
            task.postpone(self._time.monotonic(), wait)
