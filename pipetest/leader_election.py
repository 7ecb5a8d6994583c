"""Runs the pipeline while this instance has the lease. The other instances stand by, ready to take over."""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol

from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from pipetest.domain.errors import Unavailable, Unstored
from pipetest.domain.interfaces import Command, Controls, Lease
from pipetest.domain.status import Leader, QueriedUser, Status
from pipetest.monitoring.problems import DaemonHealth
from pipetest.runtime.periodic import Periodic
from pipetest.runtime.shutdown import STOP_GRACE_S, ended

EVERY_S = 1.0
"""The lease is renewed, or tried for, this often: whoever holds it and is silent for five seconds loses it."""

ABORT_S = 0.0
"""Requests under way when the lease is lost are cut off at once: their outcome is for the successor to find out."""

ABORT_WAIT_S = 60.0
"""What then still waits for the database, or for a connection to end, gets this long: where the network is the reason
why the lease was lost, it takes long."""


class TermPipeline(Controls, Protocol):
    """What one term runs: :class:`pipetest.pipeline.Pipeline`."""

    async def start(self) -> None: ...

    async def stop(self, grace_s: float, extra_s: float) -> bool: ...

    async def execute(self, command: Command) -> None: ...

    def settings_renewed(self) -> None: ...

    def status(self) -> Status: ...

    def health(self) -> DaemonHealth: ...

    def all_users(self) -> Sequence[QueriedUser]: ...

    def scanned_users(self) -> Sequence[str]: ...


