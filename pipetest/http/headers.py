"""What the headers of a reply say. Pure."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from math import isfinite

from pipetest.domain.backoff import LONGEST_WAIT_S
from pipetest.domain.model import Reply

LARGEST_NUMBER = 2.0**53
"""Up to it floats are exact; whatever is counted here, there is less of it."""


def number(headers: Mapping[str, str], name: str) -> float | None:
    """A header's number, :data:`LARGEST_NUMBER` at most; None where it is missing or makes no sense."""
    try:
        value = float(headers[name])
    except (KeyError, ValueError):
        return None
    return min(value, LARGEST_NUMBER) if isfinite(value) and value >= 0 else None


def retry_after(reply: Reply) -> float | None:
    """Seconds that the service asks us to wait, where it does; a moment it names counts by its own clock."""
    wait = number(reply.headers, "retry-after")
    if wait is None:
        until, now = (moment(reply.headers, name) for name in ("retry-after", "date"))
        wait = None if until is None or now is None else max(0.0, until - now)
    return None if wait is None else min(wait, LONGEST_WAIT_S)


def moment(headers: Mapping[str, str], name: str) -> float | None:
    """A header's date, in seconds since the epoch; None where it is missing or makes no sense."""
    try:
        return parsedate_to_datetime(headers[name]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None
