"""How the rate limits stand survives a restart."""

from collections.abc import Sequence
from typing import Any

from msgspec import ValidationError
from twisted.internet.defer import CancelledError, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from pipetest.domain.errors import Unstored
from pipetest.domain.interfaces import Store, Time
from pipetest.ratelimit.limiter import RateLimiter
from pipetest.ratelimit.policy import SavedLimits
from pipetest.runtime.periodic import Periodic

SAVE_EVERY_S = 60.0
"""A crash forgets what headers have reported for so long; the next answer reports it again."""

COMMITS_A_DAY = 20
MOST_AHEAD = 500
"""No service counts the tokens under a ceiling of our own. So they are stored as used before they are spent, this many
at a time: a crash costs a twentieth of the day at most, and a backfill one commit for a hundred deals."""

LATE_S = 30.0
"""A request that waited longer than this for its tokens to be counted is not sent: its decision may be stale."""


def tokens_ahead(ceiling: int | None) -> int:
    """How many tokens are counted ahead at once under this ceiling."""
    return 1 if ceiling is None else max(1, min(MOST_AHEAD, ceiling // COMMITS_A_DAY))


class LimitPersistence:
    """Stores how each limiter stands, where that has changed: every minute, and when it is stopped.

    Tokens are counted ahead, in multiples of ``tokens_ahead``, and exactly when it is stopped.
    """

    _log = Logger()

    def __init__(self, store: Store, time: Time, clock: IReactorTime, tokens_ahead: int = 1) -> None:
        self._store = store
        self._time = time
        self._limiters: Sequence[RateLimiter[Any]] = ()
        self._tokens_ahead = tokens_ahead
        self._stored: dict[str, SavedLimits] = {}
        self._writing = DeferredLock()
        self._saving = Periodic("saving the rate limits", self._save_all, SAVE_EVERY_S, clock)

    async def start(self, *limiters: RateLimiter[Any]) -> None:
        """Let each limiter go on from what an earlier process has saved, and keep saving."""
        self._limiters = limiters
        for limiter in limiters:
            stored = await self._store.get_value(_name(limiter), object)
            try:
                limiter.restore(stored or {})
            except ValidationError:
                self._log.warn(
                    "the rate limits stored for {service} are unreadable; they start anew",
                    event="limits_unreadable",
                    service=limiter.service,
                )
            self._stored[limiter.service] = limiter.saved()
        self._saving.start(now=False)

    async def stop(self) -> None:
        """Save for the last time."""
        await self._saving.stop()
        await self._save_all(exactly=True)

    async def count_ahead(self, limiter: RateLimiter[Any]) -> bool:
        """Return once what is stored covers all that ``limiter`` has spent: then no crash forgets it. Whether that was
        soon enough for the request that waits for it.

        :raises Unstored: the store was closed before.
        """
        if self._covers(limiter):
            return True
        started = self._time.monotonic()
        async with self._writing:
            if not self._covers(limiter):
                await self._save(limiter)
        return self._time.monotonic() <= started + LATE_S

    def _covers(self, limiter: RateLimiter[Any]) -> bool:
        return self._stored[limiter.service].covers(limiter.saved())

    async def _save_all(self, *, exactly: bool = False) -> None:
        try:
            async with self._writing:
                for limiter in self._limiters:
                    await self._save(limiter, exactly=exactly)
        except (Unstored, CancelledError):
            self._log.debug("the rate limits stay as they were stored")

    async def _save(self, limiter: RateLimiter[Any], *, exactly: bool = False) -> None:
        saved, stored = limiter.saved(), self._stored.get(limiter.service)
        if stored is None:
            return  # not restored yet: what is stored stays
        if not exactly:
            saved = saved.counted_ahead(self._tokens_ahead, stored)
        if saved != stored:
            await self._store.put_value(_name(limiter), saved)
            self._stored[limiter.service] = saved


def _name(limiter: RateLimiter[Any]) -> str:
    return f"quota of {limiter.service}"  # the name that 1.0.0 gave it
