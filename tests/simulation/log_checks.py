"""Whether an instance has reported everything that it met: in its counters, its problems and its log."""

from collections import Counter
from collections.abc import Iterator

from twisted.logger import LogEvent, LogLevel

from pipetest.domain.model import Reply, Request, Unknown
from pipetest.monitoring.problems import Health, problems
from pipetest.outbox.dispatcher import Dispatcher
from pipetest.pipedrive.client import ME
from pipetest.scanner.scanner import Scanner

GOOD_PASSES = ("recorded", "unchanged")
WARNINGS = (LogLevel.warn, LogLevel.error, LogLevel.critical)


def _has_failed(reply: Reply | None) -> bool:
    """Whether a read has certainly failed; what 400, 404 and 422 mean depends on what was read."""
    return reply is None or reply.status in {401, 402, 403, 429} or reply.status >= 500


class LogChecks:
    """Counts what came back from the services, the warnings by the module that logged them, and which problems have
    begun and are not over, by the log."""

    def __init__(self) -> None:
        self._creates = 0
        self._failed_reads: Counter[str] = Counter()
        self._warnings: Counter[str] = Counter()
        self._lasting: set[str] = set()
        self._said_wrongly: list[str] = []

    def reply(self, service: str, request: Request, reply: Reply | None) -> None:
        if request.method == "POST":
            self._creates += 1
        elif _has_failed(reply) and not request.url.endswith(ME):
            self._failed_reads[service] += 1

    def log(self, event: LogEvent) -> None:
        if event["log_level"] in WARNINGS:
            self._warnings[event["log_namespace"].rpartition(".")[0]] += 1
        match event.get("event"), event.get("id"):
            case "problem_began", str(kind):
                self._said_wrongly += [f"{kind} begins a second time"] if kind in self._lasting else []
                self._lasting.add(kind)
            case "problem_ended", str(kind):
                self._said_wrongly += [] if kind in self._lasting else [f"{kind} ends, and has never begun"]
                self._lasting.discard(kind)

    def unreported(self, dispatcher: Dispatcher, scanner: Scanner, health: Health) -> Iterator[str]:
        """What the instance has kept to itself; ``health`` is how it is at its end."""
        outcomes, passes = dispatcher.delivery.outcomes, scanner.passes
        creates = outcomes.total()
        if creates != self._creates:
            yield f"{self._creates} creates have ended, and {creates} were counted"
        searches = dispatcher.worker.failed_searches.total()
        if searches < self._failed_reads["Pipedrive"]:
            yield f"{self._failed_reads['Pipedrive']} searches have failed, and {searches} were counted"
        failed = passes.total() - sum(passes[kind] for kind in GOOD_PASSES)
        if failed < self._failed_reads["GitHub"]:
            yield f"{self._failed_reads['GitHub']} passes have failed, and {failed} were counted"
        if self._warnings["pipetest.outbox.delivery"] < outcomes[Unknown.__name__]:
            yield f"{outcomes[Unknown.__name__]} answers to creates were lost, and the log does not name each"
        yield from self._said_wrongly
        found = {problem.id for problem in problems(health, {}, 0.0)}
        refused = dispatcher.breaker.refusal is not None and dispatcher.queue.waiting and not dispatcher.paused
        if refused and "creation-refused" not in found:
            yield "the account refuses, and no problem says so"
        if scanner.errors() and not found & {"users-not-read", "users-unknown"}:
            yield "users cannot be read, and no problem says so"