class LeaderElection:
    """Starts ``pipeline`` when the lease is acquired and stops it when the lease is lost; then makes a new one, which
    rests until the lease is acquired again.

    It is the :class:`~pipetest.domain.interfaces.Controls` of its pipeline.
    """

    _log = Logger()

    def __init__(self, lease: Lease, new_pipeline: Callable[[], TermPipeline], clock: IReactorTime) -> None:
        self._lease = lease
        self._new_pipeline = new_pipeline
        self._clock = clock
        self._term = _Term(new_pipeline())
        self._stopping = False
        self._disabled: str | None = None
        self._renewal = Periodic("looking after the lease", self._renew_or_acquire, EVERY_S, clock)
        lease.on_lost(self._lost)

    @property
    def pipeline(self) -> TermPipeline:
        """The one that runs, or rests until the lease is acquired."""
        return self._term.pipeline

    @property
    def leads(self) -> bool:
        return self._term.leads

    def health(self) -> DaemonHealth:
        """The pipeline's, and whether this instance may lead."""
        in_doubt = self.leads and not self._lease.is_fresh()
        return replace(self.pipeline.health(), lease_in_doubt=in_doubt, disabled=self._disabled)

    def status(self) -> Status:
        """The pipeline's; where several instances share a database, it says which of them leads."""
        here = self.leads and self._lease.is_fresh()  # whoever was frozen may have lost it, and not know yet
        name = None if self.leads and not here else self._lease.holder
        leader = Leader(here=here, name=name) if self._lease.shared else None
        return replace(self.pipeline.status(), leader=leader)

    def all_users(self) -> Sequence[QueriedUser]:
        return self.pipeline.all_users()

    def scanned_users(self) -> Sequence[str]:
        return self.pipeline.scanned_users()

    # --- what an operator asks of it ----------------------------------------------------------------------------------

    async def scan(self) -> None:
        await self.pipeline.scan()

    async def set_paused(self, paused: bool) -> None:
        await self.pipeline.set_paused(paused)

    async def retry(self, name: str) -> bool:
        return await self.pipeline.retry(name)

    async def retry_all(self) -> None:
        await self.pipeline.retry_all()

    async def audit(self) -> None:
        await self.pipeline.audit()

    async def backfill(self, user: str) -> bool:
        return await self.pipeline.backfill(user)

    def settings_renewed(self) -> None:
        """The settings were read again."""
        self.pipeline.settings_renewed()

    # --- its life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Lead as soon as the lease is ours. Where nobody else can take over, what keeps the pipeline from starting is
        raised; else it is logged, and left to the other instances."""
        if self._lease.shared:
            self._renewal.start()
        elif await self._lease.acquire():
            await self._term.start()

    async def stop(self, grace_s: float) -> bool:
        """Stop the pipeline as :meth:`pipetest.pipeline.Pipeline.stop` does; until then the lease is renewed."""
        self._stopping = True
        if self._term.ending is None:
            all_ended = await self._term.stop(grace_s, STOP_GRACE_S)
        else:  # nothing that a lost lease leaves behind can be stored any more
            all_ended = await ended("what the lost lease left", self._term.ending, STOP_GRACE_S, self._clock)
        await ended("renewing the lease", self._renewal.stop(), STOP_GRACE_S, self._clock)
        return all_ended

    async def _renew_or_acquire(self) -> None:
        if self.leads:
            await self._renew()
        elif self._term.ending is None and not self._stopping:
            await self._acquire()

    async def _acquire(self) -> None:
        if await self._lease.acquire() and not self._stopping:
            self._log.info("this instance scans from now on", event="lease_acquired")
            self._term.start().addCallbacks(self._has_started, self._not_started)

    def _has_started(self, _: None) -> None:
        self._disabled = None

    def _not_started(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            self._log.debug("stopped before it had started")
            return
        if failure.check(Unavailable):
            self._log.debug("the work could not begin, it is left to others: {reason}", reason=str(failure.value))
        else:
            self._log.failure(
                "this instance could not begin to scan; another may", failure, event="pipeline_start_failed"
            )
        self._disabled = str(failure.value)
        self._end_term(self._lease.release())

    # --- leading ------------------------------------------------------------------------------------------------------

    async def _renew(self) -> None:
        """Commands wait until the pipeline has started and the commands before them are done. They are executed beside
        this, however long they take: the lease has to be renewed on time."""
        commands = await self._lease.renew()
        if self._term.takes_commands and not self._stopping:
            self._term.execute(self._execute(self._term.pipeline, commands))

    async def _execute(self, pipeline: TermPipeline, commands: Sequence[Command]) -> None:
        try:
            for command in commands:
                asked = f"{command.what} {command.about}".strip()
                self._log.info("an operator asked for: {command}", event="command_received", command=asked)
                await pipeline.execute(command)
                await self._lease.acknowledge(command)
        except Unstored:
            self._log.debug("the lease was lost while a command was executed")
        except Exception:
            self._log.failure("a command failed; retrying in {wait_s:g} s", event="command_failed", wait_s=EVERY_S)

    # --- the end of a term --------------------------------------------------------------------------------------------

    def _lost(self) -> None:
        if self.leads and not self._stopping:
            self._log.error("the lease is lost: this instance neither scans nor creates any more", event="lease_lost")
            self._end_term(None)

    def _end_term(self, first: Awaitable[None] | None) -> None:
        replaced = Deferred.fromCoroutine(self._replace_pipeline(first, self._term.end()))
        replaced.addErrback(
            lambda failure: self._log.failure(
                "this instance will not scan again until it is restarted", failure, event="pipeline_end_failed"
            )
        )

    async def _replace_pipeline(self, first: Awaitable[None] | None, ending: Deferred[None]) -> None:
        """Nothing of a pipeline may be left when its successor starts, here or elsewhere."""
        if first is not None:
            await first
        if not await self._term.stop(ABORT_S, ABORT_WAIT_S):
            self._disabled = "what it did while it led does not end"
            return
        self._term = _Term(self._new_pipeline())
        ending.callback(None)


class _Term:
    """A pipeline, from its making until nothing of it is left. ``ending`` fires then, once the lease is lost."""

    def __init__(self, pipeline: TermPipeline) -> None:
        self.pipeline = pipeline
        self.ending: Deferred[None] | None = None
        self._started: Deferred[None] | None = None
        self._executed: Deferred[None] = succeed(None)

    @property
    def leads(self) -> bool:
        return self._started is not None and self.ending is None

    @property
    def takes_commands(self) -> bool:
        """Whether it has started, and has executed those before."""
        return self.leads and self._started is not None and self._started.called and self._executed.called

    def start(self) -> "Deferred[None]":
        self._started = Deferred.fromCoroutine(self.pipeline.start())
        return self._started

    def execute(self, commands: Coroutine[Any, Any, None]) -> None:
        """Others are taken once these are done."""
        self._executed = Deferred.fromCoroutine(commands)

    def end(self) -> "Deferred[None]":
        """The lease is lost, or let go; what this returns is for the caller to fire once nothing is left."""
        self.ending = Deferred()
        return self.ending

    async def stop(self, grace_s: float, extra_s: float) -> bool:
        """As :meth:`pipetest.pipeline.Pipeline.stop` does, at whatever point its start is."""
        if self._started is not None:
            self._started.cancel()
        return await self.pipeline.stop(grace_s, extra_s)
