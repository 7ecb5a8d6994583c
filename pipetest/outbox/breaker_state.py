"""The circuit breaker's state, pure: what refusals and lost answers in a row lead to. Times are monotonic seconds."""

from msgspec import Struct
from msgspec.structs import replace

from pipetest.domain.backoff import backoff
from pipetest.domain.model import AccountRefuses, Created, NotNow, Outcome, RefusedForGood, Unknown

FAILURE_THRESHOLD = 3
"""After this many failures in a row the fault is not one record's."""

PROBE_FIRST_S = 10.0
PROBE_LONGEST_S = 300.0
LASTING_LONGEST_S = 3600.0

NOT_NOW_S = 2.0
"""Where a 429 names no wait: Pipedrive's burst window."""


class BreakerState(Struct, frozen=True):
    """Closed, it lets creates through. Half-open, it lets one through at a time, with waits. Open, while the account
    refuses every create, it lets through none but one record, the probe, from time to time.

    ``epoch`` grows with each change, so that the outcomes of what was under way before it can be told apart. Nothing
    starts before ``retry_at``. ``search_refused``: what the account refused was a search, so a search can also show
    that this is over. ``attempts`` counts the waits, each of which is longer than the one before.
    """

    epoch: int = 0
    retry_at: float = 0.0
    half_open: bool = False
    refusal: str | None = None
    probe: str | None = None
    search_refused: bool = False
    attempts: int = 0
    unknown_in_a_row: int = 0
    refused_in_a_row: int = 0

    @property
    def open(self) -> bool:
        return self.refusal is not None

    @property
    def closed(self) -> bool:
        return not self.half_open and not self.open

    def allows(self, under_way: int, now: float) -> bool:
        """Whether one more action may start, whichever it is."""
        return now >= self.retry_at and (self.closed or under_way == 0)

    def next_epoch(self) -> "BreakerState":
        """The same, but nothing that was under way before counts."""
        return replace(self, epoch=self.epoch + 1)

    def without_probe(self) -> "BreakerState":
        return replace(self, probe=None)

    def held_until(self, at: float) -> "BreakerState":
        return replace(self, retry_at=max(self.retry_at, at))

    def after_refused_search(self, refusal: AccountRefuses, epoch: int, now: float) -> "BreakerState":
        """The account refused a search that began in ``epoch``."""
        return self if epoch != self.epoch else self._opened(None, refusal, now)

    def after_answered_search(self) -> "BreakerState":
        return self._closed() if self.search_refused else self

    def after_create(self, key: str, outcome: Outcome, epoch: int, now: float) -> "BreakerState":
        """The create of the record ``key``, begun in ``epoch``, ended at ``now``."""
        if isinstance(outcome, NotNow):
            return self.held_until(now + (NOT_NOW_S if outcome.wait is None else outcome.wait))
        if epoch != self.epoch:
            return self  # it was under way when the state changed: it neither closes it nor makes the waits longer
        match outcome:
            case Created():
                return BreakerState(self.epoch, self.retry_at) if self.closed else self._closed()
            case AccountRefuses():
                return self._opened(key, outcome, now)
            case RefusedForGood():
                # A record was judged on its own merits, so the account does not refuse everything any more.
                judged = self._closed() if self.open else self
                refused = judged.refused_in_a_row + 1
                return replace(judged, unknown_in_a_row=0, refused_in_a_row=refused)._after_failure(now)
            case Unknown():
                unknown = self.unknown_in_a_row + 1
                return replace(self, unknown_in_a_row=unknown, refused_in_a_row=0)._after_failure(now)

    def _closed(self) -> "BreakerState":
        return BreakerState(self.epoch + 1, self.retry_at)

    def _opened(self, key: str | None, refusal: AccountRefuses, now: float) -> "BreakerState":
        attempts = self.attempts + 1 if self.open else 1
        longest = LASTING_LONGEST_S if refusal.lasting else PROBE_LONGEST_S
        return BreakerState(
            self.epoch + 1,
            now + backoff(attempts, first=PROBE_FIRST_S, longest=longest),
            refusal=refusal.reason,
            probe=self.probe or key,
            search_refused=key is None and (self.search_refused or not self.open),
            attempts=attempts,
        )

    def _after_failure(self, now: float) -> "BreakerState":
        if self.closed and max(self.unknown_in_a_row, self.refused_in_a_row) < FAILURE_THRESHOLD:
            return self
        attempts = self.attempts + 1
        wait = backoff(attempts, first=PROBE_FIRST_S, longest=PROBE_LONGEST_S)
        return replace(self, epoch=self.epoch + 1, retry_at=now + wait, half_open=not self.open, attempts=attempts)
