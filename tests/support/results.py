"""The result of an awaitable that has it at once, for tests without a reactor."""

from collections.abc import Awaitable
from typing import TypeVar

from twisted.internet.defer import Deferred

T = TypeVar("T")


def result_of(awaitable: Awaitable[T]) -> T:
    """What it returns, or raises; it must not have to wait for anything."""
    results: list[T] = []

    async def keep_result() -> None:
        results.append(await awaitable)

    Deferred.fromCoroutine(keep_result()).addErrback(lambda failure: failure.raiseException())
    return results[0]
