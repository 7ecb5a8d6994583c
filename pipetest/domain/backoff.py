"""How long to wait until the next attempt. Pure."""

RETRY_FIRST_S = 5.0
RETRY_LONGEST_S = 300.0


def backoff(attempts: int, *, first: float = RETRY_FIRST_S, longest: float = RETRY_LONGEST_S) -> float:
    """Seconds to wait after this many failures in a row (from 1): ``first``, doubling up to ``longest``."""
    return min(longest, first * 2.0 ** min(attempts - 1, 32))
