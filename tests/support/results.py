"""For questions that a store answers from memory."""

from collections.abc import Awaitable
from typing import TypeVar

from twisted.internet.defer import Deferred

T = TypeVar("T")


def result_of(awaitable: Awaitable[T]) -> T:
    """The result of what needs no waiting."""
    results: list[T] = []

    async def gather() -> None:
        results.append(await awaitable)

    Deferred.fromCoroutine(gather()).addErrback(lambda failure: failure.raiseException())
    return results[0]
