"""How far each organization and deal has come: kept alike in the backlog and in the store."""

from collections.abc import Sequence

from attrs import frozen

from pipetest.domain.backoff import backoff
from pipetest.domain.interfaces import Store, Time
from pipetest.domain.model import DealChange, Organization, OrganizationChange, State
from pipetest.outbox import rules
from pipetest.outbox.queue import DealTask, OrganizationTask, Task, TaskQueue


@frozen(eq=False)
class Progress:
    """``settle`` is in seconds."""

    _backlog: TaskQueue
    _store: Store
    _time: Time
    _settle: float

    async def move(self, item: Task, state: State) -> None:
        """It has come to ``state``; returns when that is durable."""
        item.due = self.now() + rules.due_in(state, self._time.wall(), settle=self._settle)
        if isinstance(item, DealTask):
            self._backlog.move(item, state)
            await self._store.save(DealChange(item.entry.gist.id, state))
        else:
            self._backlog.house(item, Organization(state))
            await self._store.save(OrganizationChange(item.name, item.organization))

    def housed(self, desk: OrganizationTask, organization: Organization) -> OrganizationChange:
        """It was seen, or seen to be gone, just now; the change is yet to be stored."""
        self._backlog.house(desk, organization)
        desk.due = desk.seen = self.now()
        desk.absent = None
        return OrganizationChange(desk.name, organization)

    def put_off(self, items: Sequence[Task], wait: float | None = None) -> None:
        """Something failed before anything was decided: these are tried again after ``wait`` seconds, or a backoff."""
        for item in items:
            item.attempts += 1
            again = self.now() + (backoff(item.attempts) if wait is None else wait)
            item.due = max(item.due, again)

    def now(self) -> float:
        """Monotonic seconds."""
        return self._time.monotonic()
