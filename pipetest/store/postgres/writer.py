"""Changes to feed and outbox, one transaction at a time, for as long as this process holds the lease."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from typing import Concatenate, ParamSpec, TypeVar

from psycopg import Error, InternalError, OperationalError
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from pipetest.domain.backoff import backoff
from pipetest.domain.errors import DatabaseRefused, Unstorable, Unstored
from pipetest.domain.interfaces import Command, Run, Time
from pipetest.store.postgres import commands, writes
from pipetest.store.postgres.connection import ANSWER_S, UNSTORABLE, Connected, Database
from pipetest.store.postgres.lease import LeaseConnection

T = TypeVar("T")
P = ParamSpec("P")

FRESH_S = 2.0
"""A create may leave while the lease was known to be ours this lately; another instance that takes over waits much
longer than that."""

STUCK_S = 5.0
"""Work that takes longer than this is a problem too: a server that hangs returns no error."""

RETRY_FIRST_S = 0.5
RETRY_LONGEST_S = 30.0


class LeasedWriter:
    """Holds the lease, or tries to; writes while it does. ``unreconciled`` is as of the last time it was acquired, or
    marked."""

    shared = True
    _log = Logger()

    def __init__(self, database: Database, lease: LeaseConnection, run: Run, time: Time, clock: IReactorTime) -> None:
        self._database = database
        self._lease = lease
        self._run = run
        self._time = time
        self._clock = clock
        self._closed = False
        self._confirmed: tuple[float, float] | None = None
        self._term = 0
        self._working = 0
        self._last_progress = 0.0
        self._delays: set[Deferred[None]] = set()
        self._lease_failure: str | None = None
        self._write_failure: str | None = None
        self._call_when_lost: Callable[[], None] = lambda: None
        self.unreconciled = False

    def on_lost(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called, on the main thread, whenever the lease turns out to be lost."""
        self._call_when_lost = callback

    @property
    def problem(self) -> str | None:
        """Why a write failed, or that one takes too long."""
        reason = self._write_failure or self._lease_failure
        silent_for = self._time.monotonic() - self._last_progress if self._working else 0.0
        if reason is None and silent_for > STUCK_S:
            return f"{self._database.name}: no answer for {silent_for:.0f} s"
        return reason

    @property
    def holds_lease(self) -> bool:
        """Whether the lease is ours as far as we know."""
        return self._confirmed is not None

    @property
    def holder(self) -> str | None:
        """The instance that has the lease, or had it last, as of our last try to acquire it."""
        return self._lease.holder

    def is_fresh(self) -> bool:
        """Whether the lease was ours within the last two seconds, by both clocks: one of them stands still while the
        machine sleeps, the other can be set."""
        if self._confirmed is None:
            return False
        monotonic, wall = self._confirmed
        return self._time.monotonic() - monotonic <= FRESH_S and self._time.wall() - wall <= FRESH_S

    # --- the lease ----------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Try to acquire the lease, blocking.

        :raises psycopg.Error: the database cannot be asked.
        """
        before = self._now()
        if self._lease.acquire():
            self._begin_term(before)

    async def acquire(self) -> bool:
        """Try to acquire the lease; whether it is ours."""
        if self._closed or self.holds_lease:
            return self.holds_lease
        before = self._now()
        try:
            acquired = await self._watched(self._lease.acquire)
        except Error as e:
            self._lease_failure = self._database.explain(e)
        except DatabaseRefused as e:
            self._lease_failure = str(e)
        else:
            self._lease_failure = self._write_failure = None
            if acquired:
                self._begin_term(before)
        return self.holds_lease

    async def renew(self) -> Sequence[Command]:
        """Keep the lease, which has to be done every second; returns the commands that wait."""
        try:
            waiting = await self._work(self._lease.renew)
        except Error as e:
            self._lease_failure = self._database.explain(e)
            return []
        self._lease_failure = None
        return waiting

    async def release(self) -> None:
        """Let others have the lease, or us again."""
        self._confirmed = None
        await self._watched(self._lease.release)

    def _begin_term(self, confirmed: tuple[float, float]) -> None:
        self.unreconciled = self._lease.unreconciled
        self._confirmed = confirmed
        self._term += 1

    def _end_if_lost(self) -> None:
        if self.holds_lease and self._lease.lost:
            self._confirmed = None
            self._call_when_lost()
            self._end_delays()

    # --- changes ------------------------------------------------------------------------------------------------------

    async def acknowledge(self, command: Command) -> None:
        """
        :raises Unstored: the lease is lost.
        """
        await self.submit(commands.remove, command)

    async def mark_reconciled(self, reconciled_at: float | None) -> None:
        """
        :raises Unstored: the lease is lost.
        """
        await self.submit(writes.mark_reconciled, reconciled_at)
        self.unreconciled = False

    async def mark_unreconciled(self) -> None:
        """
        :raises Unstored: the lease is lost.
        """
        await self.submit(writes.mark_unreconciled)
        self.unreconciled = True

    async def submit(self, change: Callable[Concatenate[Connected, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Make a change in one commit; one that fails is made again, for as long as the lease is ours.

        :raises Unstored: the lease is not, or no longer, ours; the change may have been made.
        :raises Unstorable: the database refuses its data, which it would again.
        """
        term = self._term
        for attempts in count(1):
            if self._closed or not self.holds_lease or term != self._term:
                raise Unstored(f"{self._database.name}: {'closed' if self._closed else 'the lease is not ours'}")
            try:
                result = await self._work(
                    lambda: self._lease.write(lambda connection: change(connection, *args, **kwargs))
                )
            except UNSTORABLE as e:
                raise Unstorable(self._database.explain(e)) from None
            except Error as e:
                await self._write_failed(e, attempts)
            else:
                self._write_failure = None
                return result
        raise AssertionError

    async def _write_failed(self, error: Error, attempts: int) -> None:
        """Wait for the next attempt.

        :raises Unstored: there can be none.
        """
        if not self.holds_lease:
            raise Unstored(f"{self._database.name}: the lease is lost") from None
        if not isinstance(error, OperationalError | InternalError):
            self._log.failure("a commit failed", event="commit_failed")
        wait = backoff(attempts, first=RETRY_FIRST_S, longest=RETRY_LONGEST_S)
        self._write_failure = self._database.explain(error)
        self._log.debug("{reason}; retrying in {wait_s:g} s", reason=self._write_failure, wait_s=wait)
        delay: Deferred[None] = deferLater(self._clock, wait)
        self._delays.add(delay)
        with suppress(CancelledError):
            await delay
        self._delays.discard(delay)

    def _end_delays(self) -> None:
        """Have what waits for its next attempt see at once whether there can be one."""
        for delay in list(self._delays):
            delay.cancel()

    async def _work(self, work: Callable[[], T]) -> T:
        """Work with the lease in the thread. Work that succeeds shows that the lease was ours when it began."""
        before = self._now()
        try:
            result = await self._watched(work)
        except Error:
            self._end_if_lost()
            raise
        if self._confirmed is not None:
            self._confirmed = max(self._confirmed, before)
        return result

    async def _watched(self, work: Callable[[], T]) -> T:
        """Work in the thread, and see that it goes on."""
        if not self._working:
            self._last_progress = self._time.monotonic()
        self._working += 1
        giving_up = self._clock.callLater(ANSWER_S, self._lease.abort)
        try:
            return await self._run(work)
        finally:
            self._working -= 1
            self._last_progress = self._time.monotonic()
            if giving_up.active():
                giving_up.cancel()

    # --- its end ------------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Make what waits, once, and release the lease."""
        self._closed = True
        self._end_delays()
        await self._run(self._lease.release)
        self._confirmed = None

    def abort(self) -> None:
        """End whatever waits for the database: its thread is free then."""
        self._lease.abort()

    def _now(self) -> tuple[float, float]:
        """By both clocks: monotonic, and on the wall."""
        return self._time.monotonic(), self._time.wall()
