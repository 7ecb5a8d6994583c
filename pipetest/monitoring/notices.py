"""Tells people that an error lasts, and that it is over: never of a warning, and never of a deal."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from pipetest.domain.errors import PipetestError
from pipetest.domain.interfaces import Run, Store
from pipetest.domain.problems import OperatorProblem, errors
from pipetest.domain.text import duration
from pipetest.runtime.periodic import Periodic

LASTS_S = 120.0
"""What is over sooner is no reason to wake anybody."""

LOOK_EVERY_S = 5.0

SURE_AFTER_S = 300.0
"""After a start whatever stands still shows within this time, a third scan in a row that fails apart."""

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

STORED_AS = "told"


class ToldError(Struct, frozen=True):
    """An error that people were told of: what it is, and since when it lasts. ``earlier``: an earlier run, or another
    instance, has told of it, and it was not seen here so far."""

    text: str
    since: float
    earlier: bool = False


Told = Mapping[str, ToldError]
"""By the errors' ids."""


def due_notices(
    told: Told, problems: Iterable[OperatorProblem], now_at: float, *, looked_for: float
) -> tuple[Sequence[Notice], Told]:
    """The notices to send now, and which errors people have been told of once they are sent; ``looked_for`` is for how
    many seconds this instance has looked. Pure.

    An error of which an earlier one has told is over once there is none at all: a start has to fail a few times before
    it shows.
    """
    current = {problem.id: problem for problem in errors(problems)}
    all_is_well = not current and looked_for >= SURE_AFTER_S
    over = {kind for kind, error in told.items() if kind not in current and (all_is_well or not error.earlier)}
    lasting = {kind: replace(error, earlier=kind not in current) for kind, error in told.items() if kind not in over}
    began = [problem for kind, problem in current.items() if kind not in told and now_at - problem.since >= LASTS_S]
    notices = [Notice(f"pipetest: {problem.text}", f"{problem.text}.\n{problem.remedy}.") for problem in began]
    notices += [_over(told[kind], now_at) for kind in told if kind in over]
    return notices, {**lasting, **{problem.id: ToldError(problem.text, problem.since) for problem in began}}


def _over(error: ToldError, now_at: float) -> Notice:
    lasted = duration(max(0.0, now_at - error.since))
    return Notice("pipetest: over", f"Over after {lasted}: {error.text}.", over=True)


class Notices:
    """Looks every few seconds, and sends one notice after the other with ``run``, which nobody waits for. Of several
    instances the one that ``leads`` tells. What it has told is stored, so that after a restart, and by another instance
    that takes over, nothing is told a second time, and its end is."""

    _log = Logger()

    def __init__(
        self,
        problems: Callable[[], Sequence[OperatorProblem]],
        leads: Callable[[], bool],
        store: Store,
        send: Send,
        run: Run,
        wall: Callable[[], float],
        clock: IReactorTime,
    ) -> None:
        self._problems = problems
        self._leads = leads
        self._store = store
        self._send = send
        self._run = run
        self._wall = wall
        self._clock = clock
        self._told: Told | None = None  # while it does not lead
        self._stored: Told = {}
        self._leads_since = 0.0
        self._waiting: deque[Notice] = deque(maxlen=MOST_WAITING)
        self._attempts = 0
        self._resumes_at = 0.0
        self._is_sending = False
        self._looking = Periodic("telling people of errors", self._look, LOOK_EVERY_S, clock)
        self._storing = Periodic("storing what people were told", self._put, LOOK_EVERY_S, clock)

    def start(self) -> None:
        self._looking.start()
        self._storing.start()

    async def stop(self) -> None:
        """A notice under way is not waited for: its receiver may hang."""
        await self._looking.stop()
        await self._storing.stop()

    async def _look(self) -> None:
        if not self._leads():
            self._told = None
            self._waiting.clear()
            return
        if self._told is None:
            self._told = self._stored = await self._told_earlier()
            self._leads_since = self._clock.seconds()
        looked_for = self._clock.seconds() - self._leads_since
        notices, self._told = due_notices(self._told, self._problems(), self._wall(), looked_for=looked_for)
        self._waiting.extend(notices)
        if self._waiting and not self._is_sending and self._clock.seconds() >= self._resumes_at:
            self._is_sending = True
            Deferred.fromCoroutine(self._send_waiting()).addErrback(
                lambda failure: self._log.failure("notices could not be sent", failure, event="notices_failed")
            )

    async def _told_earlier(self) -> Told:
        try:
            told = await self._store.get_value(STORED_AS, dict[str, ToldError]) or {}
        except PipetestError as e:  # to tell twice is better than not at all
            self._log.debug("what people were told could not be read: {reason}", reason=str(e))
            return {}
        return {kind: replace(error, earlier=True) for kind, error in told.items()}

    async def _put(self) -> None:
        """Waits for as long as the database cannot be written, while people are told of that."""
        told = self._told
        if told is None or told == self._stored or self._waiting or self._is_sending:
            return
        try:
            await self._store.put_value(STORED_AS, told)
        except PipetestError as e:
            self._log.debug("what people were told could not be stored: {reason}", reason=str(e))
        else:
            self._stored = told

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
