"""What the instances of one database tell of the work: the leader stores its status, and the others answer with it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct, ValidationError, convert, to_builtins
from msgspec.structs import replace
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from pipetest.domain.errors import PipetestError
from pipetest.domain.interfaces import Store, Time
from pipetest.domain.status import QueriedUser, Status
from pipetest.monitoring.problems import DaemonHealth
from pipetest.runtime.periodic import Periodic
from pipetest.scanner.user_lists import stored_names

EVERY_S = 15.0
STORED_AS = "status"

MOST_QUARANTINED = 100
"""So many are stored: it is a small value."""


class Peer(Protocol):
    """One of several instances: the leader, or one that stands by."""

    @property
    def leads(self) -> bool: ...

    def status(self) -> Status: ...

    def health(self) -> DaemonHealth: ...

    def all_users(self) -> Sequence[QueriedUser]: ...

    def scanned_users(self) -> Sequence[str]: ...


class _Shared(Struct):
    """What the leader stores beside its status: see :func:`pipetest.config.settings.digests`."""

    settings: Mapping[str, str] = {}


class Standby:
    """What an instance tells while it stands by: what the leader stored last, and for how long nothing new has come,
    which is measured here, as the clocks of two machines may differ."""

    _log = Logger()

    def __init__(
        self, instance: Peer, store: Store, time: Time, clock: IReactorTime, settings: Callable[[], Mapping[str, str]]
    ) -> None:
        self._instance = instance
        self._store = store
        self._settings = settings
        self._differing: Sequence[str] = ()
        self._monotonic = time.monotonic
        self._told: Status | None = None
        self._told_since = time.monotonic()
        self._reading = Periodic("reading the leader's status", self._read, EVERY_S, clock)

    def start(self) -> None:
        self._reading.start()

    async def stop(self) -> None:
        await self._reading.stop()

    @property
    def silent_for(self) -> float:
        """Seconds since the leader has told something new."""
        return self._monotonic() - self._told_since

    def status(self) -> Status:
        own = self._instance.status()
        if self._instance.leads or self._told is None:
            return own
        return replace(
            self._told,
            instance=own.instance,
            leader=own.leader,
            database_trouble=own.database_trouble,
            age=self.silent_for,
        )

    def health(self) -> DaemonHealth:
        health = self._instance.health()
        if self._instance.leads:
            return health
        return replace(health, leader_silent_for=self.silent_for, differing_settings=self._differing)

    def all_users(self) -> Sequence[QueriedUser]:
        """Where this instance stands by, those whom the leader's status names."""
        return self._instance.all_users() if self._instance.leads else self.status().users

    async def scanned_users(self) -> Sequence[str]:
        """Whom the leader scans; where it has not stored that yet, whom this instance would."""
        own = self._instance.scanned_users()
        return own if self._instance.leads else await stored_names(self._store) or own

    async def _read(self) -> None:
        if self._instance.leads:  # should it lose the lease, that is what it tells until it has read what another does
            self._told, self._told_since = self._instance.status(), self._monotonic()
            return
        try:
            stored = await self._store.get_value(STORED_AS, object)
            told = None if stored is None else convert(stored, Status)
            theirs = convert(stored or {}, _Shared).settings
        except (PipetestError, ValidationError) as e:  # the database's problem is told by itself
            self._log.debug("the leader's status could not be read: {reason}", reason=str(e))
            return
        if told is not None and (self._told is None or told.at != self._told.at):
            self._told, self._told_since = told, self._monotonic()
        ours = self._settings()  # another version of ours may know others
        self._differing = sorted(name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name])


class StatusStorage:
    """Stores the leader's status for those that stand by, and what its settings are."""

    _log = Logger()

    def __init__(
        self,
        leads: Callable[[], bool],
        status: Callable[[], Status],
        store: Store,
        clock: IReactorTime,
        settings: Callable[[], Mapping[str, str]],
    ) -> None:
        self._leads = leads
        self._status = status
        self._store = store
        self._settings = settings
        self._storing = Periodic("storing the status", self._put, EVERY_S, clock)

    def start(self) -> None:
        self._storing.start()

    async def stop(self) -> None:
        await self._storing.stop()

    async def _put(self) -> None:
        if not self._leads():
            return
        status = self._status()
        short = replace(status, quarantine=status.quarantine[:MOST_QUARANTINED])
        try:
            await self._store.put_value(STORED_AS, {**to_builtins(short), **to_builtins(_Shared(self._settings()))})
        except PipetestError as e:
            self._log.debug("the status could not be stored: {reason}", reason=str(e))
