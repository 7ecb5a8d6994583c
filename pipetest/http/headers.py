"""What the headers of a reply say. Pure."""

from collections.abc import Mapping
from math import isfinite

from pipetest.domain.model import Reply

LONGEST_WAIT_S = 24 * 3600.0
"""No service has a reason to send us away for longer than a day: a longer wait is taken for a mistake."""


def number(headers: Mapping[str, str], name: str) -> float | None:
    """A header's number, None where it is missing or makes no sense."""
    try:
        value = float(headers[name])
    except (KeyError, ValueError):
        return None
    return value if isfinite(value) and value >= 0 else None


def retry_after(reply: Reply) -> float | None:
    """Seconds that the service asks us to wait, where it does."""
    wait = number(reply.headers, "retry-after")
    return None if wait is None else min(wait, LONGEST_WAIT_S)
