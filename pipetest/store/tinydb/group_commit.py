"""When commits are made: one at a time, each of all changes that wait by then, and each until it has succeeded."""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from attrs import field, frozen
from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from pipetest.domain.errors import Unstored
from pipetest.domain.interfaces import Run

T = TypeVar("T")

RIDE_S = 5.0
"""What need not be durable at once waits so long for a commit to ride along with: a visitor a second costs a commit
every five seconds, and a crash shows a visitor again what it was shown in the last five."""

RETRY_FIRST_S = 1.0
RETRY_LONGEST_S = 60.0

BRISK_S = 0.1
REST_LONGEST_S = 2.0
"""A commit that took longer than ``BRISK_S`` is followed by as long a rest, at most ``REST_LONGEST_S``: each writes the
whole file, so a big one on a slow disk would otherwise keep both busy without end. All that waits meanwhile shares the
next. A hundred thousand gists (20 MB) take 0.05 s on a local disk, and several times that on a network's."""

STUCK_S = 30.0
"""A commit under way for longer than this is trouble too: a network file system that hangs returns no error."""

LAST_WRITE_S = 0.9
"""What is not written so long after the store is closed never is: it is the last step of a stop within ten seconds."""


@frozen
class _Change:
    """``apply`` makes it in TinyDB, in the thread; ``then`` follows on the reactor once it is durable."""

    apply: Callable[[], None]
    then: Callable[[], Any]
    done: "Deferred[Any]" = field(factory=Deferred)

    def end(self) -> None:
        try:
            result = self.then()
        except Exception:
            self.done.errback()
        else:
            self.done.callback(result)


def rest_after(took: float) -> float:
    """Seconds to leave thread and disk alone after a commit that took so many."""
    return min(took, REST_LONGEST_S) if took > BRISK_S else 0.0


def retry_after(failures: int) -> float:
    """Seconds to wait after so many failed commits in a row."""
    return min(RETRY_LONGEST_S, RETRY_FIRST_S * 2.0 ** min(failures - 1, 32))


class GroupCommit:
    """The commits of the database at ``path``. Each asks ``riders`` what rides along (None: nothing); ``flush`` blocks
    and makes durable what was applied."""

    _log = Logger()

    def __init__(
        self,
        run: Run,
        clock: IReactorTime,
        path: str,
        riders: Callable[[], Callable[[], None] | None],
        flush: Callable[[], None],
    ) -> None:
        self._run = run
        self._clock = clock
        self._path = path
        self._riders = riders
        self._flush = flush
        self._waiting: list[_Change] = []
        self._taken: list[_Change] = []
        self._unapplied: deque[Callable[[], None]] = deque()
        self._unflushed = False
        self._ride_due = False
        self._ride: IDelayedCall | None = None
        self._working = False
        self._begun_at: float | None = None
        self._failures = 0
        self._reason: str | None = None
        self._pausing: Deferred[None] | None = None
        self._closing: Deferred[None] | None = None

    @property
    def trouble(self) -> str | None:
        """Why the last commit failed, or takes so long."""
        if self._reason is None and self._begun_at is not None:
            took = self._clock.seconds() - self._begun_at
            if took > STUCK_S:
                return f"{self._path} cannot be written: a write has not ended for {took:.0f} s"
        return self._reason

    def make(self, apply: Callable[[], None], then: Callable[[], T]) -> "Deferred[T]":
        """Make a change durable; the result is that of ``then``. Cancelling ends the wait, not the change."""
        if self._closing is not None:
            return fail(Unstored(f"{self._path} is closed"))
        change = _Change(apply, then)
        self._waiting.append(change)
        self._begin()
        return change.done

    def ride(self) -> None:
        """Something new rides along: see that there is a commit soon."""
        if self._ride is None and self._closing is None:
            self._ride = self._clock.callLater(RIDE_S, self._depart)

    async def close(self) -> bool:
        """Write what waits, once more and within a bounded time, and fail the rest with ``Unstored``.

        Whether the thread is free again.
        """
        self._closing = Deferred()
        if self._pausing is not None:
            self._pausing.cancel()
        self._depart()
        try:
            if self._working:
                await self._closing.addTimeout(LAST_WRITE_S, self._clock)
        except defer.TimeoutError:
            self._log.error("{path}: the last write has not ended; what waits for it is lost", path=self._path)
        finally:
            lost, self._taken, self._waiting = [*self._taken, *self._waiting], [], []
            for change in lost:
                change.done.errback(Unstored(self.trouble or f"{self._path} was closed before this was written"))
        return not self._working

    def _depart(self) -> None:
        self._ride_due = True
        self._begin()

    def _begin(self) -> None:
        if not self._working:
            self._working = True
            working = Deferred.fromCoroutine(self._work())
            working.addErrback(lambda failure: self._log.failure("no more commits are made", failure))

    async def _work(self) -> None:
        while self._waiting or self._ride_due or self._unflushed:
            self._board()
            wait = await self._attempt() if self._unflushed else 0.0
            if self._closing is not None and self._failures:
                break
            await self._pause(wait)
        self._working = False
        if self._closing is not None and not self._closing.called:
            self._closing.callback(None)

    def _board(self) -> None:
        """Take along what waits and what rides."""
        if self._ride is not None and self._ride.active():
            self._ride.cancel()
        self._ride, self._ride_due = None, False
        boarding, self._waiting = self._waiting, []
        self._taken += boarding
        self._unapplied += [change.apply for change in boarding]
        if (rider := self._riders()) is not None:
            self._unapplied.append(rider)
        self._unflushed = self._unflushed or bool(self._unapplied)

    async def _attempt(self) -> float:
        """One commit; how long to wait before the next, in seconds."""
        begun_at = self._begun_at = self._clock.seconds()
        try:
            await self._run(self._commit)
        except Exception as e:
            return self._failed(e)
        finally:
            self._begun_at = None
        self._succeeded()
        return rest_after(self._clock.seconds() - begun_at)

    def _commit(self) -> None:
        """In the thread."""
        while self._unapplied:  # a commit that is tried again finds it applied already
            self._unapplied[0]()
            self._unapplied.popleft()
        self._flush()

    def _failed(self, error: Exception) -> float:
        self._failures += 1
        wait = retry_after(self._failures)
        reason = f"{self._path} cannot be written: {getattr(error, 'strerror', None) or error}"
        if not isinstance(error, OSError):
            self._log.failure("a commit failed; tried again in {wait_s:g} s", wait_s=wait)
        elif reason != self._reason:
            self._log.error("{reason}; tried again in {wait_s:g} s", reason=reason, wait_s=wait)
        self._reason = reason
        return wait

    def _succeeded(self) -> None:
        if self._reason is not None:
            self._log.info("{path} can be written again", path=self._path)
        self._failures, self._reason, self._unflushed = 0, None, False
        durable, self._taken = self._taken, []
        for change in durable:
            change.end()

    async def _pause(self, wait: float) -> None:
        if wait and self._closing is None:
            self._pausing = deferLater(self._clock, wait)
            with suppress(CancelledError):
                await self._pausing
            self._pausing = None
