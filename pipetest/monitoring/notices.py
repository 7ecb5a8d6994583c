"""Tells people that an error lasts, and that it is over: never of a warning, and never of a deal."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from pipetest.domain.interfaces import Run
from pipetest.domain.problems import OperatorProblem, errors
from pipetest.domain.text import duration
from pipetest.runtime.periodic import Periodic

LASTS_S = 120.0
"""What is over sooner is no reason to wake anybody."""

LOOK_EVERY_S = 5.0

MOST_WAITING = 20
"""Notices that could not be sent yet; beyond that some are dropped."""

ATTEMPTS = 3
RETRY_S = 60.0


class Notice(Struct, frozen=True):
    """What people are told. ``over``: it is good news."""

    title: str
    body: str
    over: bool = False


Send = Callable[[Notice], bool]
"""Sends a notice to everybody, blocking; whether all have got it."""

Told = Mapping[str, OperatorProblem]
"""The errors that people were told of, by their ids."""


def due_notices(told: Told, problems: Iterable[OperatorProblem], now_at: float) -> tuple[Sequence[Notice], Told]:
    """The notices to send now, and which errors people have been told of once they are sent. Pure."""
    current = {problem.id: problem for problem in errors(problems)}
    began = {
        kind: problem for kind, problem in current.items() if kind not in told and now_at - problem.since >= LASTS_S
    }
    over = [problem for kind, problem in told.items() if kind not in current]
    notices = [Notice(f"pipetest: {problem.text}", f"{problem.text}.\n{problem.remedy}.") for problem in began.values()]
    notices += [
        Notice("pipetest: over", f"Over after {duration(max(0.0, now_at - problem.since))}: {problem.text}.", over=True)
        for problem in over
    ]
    return notices, {kind: problem for kind, problem in {**told, **began}.items() if kind in current}


class Notices:
    """Looks every few seconds, and sends one notice after the other with ``run``, which nobody waits for. Of several
    instances the one that ``leads`` tells; another one that takes over tells anew of what still lasts."""

    _log = Logger()

    def __init__(
        self,
        problems: Callable[[], Sequence[OperatorProblem]],
        leads: Callable[[], bool],
        send: Send,
        run: Run,
        wall: Callable[[], float],
        clock: IReactorTime,
    ) -> None:
        self._problems = problems
        self._leads = leads
        self._send = send
        self._run = run
        self._wall = wall
        self._clock = clock
        self._told: Told = {}
        self._waiting: deque[Notice] = deque(maxlen=MOST_WAITING)
        self._attempts = 0
        self._resumes_at = 0.0
        self._is_sending = False
        self._periodic = Periodic("telling people of errors", self._look, LOOK_EVERY_S, clock)

    def start(self) -> None:
        self._periodic.start()

    async def stop(self) -> None:
        """A notice under way is not waited for: its receiver may hang."""
        await self._periodic.stop()

    def _look(self) -> None:
        if not self._leads():
            self._told = {}
            self._waiting.clear()
            return
        notices, self._told = due_notices(self._told, self._problems(), self._wall())
        self._waiting.extend(notices)
        if self._waiting and not self._is_sending and self._clock.seconds() >= self._resumes_at:
            self._is_sending = True
            Deferred.fromCoroutine(self._send_waiting()).addErrback(
                lambda failure: self._log.failure("notices could not be sent", failure, event="notices_failed")
            )

    async def _send_waiting(self) -> None:
        try:
            while self._waiting:
                notice = self._waiting.popleft()
                if not await self._sent(notice):
                    self._waiting.appendleft(notice)  # of twenty others the newest makes way
                    self._resumes_at = self._clock.seconds() + RETRY_S
                    return
        finally:
            self._is_sending = False

    async def _sent(self, notice: Notice) -> bool:
        """Whether this one is done with."""
        self._attempts += 1
        try:
            sent = await self._run(partial(self._send, notice))
        except Exception:
            self._log.failure("a notice could not be sent", event="notice_failed")
            sent = False
        if not sent and self._attempts < ATTEMPTS:
            return False
        if not sent:
            self._log.warn(
                "{attempts} times not all receivers in PIPETEST_NOTIFY took a notice: check them",
                event="notice_not_sent",
                attempts=self._attempts,
            )
        self._attempts = 0
        return True
