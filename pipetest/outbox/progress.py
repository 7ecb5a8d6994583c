"""How far each deal and organization has come, the same in memory and in the store; and when it can go on."""

from collections.abc import Collection, Iterable, Sequence

from twisted.logger import Logger

from pipetest.domain.interfaces import OutboxListener, Store, Time
from pipetest.domain.model import Done, Entry, Organization, OrganizationChange, Sent
from pipetest.outbox.breaker import Cause
from pipetest.outbox.prerequisites import AnyTask
from pipetest.outbox.queue import TaskQueue
from pipetest.outbox.registry import TaskRegistry
from pipetest.outbox.rules import Step
from pipetest.outbox.tasks import NEVER, OrganizationTask, Task

CREATED = "is deal"
FOUND = "is in Pipedrive already, as deal"
"""How a gist comes to its deal."""


class Progress:
    """Brings tasks from one state to the next, and alone says when they are due. ``settle`` is in seconds."""

    _log = Logger()

    def __init__(
        self, tasks: TaskRegistry, queue: TaskQueue, store: Store, time: Time, listener: OutboxListener, settle: float
    ) -> None:
        self._tasks = tasks
        self._queue = queue
        self._store = store
        self._time = time
        self._listener = listener
        self.settle = settle

    async def transition(self, task: Task, step: Step) -> None:
        """The task takes this step; returns when that is durable."""
        task.schedule(self._time.monotonic() + step.wait)
        self._tasks.set_state(task, step.state)
        await self._store.save(task.change)

    async def send(self, task: Task) -> None:
        """A create of it may be on its way from now on; returns when that is durable."""
        await self.transition(task, Step(Sent(), self.settle))

    def exchange_ended(self, task: Task) -> None:
        """Its create has ended. Unless the outcome says otherwise, the record may surface for a settle time."""
        task.schedule(self._time.monotonic() + self.settle)

    def organization_seen(self, task: OrganizationTask, organization: Organization) -> OrganizationChange:
        """The organization was just seen in Pipedrive, or seen to be gone. Returns the change, yet to be stored."""
        now = self._time.monotonic()
        self._tasks.set_organization(task, organization)
        task.seen(now)
        task.schedule(now)
        task.forget_miss()
        return task.change

    def deal_done(self, entry: Entry, deal_id: int, how: str) -> None:
        """Tell that the gist has its deal, and ``how`` it came to that."""
        self._listener.deal_done(entry.gist.id, deal_id)
        self._log.info(
            "{user}: gist {gist} {how} {deal_id}",
            event="deal_created" if how == CREATED else "deal_found",
            how=how,
            deal_id=deal_id,
            user=entry.user,
            gist=entry.gist.id,
        )

    def would_be_created(self, task: Task) -> None:
        """A dry run ends here for the task, and for the gists that only wait for their organization."""
        self.schedule([task], NEVER)
        self._log.info("dry run: {what} would be created", event="dry_run", what=task.key, **task.about)
        if isinstance(task, OrganizationTask):
            for deal in task.deals.values():
                self.would_be_created(deal)

    def warn_of_surplus(self, kind: str, name: str, ids: Sequence[int]) -> None:
        """Tell which others there are beside the one that was adopted."""
        if ids:
            self._log.warn(
                "Pipedrive holds more than one {kind} named {name}: {surplus} left alone",
                event="surplus_found",
                kind=kind,
                name=name,
                surplus=list(ids),
            )

    def schedule(self, tasks: Iterable[Task], wait: float = 0.0) -> None:
        """They can go on after so many seconds, no matter when they could before."""
        for task in tasks:
            task.schedule(self._time.monotonic() + wait)

    def retry_now(self, tasks: Collection[Task]) -> None:
        """They can go on now, and are looked at again."""
        self.schedule(tasks)
        for task in tasks:
            self._queue.put(task, self._time.monotonic())

    def skipped_no_more(self, entries: Sequence[Entry]) -> None:
        """Tell that these gists are wanted, or done, which were skipped."""
        self._listener.skipped_no_more(entries)
        for entry in entries:
            self.adopted_when_recorded(entry)

    def adopted_when_recorded(self, entry: Entry) -> None:
        """Tell so where a deal of the gist was found before."""
        if isinstance(entry.deal, Done) and entry.deal.id is not None:
            self.deal_done(entry, entry.deal.id, FOUND)

    def retry_one(self, cause: Cause, but: Task) -> None:
        """What refused records for this cause may be over: try one of the others in quarantine. If it succeeds too, it
        is the next one's turn."""
        task = self._tasks.oldest_quarantined(cause, but)
        if task is not None:
            self.retry_now([task])

    def postpone(self, tasks: Iterable[AnyTask], wait: float | None = None, failure: str | None = None) -> None:
        """An action failed and decided nothing: try these again after ``wait`` seconds, or a backoff."""
        for task in tasks:
            task.postpone(self._time.monotonic(), wait, failure)
