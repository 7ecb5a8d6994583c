"""A circuit breaker over all creates: whether they go out freely, one at a time, or not at all. Pure; moments are
monotonic seconds."""

from collections.abc import Collection

from pipetest.domain.backoff import backoff
from pipetest.domain.errors import Denied, RateLimited, ServiceError, Unanswered
from pipetest.domain.model import AccountRefuses, Created, NotNow, Outcome, RefusedForGood, Unknown

FAILURE_THRESHOLD = 3
"""After this many failures in a row the fault is not one record's."""

PROBE_FIRST_S = 10.0
PROBE_LONGEST_S = 300.0
LASTING_LONGEST_S = 3600.0

NOT_NOW_S = 2.0
"""Where a 429 names no wait: Pipedrive's burst window."""


class CircuitBreaker:
    """Closed, it lets creates through. Half-open, it lets one through at a time, with waits. Open, while the account
    refuses every create, it lets through none but one record, the probe, from time to time.

    Once ``epoch`` has changed, the outcome of an earlier create counts no more, nor does an earlier search; and a
    create that has not left yet does not leave. Nothing starts before ``not_before``. ``refusal`` is why the account
    refuses every create, ``probe`` the key of the one record that is tried while it does.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.not_before = 0.0
        self.half_open = False
        self.refusal: str | None = None
        self.probe: str | None = None
        self._search_refused = False  # what the account refused was a search: so one can also show that this is over
        self._attempts = 0
        self._unknown_in_a_row = 0
        self._refused_in_a_row = 0

    @property
    def open(self) -> bool:
        return self.refusal is not None

    @property
    def closed(self) -> bool:
        return not self.half_open and not self.open

    def allows(self, under_way: int, now: float) -> bool:
        """Whether one more action may start, whichever it is."""
        return now >= self.not_before and (self.closed or under_way == 0)

    # --- what changes it ----------------------------------------------------------------------------------------------

    def new_epoch(self) -> None:
        """Let nothing count that was under way before."""
        self.epoch += 1

    def hold_until(self, moment: float) -> None:
        """Let nothing start before this moment."""
        self.not_before = max(self.not_before, moment)

    def release_probe(self) -> None:
        """The probe needs no create any more: whichever record comes next is the probe."""
        self.probe = None

    def cannot_search(self, keys: Collection[str]) -> None:
        """A record that cannot even be searched for is no probe: all others would wait for it."""
        if self.probe in keys:
            self.release_probe()

    def search_answered(self) -> None:
        if self._search_refused:
            self._close()

    def search_failed(self, error: ServiceError, epoch: int, now: float) -> None:
        """A search that is refused, or told to wait, or whose answer is lost, has the consequences of such a create."""
        match error:
            case Denied() if epoch == self.epoch:
                search_refused = self._search_refused or not self.open
                self._open(None, AccountRefuses(error.reason, lasting=error.lasting), now)
                self._search_refused = search_refused
            case RateLimited():
                self.create_ended("", NotNow(error.reason, error.wait), epoch, now)
            case Unanswered():
                self.create_ended("", Unknown(error.reason), epoch, now)

    def create_ended(self, key: str, outcome: Outcome, epoch: int, now: float) -> None:
        """The create of the record ``key``, begun in ``epoch``, ended at ``now``."""
        if isinstance(outcome, NotNow):
            self.hold_until(now + (NOT_NOW_S if outcome.wait is None else outcome.wait))
            return
        if epoch != self.epoch:
            return  # it was under way when the state changed: it neither closes it nor makes the waits longer
        match outcome:
            case Created():
                self._succeeded()
            case AccountRefuses():
                self._open(key, outcome, now)
            case RefusedForGood():
                if self.open:  # a record was judged on its own merits, so the account does not refuse everything
                    self._close()
                self._unknown_in_a_row, self._refused_in_a_row = 0, self._refused_in_a_row + 1
                self._failed(now)
            case Unknown():
                self._unknown_in_a_row, self._refused_in_a_row = self._unknown_in_a_row + 1, 0
                self._failed(now)

    def _succeeded(self) -> None:
        self._unknown_in_a_row = self._refused_in_a_row = 0
        if not self.closed:
            self._close()

    def _close(self) -> None:
        self.epoch += 1
        self.half_open = self._search_refused = False
        self.refusal = self.probe = None
        self._attempts = self._unknown_in_a_row = self._refused_in_a_row = 0

    def _open(self, key: str | None, refusal: AccountRefuses, now: float) -> None:
        attempts, probe = self._attempts + 1 if self.open else 1, self.probe or key
        self._close()
        self.refusal, self.probe, self._attempts = refusal.reason, probe, attempts
        longest = LASTING_LONGEST_S if refusal.lasting else PROBE_LONGEST_S
        self.not_before = now + backoff(attempts, first=PROBE_FIRST_S, longest=longest)

    def _failed(self, now: float) -> None:
        if self.closed and max(self._unknown_in_a_row, self._refused_in_a_row) < FAILURE_THRESHOLD:
            return
        self.epoch += 1
        self._attempts += 1
        self.half_open = not self.open
        self.not_before = now + backoff(self._attempts, first=PROBE_FIRST_S, longest=PROBE_LONGEST_S)
