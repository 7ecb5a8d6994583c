"""Runs what asks GitHub and Pipedrive as the daemon does: with Twisted, for as long as it takes."""

import time
from collections.abc import Awaitable, Callable
from random import SystemRandom
from typing import Any, TypeVar

import click
from twisted.internet.defer import Deferred
from twisted.internet.task import react

from pipetest.domain.interfaces import Time

T = TypeVar("T")

RANDOM = SystemRandom()
TIME = Time(wall=time.time, monotonic=time.monotonic)


def run(work: Callable[[Any], Awaitable[T]]) -> T:
    """What ``work`` returns; it is given the reactor.

    :raises click.Abort: it was interrupted.
    """
    ended: list[T | Exception] = []

    async def main(reactor: Any) -> None:
        try:
            ended.append(await work(reactor))
        except Exception as e:
            ended.append(e)

    try:
        react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
    except SystemExit:
        """That is how it returns."""
    if not ended:
        raise click.Abort
    if isinstance(ended[0], Exception):
        raise ended[0]
    return ended[0]
