"""Changes to feed and ledger, one transaction at a time, for as long as this process holds the lock."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from typing import TypeVar

from psycopg import Error, OperationalError
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from pipetest.domain.errors import DatabaseRefused, Unstored
from pipetest.domain.interfaces import Command, Run, Time
from pipetest.store.postgres import writes
from pipetest.store.postgres.connection import Connected, Database
from pipetest.store.postgres.lease import AdvisoryLock

T = TypeVar("T")

FRESH_S = 2.0
"""A create may leave while the lock was known to be ours so lately; who takes over waits much longer than that."""

STUCK_S = 5.0
"""A write under way for longer than this is trouble too: a server that hangs returns no error."""

RETRY_FIRST_S = 0.5
RETRY_LONGEST_S = 30.0


class LeasedWriter:
    """Holds the lease, or tries to. ``unreconciled`` is as of the last time it was acquired."""

    shared = True
    _log = Logger()

    def __init__(self, database: Database, lock: AdvisoryLock, run: Run, time: Time, clock: IReactorTime) -> None:
        self._database = database
        self._lock = lock
        self._run = run
        self._time = time
        self._clock = clock
        self._closed = False
        self._held_since: tuple[float, float] | None = None
        self._term = 0
        self._at_work = 0
        self._progress_at = 0.0
        self._naps: set[Deferred[None]] = set()
        self._lock_trouble: str | None = None
        self._write_trouble: str | None = None
        self._call_when_lost: Callable[[], None] = lambda: None
        self.unreconciled = False

    def on_lost(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called, on the main thread, whenever the lease turns out to be lost."""
        self._call_when_lost = callback

    @property
    def trouble(self) -> str | None:
        """Why a write failed, or takes so long."""
        reason = self._write_trouble or self._lock_trouble
        silent_for = self._time.monotonic() - self._progress_at if self._at_work else 0.0
        if reason is None and silent_for > STUCK_S:
            return f"{self._database.name}: no answer for {silent_for:.0f} s"
        return reason

    @property
    def holds(self) -> bool:
        """Whether the lock is ours as far as we know."""
        return self._held_since is not None

    @property
    def holder(self) -> str | None:
        """The instance that has the lock, or had it last, as of our last try to take it."""
        return self._lock.holder

    def is_fresh(self) -> bool:
        """Whether the lock was ours within the last two seconds, by both clocks: one of them stands still while the
        machine sleeps, the other can be set."""
        if self._held_since is None:
            return False
        monotonic, wall = self._held_since
        return self._time.monotonic() - monotonic <= FRESH_S and self._time.wall() - wall <= FRESH_S

    # --- the lock -----------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Try to take the lock, blocking.

        :raises psycopg.Error: the database cannot be asked.
        """
        self._took(self._now(), self._lock.acquire())

    async def acquire(self) -> bool:
        """Try to take the lock; whether it is ours."""
        if self._closed or self.holds:
            return self.holds
        before = self._now()
        try:
            self._took(before, await self._run(self._lock.acquire))
        except Error as e:
            self._lock_failed(self._database.said(e))
        except DatabaseRefused as e:
            self._lock_failed(str(e))
        else:
            self._lock_trouble = self._write_trouble = None
        return self.holds

    async def renew(self) -> Sequence[Command]:
        """Keep the lock, which has to be done every second; what people ask for by the way."""
        try:
            orders = await self._once(self._lock.renew)
        except Error as e:
            self._lock_failed(self._database.said(e))
            return []
        self._lock_trouble = None
        return orders

    async def release(self) -> None:
        """Let go of the lock; somebody else may take it, or we again."""
        self._held_since = None
        await self._run(self._lock.release)

    async def acknowledge(self, command: Command) -> None:
        """:raises Unstored: the lease is lost."""
        await self.make(lambda connection: writes.acknowledge(connection, command.id))

    async def mark_reconciled(self) -> None:
        """:raises Unstored: the lease is lost."""
        await self.make(writes.mark_reconciled)
        self.unreconciled = False

    def _took(self, before: tuple[float, float], unreconciled: bool | None) -> None:
        if unreconciled is not None:
            self.unreconciled = unreconciled
            self._held_since = before
            self._term += 1

    # --- changes ------------------------------------------------------------------------------------------------------

    async def make(self, change: Callable[[Connected], T]) -> T:
        """Make a change in one commit; one that fails is made again, for as long as the lock is ours.

        :raises Unstored: the lock is not, or no longer, ours; it may have been made.
        """
        term = self._term
        for attempt in count():
            if self._closed or not self.holds or term != self._term:
                raise Unstored(f"{self._database.name}: {'closed' if self._closed else 'the lock is not ours'}")
            try:
                made = await self._once(lambda: self._lock.write(change))
            except Error as e:
                await self._write_failed(e, attempt)
            else:
                self._write_trouble = None
                return made
        raise AssertionError

    async def _once(self, work: Callable[[], T]) -> T:
        """Work with the lock in the thread. What succeeds shows that it was ours when it began."""
        before = self._now()
        if not self._at_work:
            self._progress_at = before[0]
        self._at_work += 1
        try:
            result = await self._run(work)
        except Error:
            self._look()
            raise
        finally:
            self._at_work -= 1
            self._progress_at = self._time.monotonic()
        if self._held_since is not None:
            self._held_since = max(self._held_since, before)
        return result

    def _look(self) -> None:
        """See whether the lock is lost."""
        if self.holds and self._lock.lost:
            self._held_since = None
            self._call_when_lost()
            self._wake()

    def _lock_failed(self, reason: str) -> None:
        if reason != self._lock_trouble:
            self._log.error("{reason}", reason=reason)
        self._lock_trouble = reason

    async def _write_failed(self, error: Error, attempt: int) -> None:
        if not self.holds:
            raise Unstored(f"{self._database.name}: the lock is lost") from None
        wait = min(RETRY_LONGEST_S, RETRY_FIRST_S * 2.0 ** min(attempt, 32))
        reason = self._database.said(error)
        if not isinstance(error, OperationalError):
            self._log.failure("a commit failed; tried again in {wait_s:g} s", wait_s=wait)
        elif reason != self._write_trouble:
            self._log.error("{reason}", reason=reason)
        self._write_trouble = reason
        nap: Deferred[None] = deferLater(self._clock, wait)
        self._naps.add(nap)
        with suppress(CancelledError):
            await nap
        self._naps.discard(nap)

    def _wake(self) -> None:
        """Have what waits to be made again look whether it still can be."""
        for nap in list(self._naps):
            nap.cancel()

    # --- its end ------------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Make what waits, once, and let go of the lock."""
        self._closed = True
        self._wake()
        await self._run(self._lock.release)
        self._held_since = None

    def cut(self) -> None:
        """End whatever waits for the database: its thread is free then."""
        self._lock.cut()

    def _now(self) -> tuple[float, float]:
        return self._time.monotonic(), self._time.wall()
