"""For what need not wait: its result at once."""

from collections.abc import Awaitable
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


def result_of(awaitable: Awaitable[T]) -> T:
    """What it returns, or raises; it must not have to wait for anything."""
    results: list[T] = []
    failures: list[Failure] = []

    async def keep_result() -> None:
        results.append(await awaitable)

    Deferred.fromCoroutine(keep_result()).addErrback(failures.append)
    for failure in failures:
        failure.raiseException()
    return results[0]
