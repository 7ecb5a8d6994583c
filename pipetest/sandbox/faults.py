"""What may go wrong with a call, and which calls: by rules or by chance.

A fault says what happens to the request (carried out at once, later or never) and what the client gets.
"""

from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Protocol
from urllib.parse import urlsplit

from msgspec import Struct

from pipetest.domain.model import Reply, Request
from pipetest.sandbox.calls import LostReply
from pipetest.sandbox.replies import as_html, as_json, pipedrive_error


def _unaltered(reply: Reply) -> Reply:
    return reply


def _cut(reply: Reply) -> Reply:
    return Reply(reply.status, reply.headers, reply.body[: len(reply.body) // 2])


def _created(reply: Reply) -> Reply:
    return Reply(201 if reply.status == 200 else reply.status, reply.headers, reply.body)


class Fault(Struct, frozen=True):
    """One way to go wrong. The request is carried out ``applied_after`` seconds after it came; None: never.

    The client gets ``reply``. Where that is None, it gets the true reply, altered by ``alter``, or waits in vain where
    there is none yet. All of it comes ``delay`` seconds later than usual and, where ``held``, once it is released.
    """

    name: str
    applied_after: float | None = 0.0
    reply: Reply | LostReply | None = None
    alter: Callable[[Reply], Reply] = _unaltered
    delay: float = 0.0
    held: bool = False


NO_FAULT = Fault("none")

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
        Fault("refused", None, LostReply("refused")),
        Fault("reset", None, LostReply("reset")),
        Fault("silent", None, LostReply("silent")),
        Fault("400", None, _JSON_400),
        Fault("401", None, pipedrive_error(401, "unauthorized access", errorCode=401)),
        Fault("402", None, pipedrive_error(402, "Payment required")),
        Fault("403", None, pipedrive_error(403, "Permission denied")),
        Fault("403-html", None, _HTML_403),
        Fault("500", None, _JSON_500),
        Fault("502", None, _HTML_502),
        Fault("503", None, _HTML_503),
        Fault("applied-reset", reply=LostReply("reset")),
        Fault("applied-torn", reply=LostReply("torn")),
        Fault("applied-silent", reply=LostReply("silent")),
        Fault("applied-stalled", reply=LostReply("stalled")),
        Fault("applied-500", reply=_JSON_500),
        Fault("applied-502", reply=_HTML_502),
        Fault("applied-cut", alter=_cut),
        Fault("late-reset", _LATE_S, LostReply("reset")),
        Fault("late-silent", _LATE_S, LostReply("silent")),
        Fault("late-504", _LATE_S, _HTML_504),
        Fault("slow", delay=5.0),
        Fault("held", held=True),
        Fault("201", alter=_created),
    )
}
"""Every fault by name. ``applied-…``: carried out, but the client does not learn it. ``late-…``: carried out after the
client was told that it failed. Refusals are written as Pipedrive writes them. The seconds are made to be changed."""


class FaultInjector(Protocol):
    """Asked before every call. It may change the sandbox, too, so that lists shift while they are read."""

    def __call__(self, service: str, request: Request, /) -> Fault | None: ...


class Rule(Struct):
    """Which calls meet a fault: those of this service and method whose path begins with this one, and whose body holds
    this text; each with this chance, ``times`` of them in all."""

    fault: Fault
    service: str | None = None
    method: str | None = None
    path: str = "/"
    times: int | None = None
    chance: float = 1.0
    body: str = ""

    def matches(self, service: str, request: Request) -> bool:
        return (
            (self.service is None or self.service == service)
            and (self.method is None or self.method == request.method)
            and urlsplit(request.url).path.startswith(self.path)
            and self.body.encode() in (request.body or b"")
        )

    def use(self) -> None:
        if self.times is not None:
            self.times -= 1

    @property
    def used_up(self) -> bool:
        return self.times is not None and self.times <= 0


class FaultRules:
    """Rules, tried in their order: the first that matches a call, and whose chance falls so, decides."""

    def __init__(self, random: Random, rules: Iterable[Rule] = ()) -> None:
        self._random = random
        self._rules = list(rules)

    def __len__(self) -> int:
        return len(self._rules)

    def __contains__(self, rule: Rule) -> bool:
        return rule in self._rules

    def add(self, rule: Rule) -> None:
        self._rules.append(rule)

    def remove(self, rule: Rule) -> None:
        self._rules.remove(rule)

    def clear(self) -> None:
        self._rules.clear()

    def __call__(self, service: str, request: Request) -> Fault | None:
        for rule in self._rules:
            if rule.matches(service, request) and self._random.random() < rule.chance:
                rule.use()
                if rule.used_up:
                    self._rules.remove(rule)
                return rule.fault
        return None
