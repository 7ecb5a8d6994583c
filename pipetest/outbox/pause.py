"""A pause in creating: how long it lasts, and how it goes on. Pure; moments are monotonic seconds."""

from msgspec import Struct

from pipetest.domain.backoff import backoff

FAILURE_THRESHOLD = 3
"""After this many failures in a row the fault is not one record's."""

PROBE_FIRST_S = 10.0
PROBE_LONGEST_S = 300.0
LASTING_LONGEST_S = 3600.0
"""For a cap or a block, which last."""

MISFIT_FIRST_S = 300.0
MISFIT_LONGEST_S = 3600.0
"""For a template that doesn't fit: a person has to change something."""

MOST_RETRIES = 40
"""Where only records in quarantine can show whether a pause is over, they are tried this many times, in about three
hours; after that once a day, as usual."""


class Pause(Struct, frozen=True):
    """Nothing of what is paused is created before ``not_before``, and then one record at a time until one succeeds.
    ``attempts`` counts the waits, each of which is longer than the one before; ``reason`` is for people."""

    reason: str
    not_before: float
    attempts: int = 1

    @property
    def retries_refused(self) -> bool:
        """Whether it is still worth trying what was refused."""
        return self.attempts <= MOST_RETRIES


def paused(before: Pause | None, reason: str, now: float, *, lasting: bool = False) -> Pause:
    """The pause after one more failure."""
    return _next(before, reason, now, PROBE_FIRST_S, LASTING_LONGEST_S if lasting else PROBE_LONGEST_S)


def misfit_pause(before: Pause | None, reason: str, now: float) -> Pause:
    """The pause after the template was found not to fit once more."""
    return _next(before, reason, now, MISFIT_FIRST_S, MISFIT_LONGEST_S)


def _next(before: Pause | None, reason: str, now: float, first: float, longest: float) -> Pause:
    attempts = 1 if before is None else before.attempts + 1
    return Pause(reason, now + backoff(attempts, first=first, longest=longest), attempts)


def counts(pause: Pause | None, now: float) -> bool:
    """Whether a failure now says something new: nothing starts during a pause, so what ends in it began before."""
    return pause is None or now >= pause.not_before
