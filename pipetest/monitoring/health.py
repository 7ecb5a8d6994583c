"""Watches the daemon from beside it, and keeps what is wrong: for log, page, status, metrics and ``/ready`` alike."""

from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel

from pipetest.domain.problems import OperatorProblem, errors, sentences
from pipetest.domain.status import Status
from pipetest.domain.text import duration
from pipetest.monitoring.problems import DaemonHealth, problems
from pipetest.runtime.periodic import Periodic

CHECK_EVERY_S = 5.0


class HealthMonitor:
    """Looks every few seconds, and whenever it is asked. It logs each problem once when it begins, again where it comes
    to concern more users, and once when it is over. It runs apart from what it watches."""

    _log = Logger()

    def __init__(
        self,
        health: Callable[[], DaemonHealth],
        status: Callable[[], Status],
        wall: Callable[[], float],
        clock: IReactorTime,
    ) -> None:
        self._health = health
        self._status = status
        self._wall = wall
        self._known: Mapping[str, OperatorProblem] = {}
        self._healthy_since: float | None = None
        self._periodic = Periodic("looking at the daemon's health", self.problems, CHECK_EVERY_S, clock)

    def start(self) -> None:
        self._periodic.start()

    async def stop(self) -> None:
        await self._periodic.stop()

    def problems(self) -> Sequence[OperatorProblem]:
        """All that is wrong now, the worst first."""
        now_at = self._wall()
        found = problems(self._health(), {kind: known.since for kind, known in self._known.items()}, now_at)
        now = {problem.id: problem for problem in found}
        for kind, problem in now.items():
            known = self._known.get(kind)
            if known is None or not {*problem.about} <= {*known.about}:
                self._say(problem, known_already=known is not None)
        for kind, problem in self._known.items():
            if kind not in now:
                lasted = duration(max(0.0, now_at - problem.since))
                self._log.info(
                    "over after {lasted}: {problem}",
                    event="problem_ended",
                    lasted=lasted,
                    problem=problem.text,
                    id=kind,
                )
        self._known = now
        if now:
            self._healthy_since = None
        elif self._healthy_since is None:
            self._healthy_since = now_at
        return found

    def status(self) -> Status:
        """The daemon's status, and what is wrong."""
        status, own = self._status(), self.problems()
        kinds = {problem.id for problem in own}
        told = [problem for problem in status.problems if problem.id not in kinds]  # by the instance that leads
        status = replace(status, healthy_since=self._healthy_since)
        return with_problems(status, sorted([*own, *told], key=lambda problem: problem.severity != "error"))

    def _say(self, problem: OperatorProblem, *, known_already: bool) -> None:
        self._log.emit(
            LogLevel.error if problem.severity == "error" else LogLevel.warn,
            "{problem}. {remedy}",
            event="problem_grew" if known_already else "problem_began",
            problem=problem.text,
            remedy=problem.remedy,
            id=problem.id,
        )


def with_problems(status: Status, found: Sequence[OperatorProblem]) -> Status:
    troubles = tuple(problem.text for problem in found)
    return replace(status, problems=found, troubles=troubles, unready=sentences(errors(found)))
