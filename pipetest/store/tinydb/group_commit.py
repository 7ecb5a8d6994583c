"""Group commit: one commit at a time, of all changes that wait by then, and each repeated until it succeeds."""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from pipetest.domain.backoff import backoff
from pipetest.domain.errors import Unstored
from pipetest.domain.interfaces import Run
from pipetest.runtime.shutdown import LAST_WRITE_S

T = TypeVar("T")

LAZY_S = 5.0
"""A change that need not be durable at once waits this long for a commit that is made anyway: a visitor a second costs
a commit every five seconds, and after a crash visitors are shown again what they were shown in the last five."""

RETRY_FIRST_S = 1.0
RETRY_LONGEST_S = 60.0

BRISK_S = 0.1
REST_LONGEST_S = 2.0
"""A commit that took longer than ``BRISK_S`` is followed by as long a rest, at most ``REST_LONGEST_S``: each writes the
whole file, so a big one on a slow disk would otherwise keep both busy without end. All that waits meanwhile shares the
next. A hundred thousand gists (20 MB) take 0.05 s on a local disk, and several times that on a network's."""

STUCK_S = 30.0
"""A commit that takes longer than this is a problem too: a network file system that hangs returns no error."""


class _Change:
    """``apply`` makes it in TinyDB, in the thread; ``then`` follows on the reactor once it is durable."""

    def __init__(self, apply: Callable[[], None], then: Callable[[], Any]) -> None:
        self.apply = apply
        self.durable: Deferred[Any] = Deferred()
        self._then = then

    def acknowledge(self) -> None:
        try:
            result = self._then()
        except Exception:
            self.durable.errback()
        else:
            self.durable.callback(result)


def rest_after(took: float) -> float:
    """Seconds to leave thread and disk alone after a commit that took so many."""
    return min(took, REST_LONGEST_S) if took > BRISK_S else 0.0


class GroupCommit:
    """The commits of the database at ``path``.

    Each commit asks ``lazy_changes`` for what need not be durable at once (None: nothing). ``flush`` blocks, and makes
    durable what was applied.
    """

    _log = Logger()

    def __init__(
        self,
        run: Run,
        clock: IReactorTime,
        monotonic: Callable[[], float],
        path: str,
        lazy_changes: Callable[[], Callable[[], None] | None],
        flush: Callable[[], None],
    ) -> None:
        self._run = run
        self._clock = clock
        self._monotonic = monotonic
        self._path = path
        self._lazy_changes = lazy_changes
        self._flush = flush
        self._waiting: list[_Change] = []
        self._collected: list[_Change] = []
        self._unapplied: deque[Callable[[], None]] = deque()
        self._unflushed = False
        self._lazy_due = False
        self._lazy_call: IDelayedCall | None = None
        self._working = False
        self._commit_began: float | None = None
        self._failures = 0
        self._failure: str | None = None
        self._delay: Deferred[None] | None = None
        self._closing: Deferred[None] | None = None

    @property
    def problem(self) -> str | None:
        """Why the last commit failed, or that the one under way takes too long."""
        if self._failure is None and self._commit_began is not None:
            took = self._monotonic() - self._commit_began
            if took > STUCK_S:
                return f"{self._path}: a write has not ended for {took:.0f} s"
        return self._failure

    def submit(self, apply: Callable[[], None], then: Callable[[], T]) -> "Deferred[T]":
        """Make a change durable; the result is that of ``then``. Cancelling ends the wait, not the change."""
        if self._closing is not None:
            return fail(Unstored(f"{self._path} is closed"))
        change = _Change(apply, then)
        self._waiting.append(change)
        self._begin()
        return change.durable

    def schedule_lazy(self) -> None:
        """There is a lazy change: see that there is a commit soon."""
        if self._lazy_call is None and self._closing is None:
            self._lazy_call = self._clock.callLater(LAZY_S, self._flush_lazy)

    async def close(self) -> bool:
        """Write what waits, once more and within a bounded time, and fail the rest with ``Unstored``.

        Returns whether the thread is free again.
        """
        self._closing = Deferred()
        if self._delay is not None:
            self._delay.cancel()
        self._flush_lazy()
        try:
            if self._working:
                await self._closing.addTimeout(LAST_WRITE_S, self._clock)
        except defer.TimeoutError:
            self._log.error(
                "{path}: the last write has not ended; what waits for it is lost",
                event="last_write_cut_short",
                path=self._path,
            )
        finally:
            lost, self._collected, self._waiting = [*self._collected, *self._waiting], [], []
            for change in lost:
                change.durable.errback(Unstored(self.problem or f"{self._path} was closed before this was written"))
        return not self._working

    def _flush_lazy(self) -> None:
        self._lazy_due = True
        self._begin()

    def _begin(self) -> None:
        if not self._working:
            self._working = True
            working = Deferred.fromCoroutine(self._work())
            working.addErrback(
                lambda failure: self._log.failure("no more commits are made", failure, event="commits_ended")
            )

    async def _work(self) -> None:
        while self._waiting or self._lazy_due or self._unflushed:
            self._collect()
            wait = await self._attempt() if self._unflushed else 0.0
            if self._closing is not None and self._failures:
                break
            await self._pause(wait)
        self._working = False
        if self._closing is not None and not self._closing.called:
            self._closing.callback(None)

    def _collect(self) -> None:
        """Take all that waits, and all lazy changes, into the next commit."""
        if self._lazy_call is not None and self._lazy_call.active():
            self._lazy_call.cancel()
        self._lazy_call, self._lazy_due = None, False
        collected, self._waiting = self._waiting, []
        self._collected += collected
        self._unapplied += [change.apply for change in collected]
        if (lazy := self._lazy_changes()) is not None:
            self._unapplied.append(lazy)
        self._unflushed = self._unflushed or bool(self._unapplied)

    async def _attempt(self) -> float:
        """One commit; how long to wait before the next, in seconds."""
        began = self._commit_began = self._monotonic()
        try:
            await self._run(self._commit)
        except Exception as e:
            return self._failed(e)
        finally:
            self._commit_began = None
        self._succeeded()
        return rest_after(self._monotonic() - began)

    def _commit(self) -> None:
        """In the thread."""
        while self._unapplied:  # when a commit is repeated, its changes are applied already
            self._unapplied[0]()
            self._unapplied.popleft()
        self._flush()

    def _failed(self, error: Exception) -> float:
        self._failures += 1
        wait = backoff(self._failures, first=RETRY_FIRST_S, longest=RETRY_LONGEST_S)
        if not isinstance(error, OSError):
            self._log.failure("a commit failed", event="commit_failed")
        self._failure = f"{self._path}: {getattr(error, 'strerror', None) or error}"
        self._log.debug("{reason}; retrying in {wait_s:g} s", reason=self._failure, wait_s=wait)
        return wait

    def _succeeded(self) -> None:
        self._failures, self._failure, self._unflushed = 0, None, False
        durable, self._collected = self._collected, []
        for change in durable:
            change.acknowledge()

    async def _pause(self, seconds: float) -> None:
        if seconds and self._closing is None:
            self._delay = deferLater(self._clock, seconds)
            with suppress(CancelledError):
                await self._delay
            self._delay = None
