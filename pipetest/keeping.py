"""Keeps over a restart what the ledger does not hold: how the quotas stand, and what lately happened."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import ValidationError, convert
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from pipetest.errors import Unstored
from pipetest.history import History
from pipetest.quota import Kept
from pipetest.seams import Store

EVERY_S = 60.0
"""A crash forgets the count of so long; where a header tells it, the next answer mends that."""


class Governed(Protocol):
    """What stands before an API and knows its quota."""

    service: str

    @property
    def kept(self) -> Kept: ...

    def restore(self, kept: Kept) -> None: ...


class Keeper:
    """Stores what each governor and the history know, where it has changed: every minute, and when it is stopped."""

    _log = Logger()

    def __init__(self, store: Store, governors: Sequence[Governed], history: History, clock: IReactorTime) -> None:
        self._store = store
        self._governors = governors
        self._history = history
        self._kept: dict[str, Kept] = {}
        self._loop = LoopingCall(self._tick)
        self._loop.clock = clock
        self._stopped: Deferred[LoopingCall] | None = None

    async def start(self) -> None:
        """Restore what an earlier life has kept, then keep."""
        for governor in self._governors:
            note = await self._store.note(_name(governor))
            try:
                governor.restore(convert(note or {}, Kept))
            except ValidationError:
                self._log.warn("the quota kept of {service} is unreadable; it starts anew", service=governor.service)
        await self._history.restore()
        self._stopped = self._loop.start(EVERY_S, now=False)

    async def stop(self) -> None:
        if self._stopped is not None:
            self._loop.stop()
            await self._stopped
            await self._tick()

    async def _tick(self) -> None:
        try:
            for governor in self._governors:
                if (kept := governor.kept) != self._kept.get(governor.service, Kept()):
                    await self._store.keep(_name(governor), kept)
                    self._kept[governor.service] = kept
            await self._history.keep()
        except (Unstored, CancelledError):
            self._log.debug("quotas and history stay as they were stored")
        except Exception:
            self._log.failure("quotas and history could not be stored")


def _name(governor: Governed) -> str:
    return f"quota of {governor.service}"
