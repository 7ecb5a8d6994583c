"""Whether creation may go on as a whole: what refusals and lost answers in a row lead to. Pure; times are monotonic."""

from collections.abc import Callable, Collection

from msgspec import Struct
from msgspec.structs import replace
from twisted.logger import Logger

from pipetest.domain.backoff import backoff
from pipetest.domain.errors import Denied, RateLimited, ServiceError, Unanswered
from pipetest.domain.model import AccountRefuses, Created, NotNow, Outcome, RefusedForGood, Unknown

IN_A_ROW = 3
"""So many unknown outcomes, or refusals for good, one after the other are no accident of one record."""

PROBE_FIRST_S = 10.0
PROBE_LONGEST_S = 300.0
LASTING_LONGEST_S = 3600.0

NOT_NOW_S = 2.0
"""Where a 429 names no wait: Pipedrive's burst window."""


class BreakerState(Struct, frozen=True):
    """Open; careful (one create at a time, with waits); or shut by the account, with one record as the probe.

    ``turn`` tells outcomes of what was under way before a change from those that count after it. ``at_look``: what the
    account refused was a look, so that a look shows when it is over.
    """

    turn: int = 0
    opens: float = 0.0
    careful: bool = False
    refusal: str | None = None
    probe: str | None = None
    at_look: bool = False
    attempts: int = 0
    unknowns: int = 0
    refusals: int = 0

    @property
    def wide(self) -> bool:
        """Whether several creates may run beside each other."""
        return not self.careful and self.refusal is None

    def admits(self, under_way: int, now: float) -> bool:
        """Whether one more piece of work may begin, apart from the question which one."""
        return now >= self.opens and (self.wide or under_way == 0)

    def turned(self) -> "BreakerState":
        """As it is; but what is under way counts no more, and what has not left yet stays."""
        return replace(self, turn=self.turn + 1)

    def without_probe(self) -> "BreakerState":
        """The probe is no more (it was found in Pipedrive): whatever comes next takes its part."""
        return replace(self, probe=None)

    def held(self, until: float) -> "BreakerState":
        """Nothing may begin before ``until``."""
        return replace(self, opens=max(self.opens, until))

    def look_refused(self, outcome: AccountRefuses, turn: int, now: float) -> "BreakerState":
        """The gate after the account refused a look begun under ``turn``."""
        return self if turn != self.turn else self._refused(None, outcome, now)

    def look_answered(self) -> "BreakerState":
        """The gate after a look was answered."""
        return BreakerState(self.turn + 1, opens=self.opens) if self.at_look else self

    def after(self, key: str, outcome: Outcome, turn: int, now: float) -> "BreakerState":
        """The gate after the create of ``key``, begun under ``turn``, ended at ``now``."""
        if isinstance(outcome, NotNow):
            return self.held(now + (NOT_NOW_S if outcome.wait is None else outcome.wait))
        if turn != self.turn:
            return self  # under way when the gate changed: it neither opens it nor makes the waits longer
        match outcome:
            case Created():
                return BreakerState(self.turn if self.wide else self.turn + 1, opens=self.opens)
            case AccountRefuses():
                return self._refused(key, outcome, now)
            case RefusedForGood():
                # A record was judged on its own merits, so the account no longer refuses as a whole.
                judged = self if self.refusal is None else BreakerState(self.turn + 1, opens=self.opens)
                return judged._strained(replace(judged, unknowns=0, refusals=judged.refusals + 1), now)
            case Unknown():
                return self._strained(replace(self, unknowns=self.unknowns + 1, refusals=0), now)

    def _refused(self, key: str | None, outcome: AccountRefuses, now: float) -> "BreakerState":
        attempts = self.attempts + 1 if self.refusal is not None else 1
        longest = LASTING_LONGEST_S if outcome.lasting else PROBE_LONGEST_S
        wait = backoff(attempts, first=PROBE_FIRST_S, longest=longest)
        return BreakerState(
            self.turn + 1,
            now + wait,
            refusal=outcome.reason,
            probe=self.probe or key,
            at_look=key is None and (self.refusal is None or self.at_look),
            attempts=attempts,
        )

    def _strained(self, counted: "BreakerState", now: float) -> "BreakerState":
        if counted.wide and max(counted.unknowns, counted.refusals) < IN_A_ROW:
            return counted
        attempts = self.attempts + 1
        wait = backoff(attempts, first=PROBE_FIRST_S, longest=PROBE_LONGEST_S)
        return replace(
            counted, turn=self.turn + 1, opens=now + wait, careful=counted.refusal is None, attempts=attempts
        )


class CircuitBreaker:
    """Holds the current :class:`BreakerState`; ``monotonic`` is its clock."""

    _log = Logger()

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.gate = BreakerState()
        self._monotonic = monotonic

    @property
    def refusal(self) -> str | None:
        """Why the account refuses every create, None while it does not."""
        return self.gate.refusal

    @property
    def probe(self) -> str | None:
        """The one record that is tried while the account refuses."""
        return self.gate.probe

    # --- what happens before it ---------------------------------------------------------------------------------------

    def look_answered(self) -> None:
        self._turn_to(self.gate.look_answered())

    def look_refused(self, error: Denied, turn: int) -> None:
        refusal = AccountRefuses(error.reason, lasting=error.lasting)
        self._turn_to(self.gate.look_refused(refusal, turn, self._monotonic()))

    def look_failed(self, error: ServiceError, turn: int) -> None:
        """A look that is told to wait, or is lost, means the same for what comes after it as such a create."""
        match error:
            case RateLimited():
                self.create_ended("", NotNow(error.reason, error.wait), turn)
            case Unanswered():
                self.create_ended("", Unknown(error.reason), turn)

    def looks_fail(self, keys: Collection[str]) -> None:
        """Whoever cannot even be looked for is no probe, or all would wait for that."""
        if self.gate.probe in keys:
            self._turn_to(self.gate.without_probe())

    def create_ended(self, key: str, outcome: Outcome, turn: int) -> None:
        self._turn_to(self.gate.after(key, outcome, turn, self._monotonic()))

    # --- what is said of it -------------------------------------------------------------------------------------------

    def _turn_to(self, gate: BreakerState) -> None:
        before, self.gate = self.gate, gate
        if gate.refusal is not None and before.refusal is None:
            self._log.error(
                "creation pauses, Pipedrive refuses: {reason}; tried again in {wait_s:.0f} s",
                reason=gate.refusal,
                wait_s=gate.opens - self._monotonic(),
            )
        elif gate.careful and not before.careful:
            self._log.warn("creation goes on one at a time: several requests in a row came to nothing")
        elif gate.wide and not before.wide:
            self._log.info("creation goes on")
