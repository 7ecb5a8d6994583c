"""What has to be done before gists and organizations may go on: tasks that are in memory alone. Pure; moments are
monotonic seconds."""

from math import inf
from typing import ClassVar

from pipetest.outbox.pause import Pause, paused
from pipetest.outbox.tasks import BaseTask, Kind, Task


class FirstTask(BaseTask, eq=False):
    """The first record of its kind: created, and not yet seen. Pipedrive knows it by its ``id``, and calls it ``name``.

    It should be seen by ``settled``. Looked for and not seen, it has a ``pause`` until it is looked for again, and is
    ``hidden`` where that was after ``settled``.
    """

    kind: Kind
    id: int
    name: str
    settled: float
    pause: Pause | None = None
    hidden: bool = False

    @property
    def key(self) -> str:
        return f"{self.kind} {self.id}"

    @property
    def ready(self) -> float:
        return self.due if self.pause is None else max(self.due, self.pause.not_before)

    def not_seen(self, now: float) -> None:
        """It was looked for, and Pipedrive does not show it."""
        self.hidden = now >= self.settled
        self.pause = paused(self.pause, "not seen", now, lasting=True)


class StoreTask(BaseTask, eq=False):
    """What the store has to learn from Pipedrive before anything else may go on."""

    key: ClassVar[str] = "what is unknown here"
    priority: ClassVar[float] = inf

    @property
    def ready(self) -> float:
        return self.due


class NamesTask(BaseTask, eq=False):
    """The look-up of what the names in the template stand for. Unless they are ``known``, nothing is created before."""

    key: ClassVar[str] = "what the template names"
    priority: ClassVar[float] = inf

    known: bool = False

    @property
    def ready(self) -> float:
        return self.due

    def looked_up(self, next_due: float) -> None:
        """They are known; and are looked up again at that moment, at the latest."""
        self.known, self.due = True, next_due

    def unknown(self, now: float) -> None:
        """They are to be looked up, now."""
        self.known, self.due = False, now

    def doubted(self, due: float) -> None:
        """They may not be right any more: they are looked up at that moment, at the latest."""
        self.due = min(self.due, due)


AnyTask = Task | FirstTask | StoreTask | NamesTask
