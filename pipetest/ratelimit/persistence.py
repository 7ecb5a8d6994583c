"""How the rate limits stand survives a restart."""

from collections.abc import Awaitable, Callable, Sequence
from math import ceil
from typing import Protocol

from attrs import frozen
from msgspec import ValidationError, convert
from msgspec.structs import replace
from twisted.internet.defer import CancelledError, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from pipetest.domain.errors import Stopping, Unanswered, Unstored
from pipetest.domain.interfaces import Exchange, Store
from pipetest.domain.model import Reply, Request
from pipetest.ratelimit.policy import SavedLimits
from pipetest.runtime.periodic import Periodic

EVERY_S = 60.0
"""A crash forgets what headers told for so long; the next answer tells it again."""

BLOCKS_A_DAY = 20
BLOCK_LARGEST = 500
"""Where tokens have a ceiling of our own, nobody else tells their count: it is stored a block ahead of what is spent.
So a crash costs a twentieth of the day at most, and a backfill a commit for a hundred deals."""

LATE_S = 30.0
"""What had to wait for longer until it was counted is not sent any more: much may have happened meanwhile."""


def reservation_size(ceiling: int | None) -> int:
    """How many tokens are counted at once under this ceiling."""
    return 1 if ceiling is None else max(1, min(BLOCK_LARGEST, ceiling // BLOCKS_A_DAY))


class Governed(Protocol):
    """What stands before an API and knows its quota."""

    service: str

    @property
    def kept(self) -> SavedLimits: ...

    def restore(self, kept: SavedLimits) -> None: ...


@frozen
class ReservingExchange:
    """An exchange that sends nothing before ``cover`` has stored a count of tokens that includes it."""

    _exchange: Exchange
    _cover: Callable[[], Awaitable[None]]
    _clock: IReactorTime

    async def __call__(self, request: Request) -> Reply:
        begun = self._clock.seconds()
        try:
            await self._cover()
        except Unstored as e:
            raise Stopping(str(e)) from None
        if self._clock.seconds() > begun + LATE_S:
            raise Unanswered("Pipedrive", "not sent, its tokens could not be counted for a while")
        return await self._exchange(request)


class LimitPersistence:
    """Stores what each governor knows, where it has changed: every minute, and when it is stopped.

    Tokens are counted in blocks of ``block``, rounded up, until it is stopped.
    """

    _log = Logger()

    def __init__(self, store: Store, governors: Sequence[Governed], clock: IReactorTime, block: int = 1) -> None:
        self._store = store
        self._governors = governors
        self._block = block
        self._kept: dict[str, SavedLimits] = {}
        self._writing = DeferredLock()
        self._restored = False
        self._saving = Periodic("saving the rate limits", self._tick, EVERY_S, clock)

    async def start(self) -> None:
        """Restore what an earlier life has kept, then keep."""
        for governor in self._governors:
            note = await self._store.get_value(_name(governor))
            try:
                self._kept[governor.service] = convert(note or {}, SavedLimits)
                governor.restore(self._kept[governor.service])
            except ValidationError:
                self._log.warn("the quota kept of {service} is unreadable; it starts anew", service=governor.service)
        self._restored = True
        self._saving.start(now=False)

    async def stop(self) -> None:
        """Save for the last time; what was never restored stays as it is stored."""
        await self._saving.stop()
        if self._restored:
            await self._tick(exactly=True)

    async def cover(self, governor: Governed) -> None:
        """Return once what is stored counts all that ``governor`` has spent: then no crash forgets it.

        :raises Unstored: the store was closed before.
        """
        if self._covers(governor):
            return
        async with self._writing:
            if not self._covers(governor):
                await self._keep(governor)

    def _covers(self, governor: Governed) -> bool:
        stored, spent = self._stored(governor), governor.kept
        return stored.day == spent.day and stored.used >= spent.used

    def _stored(self, governor: Governed) -> SavedLimits:
        return self._kept.get(governor.service, SavedLimits())

    async def _tick(self, *, exactly: bool = False) -> None:
        try:
            async with self._writing:
                for governor in self._governors:
                    await self._keep(governor, exactly=exactly)
        except (Unstored, CancelledError):
            self._log.debug("the rate limits stay as they were stored")

    async def _keep(self, governor: Governed, *, exactly: bool = False) -> None:
        kept, stored = governor.kept, self._stored(governor)
        if not exactly:
            ahead = ceil(kept.used / self._block) * self._block
            kept = replace(kept, used=stored.used if self._covers(governor) else ahead)
        if kept != stored:
            await self._store.put_value(_name(governor), kept)
            self._kept[governor.service] = kept


def _name(governor: Governed) -> str:
    return f"quota of {governor.service}"
