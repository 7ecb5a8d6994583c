"""Keeps the gate of creation for all who ask, and says once what changed about it."""

from collections.abc import Callable, Collection

from twisted.logger import Logger

from pipetest.domain.errors import Denied, RateLimited, ServiceError, Unanswered
from pipetest.domain.model import AccountRefuses, NotNow, Outcome, Unknown
from pipetest.outbox.breaker import BreakerState


class CircuitBreaker:
    """Holds the current :class:`~pipetest.outbox.breaker.BreakerState`; ``monotonic`` is its clock."""

    _log = Logger()

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.gate = BreakerState()
        self._monotonic = monotonic

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
