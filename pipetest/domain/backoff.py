"""How long to wait until the next attempt. Pure."""

RETRY_FIRST_S = 5.0
RETRY_LONGEST_S = 300.0

LONGEST_WAIT_S = 24 * 3600.0
"""No service has a reason to send us away for longer than a day: a longer wait is taken for a mistake."""


def backoff(attempts: int, *, first: float = RETRY_FIRST_S, longest: float = RETRY_LONGEST_S) -> float:
    """Seconds to wait after this many failures in a row (from 1): ``first``, doubling up to ``longest``."""
    return min(longest, first * 2.0 ** min(attempts - 1, 32))
