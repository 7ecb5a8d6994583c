"""A circuit breaker over all creates: whether they go out freely, one at a time, or not at all."""

from collections.abc import Callable, Collection

from twisted.logger import Logger

from pipetest.domain.errors import Denied, RateLimited, ServiceError, Unanswered
from pipetest.domain.model import AccountRefuses, NotNow, Outcome, Unknown
from pipetest.outbox.breaker_state import BreakerState


class CircuitBreaker:
    """Holds the current :class:`~pipetest.outbox.breaker_state.BreakerState`, and logs what changes about it.
    ``monotonic`` is its clock."""

    _log = Logger()

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._state = BreakerState()
        self._monotonic = monotonic

    @property
    def epoch(self) -> int:
        """Once this has changed, the outcome of an earlier create counts no more, nor does an earlier search; and a
        create that has not left yet does not leave."""
        return self._state.epoch

    @property
    def retry_at(self) -> float:
        """Nothing starts before."""
        return self._state.retry_at

    @property
    def refusal(self) -> str | None:
        """Why the account refuses every create; None while it does not."""
        return self._state.refusal

    @property
    def half_open(self) -> bool:
        """Whether creates go one at a time, with waits, since several failed in a row."""
        return self._state.half_open

    @property
    def probe(self) -> str | None:
        """The key of the one record that is tried while the account refuses."""
        return self._state.probe

    def allows(self, under_way: int, now: float) -> bool:
        """Whether one more action may start, whichever it is."""
        return self._state.allows(under_way, now)

    # --- what changes it ----------------------------------------------------------------------------------------------

    def new_epoch(self) -> None:
        """Let nothing count that was under way before, see :attr:`epoch`."""
        self._become(self._state.next_epoch())

    def hold_until(self, at: float) -> None:
        """Let nothing start before ``at``."""
        self._become(self._state.held_until(at))

    def release_probe(self) -> None:
        """The probe needs no create any more: whichever record comes next is the probe."""
        self._become(self._state.without_probe())

    def search_answered(self) -> None:
        self._become(self._state.after_answered_search())

    def search_refused(self, error: Denied, epoch: int) -> None:
        refusal = AccountRefuses(error.reason, lasting=error.lasting)
        self._become(self._state.after_refused_search(refusal, epoch, self._monotonic()))

    def search_failed(self, error: ServiceError, epoch: int) -> None:
        """A search that is told to wait, or whose answer is lost, has the same consequences as such a create."""
        match error:
            case RateLimited():
                self.create_ended("", NotNow(error.reason, error.wait), epoch)
            case Unanswered():
                self.create_ended("", Unknown(error.reason), epoch)

    def cannot_search(self, keys: Collection[str]) -> None:
        """A record that cannot even be searched for is no probe: all others would wait for it."""
        if self.probe in keys:
            self.release_probe()

    def create_ended(self, key: str, outcome: Outcome, epoch: int) -> None:
        self._become(self._state.after_create(key, outcome, epoch, self._monotonic()))

    def _become(self, state: BreakerState) -> None:
        before, self._state = self._state, state
        if state.open and not before.open:
            self._log.error(
                "creation pauses, Pipedrive refuses: {reason}; tried again in {wait_s:.0f} s",
                reason=state.refusal,
                wait_s=state.retry_at - self._monotonic(),
            )
        elif state.half_open and not before.half_open:
            self._log.warn("creation goes on one at a time: several requests in a row failed")
        elif state.closed and not before.closed:
            self._log.info("creation goes on")
