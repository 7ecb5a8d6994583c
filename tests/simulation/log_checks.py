"""Whether an instance has reported everything that it met: in its counters, its problems and its log."""

from collections.abc import Iterator

from twisted.logger import LogEvent

from pipetest.domain.model import Reply, Request
from pipetest.monitoring.problems import DaemonHealth, problems
from pipetest.outbox.outbox import Outbox
from pipetest.scanner.scanner import Scanner
from tests.simulation.requests import creates

GOOD_PASSES = ("recorded", "unchanged")


def _has_failed(reply: Reply | None) -> bool:
    """Whether a read has certainly failed; what 400, 404 and 422 mean depends on what was read."""
    return reply is None or reply.status in {401, 402, 403, 429} or reply.status >= 500


class LogChecks:
    """Counts what came back from the services; of the log, the lost answers, and which problems have begun and are not
    over."""

    def __init__(self) -> None:
        self._lost_creates = 0
        self._failed_reads = 0
        self._lost_answers = 0
        self._lasting: set[str] = set()
        self._said_wrongly: list[str] = []

    def reply(self, service: str, request: Request, reply: Reply | None) -> None:
        if creates(request):
            self._lost_creates += reply is None or reply.status >= 500
        elif service == "GitHub" and "/gists?" in request.url:  # not a list of users
            self._failed_reads += _has_failed(reply)

    def log(self, event: LogEvent) -> None:
        self._lost_answers += event.get("event") == "answer_lost"
        match event.get("event"), event.get("id"):
            case "problem_began", str(kind):
                self._said_wrongly += [f"{kind} begins a second time"] if kind in self._lasting else []
                self._lasting.add(kind)
            case "problem_ended", str(kind):
                self._said_wrongly += [] if kind in self._lasting else [f"{kind} ends, and has never begun"]
                self._lasting.discard(kind)

    def unreported(self, outbox: Outbox, scanner: Scanner, health: DaemonHealth) -> Iterator[str]:
        """What the instance has kept to itself; ``health`` is how it is at its end."""
        failed = scanner.passes.total() - sum(scanner.passes[kind] for kind in GOOD_PASSES)
        if failed < self._failed_reads:
            yield f"{self._failed_reads} passes have failed, and {failed} were counted"
        if self._lost_answers < self._lost_creates:
            yield f"{self._lost_creates} answers to creates were lost, and the log does not name each"
        yield from self._said_wrongly
        found = {problem.id for problem in problems(health, {}, 0.0)}
        refused = outbox.breaker.refusal is not None and outbox.tasks.anything_waits and not outbox.paused
        if refused and "creation-refused" not in found:
            yield "the account refuses, and no problem says so"
        if scanner.users.errors() and not found & {"users-not-read", "users-unknown"}:
            yield "users cannot be read, and no problem says so"
