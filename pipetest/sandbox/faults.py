"""What may go wrong with a call, and when: consulted once for every call, by chance or by script.

A fault is put together from what happens to the request (carried out now, later, never) and what the client gets.
"""

from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Protocol
from urllib.parse import urlsplit

from attrs import define, frozen

from pipetest.domain.model import Reply, Request
from pipetest.sandbox.calls import Lost
from pipetest.sandbox.replies import as_html, as_json, pipedrive_error


def _whole(reply: Reply) -> Reply:
    return reply


def _cut(reply: Reply) -> Reply:
    return Reply(reply.status, reply.headers, reply.body[: len(reply.body) // 2])


def _created(reply: Reply) -> Reply:
    return Reply(201 if reply.status == 200 else reply.status, reply.headers, reply.body)


@frozen
class Fault:
    """One way to go wrong. ``applied``: seconds after its arrival at which the request is carried out, None: never.

    The client gets ``instead``; where that is None, the true answer bent by ``bend``, or silence while there is none.
    It gets it ``delay`` seconds later than usual and, where ``held``, once somebody releases it.
    """

    name: str
    applied: float | None = 0.0
    instead: Reply | Lost | None = None
    bend: Callable[[Reply], Reply] = _whole
    delay: float = 0.0
    held: bool = False


NONE = Fault("none")

_JSON_500 = as_json(500, {"success": False, "error": "Internal server error", "message": "Server Error"})
_JSON_400 = pipedrive_error(400, "Validation failed", code="ERR_SCHEMA_VALIDATION_FAILED")
_HTML_403 = as_html(403, "Access denied: you have been blocked")
_HTML_502 = as_html(502, "502 Bad Gateway")
_HTML_503 = as_html(503, "503 Service Temporarily Unavailable")
_HTML_504 = as_html(504, "504 Gateway Time-out")
_LATE_S = 20.0

FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault("refused", None, Lost("refused")),
        Fault("reset", None, Lost("reset")),
        Fault("silent", None, Lost("silent")),
        Fault("400", None, _JSON_400),
        Fault("402", None, pipedrive_error(402, "Payment required")),
        Fault("403", None, pipedrive_error(403, "Permission denied")),
        Fault("403-html", None, _HTML_403),
        Fault("500", None, _JSON_500),
        Fault("502", None, _HTML_502),
        Fault("503", None, _HTML_503),
        Fault("applied-reset", instead=Lost("reset")),
        Fault("applied-torn", instead=Lost("torn")),
        Fault("applied-silent", instead=Lost("silent")),
        Fault("applied-stalled", instead=Lost("stalled")),
        Fault("applied-500", instead=_JSON_500),
        Fault("applied-502", instead=_HTML_502),
        Fault("applied-cut", bend=_cut),
        Fault("late-reset", _LATE_S, Lost("reset")),
        Fault("late-silent", _LATE_S, Lost("silent")),
        Fault("late-504", _LATE_S, _HTML_504),
        Fault("slow", delay=5.0),
        Fault("held", held=True),
        Fault("201", bend=_created),
    )
}
"""Every kind by name. The refusals speak as Pipedrive does. ``late`` ones are carried out after the answer was lost;
times are made to be changed."""


class Hook(Protocol):
    """Asked before every call. It may change the world too, so that lists shift while they are read."""

    def __call__(self, service: str, request: Request, /) -> Fault | None: ...


@define
class Rule:
    """Calls of this service, method and path (all that begin with it), each with this chance, ``times`` in all."""

    fault: Fault
    service: str | None = None
    method: str | None = None
    path: str = "/"
    times: int | None = None
    chance: float = 1.0

    def meets(self, service: str, request: Request) -> bool:
        return (
            (self.service is None or self.service == service)
            and (self.method is None or self.method == request.method)
            and urlsplit(request.url).path.startswith(self.path)
        )


class Faults:
    """Rules, asked in their order: the first that meets a call, and whose chance falls so, decides."""

    def __init__(self, random: Random, rules: Iterable[Rule] = ()) -> None:
        self._random = random
        self.rules = list(rules)

    def __call__(self, service: str, request: Request) -> Fault | None:
        for rule in self.rules:
            if rule.meets(service, request) and self._random.random() < rule.chance:
                self._use(rule)
                return rule.fault
        return None

    def _use(self, rule: Rule) -> None:
        if rule.times is not None:
            rule.times -= 1
            if rule.times <= 0:
                self.rules.remove(rule)
