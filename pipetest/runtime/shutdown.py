"""Waits for an end, but not for ever."""

from collections.abc import Awaitable, Iterable

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.defer import TimeoutError as TimedOut
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

STOP_GRACE_S = 0.3
"""What stops after the requests only has to store what has ended."""

LAST_WRITE_S = 0.9
"""What a store has not written this long after its close is lost: it is the last step of a stop within ten seconds."""

log = Logger()


async def all_ended(endings: Iterable[tuple[str, Awaitable[object]]], grace_s: float, clock: IReactorTime) -> bool:
    """Wait for all of these at once, each with its name; whether all of them ended in time."""
    waits = [Deferred.fromCoroutine(ended(what, ending, grace_s, clock)) for what, ending in endings]
    results = await gatherResults(waits)
    return all(results)


async def ended(what: str, ending: Awaitable[object], grace_s: float, clock: IReactorTime) -> bool:
    """Wait for ``ending`` at most ``grace_s`` seconds; whether it ended in time. A failure is logged, not raised."""
    try:
        deferred = ending if isinstance(ending, Deferred) else Deferred.fromCoroutine(_awaited(ending))
        await deferred.addTimeout(grace_s, clock)
    except TimedOut:
        log.warn("{what} did not end within {grace_s:g} s", event="stop_cut_short", what=what, grace_s=grace_s)
        return False
    except Exception:
        log.failure("{what} did not stop cleanly", event="stop_failed", what=what)
        return False
    return True


async def _awaited(ending: Awaitable[object]) -> object:
    return await ending
