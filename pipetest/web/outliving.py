"""Handlers that outlive their client."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec

from twisted.internet.defer import Deferred

P = ParamSpec("P")
Body = Coroutine["Deferred[Any]", Any, bytes]


def outliving(handler: Callable[P, Body]) -> "Callable[P, Deferred[bytes]]":
    """Let a handler run to its end. Klein cancels what a handler awaits when its client hangs up, and that may be a
    commit which others await too; so Klein gets a Deferred of its own to cancel."""

    @wraps(handler)
    def started(*args: P.args, **kwargs: P.kwargs) -> "Deferred[bytes]":
        answer: Deferred[bytes] = Deferred()
        Deferred.fromCoroutine(handler(*args, **kwargs)).chainDeferred(answer)
        return answer

    return started
