"""Watches the daemon from beside it, and keeps what is wrong: for log, page, status, metrics and ``/ready`` alike."""

import re
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel

from pipetest.domain.problems import OperatorProblem, errors, sentences
from pipetest.domain.status import Status
from pipetest.domain.text import duration
from pipetest.monitoring.problems import DaemonHealth, problems
from pipetest.runtime.periodic import Periodic

CHECK_EVERY_S = 5.0

SAY_CHANGES_EVERY_S = 600.0
"""A problem whose reason changes all the time is said again no more often than this."""

_NUMBERS = re.compile("[0-9]+( (s|minutes|hours|days))?")
"""Durations among them."""


class Lasting(Struct, frozen=True):
    """A problem as it is, and as the log has ``said`` it last, at the moment ``said_at`` (monotonic)."""

    problem: OperatorProblem
    said: OperatorProblem
    said_at: float


class HealthMonitor:
    """Looks every few seconds, and whenever it is asked. It logs each problem once when it begins, again where it comes
    to concern more users or has another reason, and once when it is over. It runs apart from what it watches."""

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
        self._clock = clock
        self._lasting: Mapping[str, Lasting] = {}
        self._healthy_since: float | None = None
        self._periodic = Periodic("looking at the daemon's health", self.problems, CHECK_EVERY_S, clock)

    def start(self) -> None:
        self._periodic.start()

    async def stop(self) -> None:
        await self._periodic.stop()

    def problems(self) -> Sequence[OperatorProblem]:
        """All that is wrong now, the worst first."""
        now_at, before = self._wall(), self._lasting
        found = problems(self._health(), {kind: lasting.problem.since for kind, lasting in before.items()}, now_at)
        self._lasting = {problem.id: self._followed(problem) for problem in found}
        for kind, lasting in before.items():
            if kind not in self._lasting:
                self._say_end(lasting.problem, now_at)
        if found:
            self._healthy_since = None
        elif self._healthy_since is None:
            self._healthy_since = now_at
        return found

    def _followed(self, problem: OperatorProblem) -> Lasting:
        """The problem as it is now, once what is new of it was said."""
        lasting, now = self._lasting.get(problem.id), self._clock.seconds()
        if lasting is not None and not _is_news(problem, lasting, now):
            return replace(lasting, problem=problem)
        self._say(problem, known_already=lasting is not None)
        return Lasting(problem, problem, now)

    def status(self) -> Status:
        """The daemon's status, and what is wrong."""
        status, own = self._status(), self.problems()
        kinds = {problem.id for problem in own}
        told = [problem for problem in status.problems if problem.id not in kinds]  # by the instance that leads
        status = replace(status, healthy_since=self._healthy_since)
        return with_problems(status, sorted([*own, *told], key=lambda problem: problem.severity))

    def _say(self, problem: OperatorProblem, *, known_already: bool) -> None:
        self._log.emit(
            LogLevel.error if problem.severity == "error" else LogLevel.warn,
            "{problem}. {remedy}",
            event="problem_changed" if known_already else "problem_began",
            problem=problem.text,
            remedy=problem.remedy,
            id=problem.id,
        )

    def _say_end(self, problem: OperatorProblem, now_at: float) -> None:
        self._log.info(
            "over after {lasted}: {problem}",
            event="problem_ended",
            lasted=duration(max(0.0, now_at - problem.since)),
            problem=problem.text,
            id=problem.id,
        )


def _is_news(problem: OperatorProblem, lasting: Lasting, now: float) -> bool:
    """Whether it concerns another user than at the last look; or has another reason, which a number that grows is not.
    Of what concerns users, each may have a reason of its own."""
    if problem.about:
        return not {*problem.about} <= {*lasting.problem.about}
    return now - lasting.said_at >= SAY_CHANGES_EVERY_S and _words(problem) != _words(lasting.said)


def _words(problem: OperatorProblem) -> str:
    return _NUMBERS.sub("", problem.text + problem.remedy)


def with_problems(status: Status, found: Sequence[OperatorProblem]) -> Status:
    troubles = tuple(problem.text for problem in found)
    return replace(status, problems=found, troubles=troubles, unready=sentences(errors(found)))
