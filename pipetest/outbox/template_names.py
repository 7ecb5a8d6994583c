"""What the names in the template stand for: looked up before the first create, after a day, and when refusals make that
doubtful."""

from msgspec import Struct

from pipetest.domain.interfaces import Pipedrive, Store, Time
from pipetest.domain.model import Quarantined, State, Wanted
from pipetest.domain.template import CurrentTemplate, DealShape, Ids, Misfit
from pipetest.outbox.breaker import CircuitBreaker
from pipetest.outbox.prerequisites import NamesTask
from pipetest.outbox.progress import Progress
from pipetest.outbox.queue import TaskQueue
from pipetest.outbox.tasks import Task

NAMES = "names"
"""The store's name for what was looked up last."""

KEPT_S = 24 * 3600.0

BETWEEN_S = 600.0
"""Records that are refused make it look up at most this often."""


class LookedUp(Struct, frozen=True):
    """The result of a look-up ``at`` this moment, for the template with this digest."""

    template: str
    at: float
    ids: Ids


class TemplateNames:
    """``shape`` is what records are created with: another one after each look-up, and with each template."""

    def __init__(
        self,
        template: CurrentTemplate,
        queue: TaskQueue,
        breaker: CircuitBreaker,
        progress: Progress,
        pipedrive: Pipedrive,
        store: Store,
        time: Time,
    ) -> None:
        self.shape = DealShape(template.value)
        self._current = template
        self._queue = queue
        self._breaker = breaker
        self._progress = progress
        self._pipedrive = pipedrive
        self._store = store
        self._time = time
        self._task = NamesTask(due=0.0)
        self._looked_up = 0.0
        self._doubting: set[Task] = set()  # refused by the last look-up, which may be at fault

    async def begin(self) -> None:
        """Nothing is created before the names are known, from a look-up of less than a day ago or a new one."""
        self.template_changed()
        last = await self._store.get_value(NAMES, LookedUp)
        if last is None:
            return
        age = abs(self._time.wall() - last.at)
        if last.template == self._current.value.digest:
            self._known(last.ids, self._time.monotonic() - age)

    def template_changed(self) -> None:
        """Another template may be in force: its names are looked up before the next create. What was to be created by
        the one before, and has not left yet, does not leave."""
        self._breaker.new_epoch()
        template = self._current.value
        self.shape = DealShape(template)
        self._task.unknown(self._time.monotonic())
        self._queue.look_up_before_creates(self._task if template.has_names else None)
        if template.has_names:
            self._breaker.look_up_now()
        else:
            self._breaker.no_names()

    async def look_up(self) -> None:
        template, now = self._current.value, self._time.monotonic()
        found = await self._pipedrive.look_up(template)
        if isinstance(found, Ids):
            await self._store.put_value(NAMES, LookedUp(template.digest, self._time.wall(), found))
        if template is not self._current.value:
            return  # the new one's names are yet to be looked up
        if isinstance(found, Misfit):
            self._task.unknown(now)
            self._breaker.template_misfits(found.reason, self._time.monotonic())
            return
        self._known(found, now)
        self._breaker.template_fits()

    def _known(self, ids: Ids, looked_up: float) -> None:
        self.shape = DealShape(self._current.value, ids)
        self._looked_up = looked_up
        self._doubting.clear()
        self._task.looked_up(looked_up + KEPT_S)

    @property
    def in_doubt(self) -> bool:
        """Whether records wait for the next look-up, as Pipedrive refused them by the last one."""
        return bool(self._doubting) and self._task.known

    def look_up_now(self) -> None:
        """Where the template doesn't fit, or is in doubt, see at once whether it fits now."""
        self._breaker.look_up_now()
        waiting = [task for task in self._doubting if not task.in_progress and isinstance(task.state, Wanted)]
        if waiting:
            self._task.doubted(self._time.monotonic())
        self._progress.retry_now(waiting)

    def refused(self, task: Task, before: State, shape: DealShape) -> float | None:
        """A record in state ``before`` was refused for good, when it was to be created with this shape. Where that may
        be at fault: in how many seconds there is another one, before which the record is not tried again.

        None where it is the record's own fault: it was refused before, and what was looked up since is still fresh.
        """
        if isinstance(before, Quarantined):
            return None
        if shape is not self.shape:  # there was a look-up meanwhile, or another template is in force
            task.refused(shape)
            return 0.0
        if not self._current.value.has_names:
            return None
        now, refused_with = self._time.monotonic(), task.refused_with
        if refused_with is not None and refused_with is not shape and now < self._looked_up + BETWEEN_S:
            return None
        task.refused(shape)
        self._doubting.add(task)
        self._task.doubted(max(now, self._looked_up + BETWEEN_S))
        return self._task.due - now
