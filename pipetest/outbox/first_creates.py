"""The first organization and the first deal are read back: what the API key's user does not see would not be found
again after a lost answer, and so would be created twice.

They go alone (:mod:`pipetest.outbox.queue`), and nothing else is created before they were seen. So it is again with the
first one of each new template. What is found in Pipedrive shows nothing: others may have made it, or another template.
"""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace
from twisted.logger import Logger

from pipetest.domain.interfaces import Pipedrive, Store, Time
from pipetest.domain.template import CurrentTemplate, Template
from pipetest.outbox.prerequisites import FirstTask
from pipetest.outbox.progress import Progress
from pipetest.outbox.queue import TaskQueue
from pipetest.outbox.registry import TaskRegistry
from pipetest.outbox.tasks import KINDS, Kind

FIRST_CREATED = "first_created"
"""The store's name for the first record of each kind."""

GIVEN_UP_S = 24 * 3600.0
"""A first record that is not seen for so long may never be: people rename, merge and delete. Another one is tried."""


class First(Struct, frozen=True):
    """The first record that was created by a ``template``, which is told by a short digest; and whether it was seen."""

    template: str
    id: int
    name: str
    seen: bool = False


class FirstCreates:
    """``template`` is what records look like. A ``dry_run`` creates nothing."""

    _log = Logger()

    def __init__(
        self,
        tasks: TaskRegistry,
        queue: TaskQueue,
        progress: Progress,
        pipedrive: Pipedrive,
        store: Store,
        time: Time,
        template: CurrentTemplate,
        *,
        dry_run: bool,
    ) -> None:
        self._tasks = tasks
        self._queue = queue
        self._progress = progress
        self._pipedrive = pipedrive
        self._store = store
        self._time = time
        self._template = template
        self._dry_run = dry_run
        self._firsts: Mapping[Kind, First] = {}

    async def begin(self) -> None:
        """Load what was created first, and go on looking for what was not seen."""
        self._firsts = await self._store.get_value(FIRST_CREATED, dict[Kind, First]) or {}
        self.template_changed()

    def template_changed(self) -> None:
        """Another template may be in force: the first record that is created by it goes alone. The one before is not
        looked for any more: people may have corrected in the template what kept it from being seen."""
        for kind in KINDS:
            first = self._firsts.get(kind)
            if self._dry_run or (first is not None and self._is_current(kind, first) and first.seen):
                self._tasks.first_seen(kind)
            elif first is None or not self._is_current(kind, first):
                self._tasks.goes_alone(kind)
            elif kind not in self._tasks.firsts:
                self._look_for(kind, first)

    async def created(self, kind: Kind, record_id: int, name: str, template: Template) -> None:
        """A record was created by this template. The first one is to be seen before anything else is created; returns
        when it is stored that this has yet to happen."""
        first = First(digest(kind, template), record_id, name)
        if kind in self._tasks.alone and self._is_current(kind, first):
            self._look_for(kind, first)
            await self._put(kind, first)

    async def read_back(self, task: FirstTask) -> None:
        """Look whether the key's user sees it. Before the settle time is over it may just not be shown yet; after that,
        people may have deleted it."""
        late = self._time.monotonic() >= task.settled
        if task.kind == "deal":
            seen = await self._pipedrive.sees_deal(task.id, deleted=late)
        else:
            seen = await self._pipedrive.sees_organization(task.id, task.name, deleted=late)
        task.answered()
        if self._tasks.firsts.get(task.kind) is not task:
            return  # another template is in force by now
        if not seen:
            now = self._time.monotonic()
            task.not_seen(now)
            if now >= task.settled + GIVEN_UP_S:
                await self._give_up(task)
            return
        self._tasks.first_seen(task.kind)
        await self._put(task.kind, replace(self._firsts[task.kind], seen=True))

    async def _give_up(self, task: FirstTask) -> None:
        given_up = "{what} is not looked for any more: the next {kind} goes alone instead"
        self._log.warn(given_up, event="first_given_up", what=task.key, kind=task.kind)
        self._tasks.goes_alone(task.kind)
        await self._keep({kind: first for kind, first in self._firsts.items() if kind != task.kind})

    def _is_current(self, kind: Kind, first: First) -> bool:
        """Whether records of this kind are created now as this one was."""
        return first.template == digest(kind, self._template.value)

    def _look_for(self, kind: Kind, first: First) -> None:
        now = self._time.monotonic()
        settled = now + self._progress.settle
        self._queue.read_back(FirstTask(kind=kind, id=first.id, name=first.name, due=now, settled=settled), now)

    async def _put(self, kind: Kind, first: First) -> None:
        await self._keep({**self._firsts, kind: first})

    async def _keep(self, firsts: Mapping[Kind, First]) -> None:
        self._firsts = firsts
        await self._store.put_value(FIRST_CREATED, firsts)


def digest(kind: Kind, template: Template) -> str:
    """Tells what records of this kind look like that this template makes."""
    return template.digest if kind == "deal" else template.organization.digest
