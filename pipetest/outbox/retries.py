"""Tries again what is in quarantine before its day is over: when people ask for it, a few at a time, or as a probe."""

from collections import deque

from twisted.logger import Logger

from pipetest.domain.interfaces import Time
from pipetest.outbox.progress import Progress
from pipetest.outbox.registry import TaskRegistry
from pipetest.outbox.tasks import Task, gist_key, organization_key

MAX_RETRYING = 3
"""Records in quarantine that are tried at a time when all are to be: most may be refused again."""


class QuarantineRetries:
    """Puts tasks in quarantine back into the queue. ``go_on`` is to be called whenever an action has ended."""

    _log = Logger()

    def __init__(self, tasks: TaskRegistry, progress: Progress, time: Time) -> None:
        self._tasks = tasks
        self._progress = progress
        self._time = time
        self._to_retry: deque[Task] = deque()
        self._retrying: list[Task] = []

    def retry(self, name: str) -> bool:
        """Try the gist of this id, or this user's organization; False if there is no such record in quarantine."""
        quarantined = self._tasks.quarantined
        task = quarantined.get(gist_key(name)) or quarantined.get(organization_key(name))
        if task is not None:
            self._retry_by_hand(task)
        return task is not None

    def retry_all(self) -> None:
        """Organizations come first, as their gists wait for them."""
        self._to_retry = deque(sorted(self._tasks.quarantined.values(), key=lambda task: task.kind, reverse=True))
        retried = "all in quarantine are tried again, {number} in number"
        self._log.info(retried, event="quarantine_retried", number=len(self._to_retry))
        self.go_on()

    def go_on(self) -> None:
        """Where all are to be tried, begin with as many more as there is room for."""
        now, quarantined = self._time.monotonic(), self._tasks.quarantined
        self._retrying = [
            task for task in self._retrying if task.in_progress or (task.key in quarantined and task.ready <= now)
        ]
        while self._to_retry and len(self._retrying) < MAX_RETRYING:
            task = self._to_retry.popleft()
            if task.key in quarantined:
                self._retry_by_hand(task)
                self._retrying.append(task)

    def _retry_by_hand(self, task: Task) -> None:
        """Whoever asks for it may have mended what was refused."""
        task.organization_task.resume()
        self._progress.retry_now([task])
