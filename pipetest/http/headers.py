"""What the headers of a reply say. Pure."""

from collections.abc import Mapping
from math import isfinite

from pipetest.domain.backoff import LONGEST_WAIT_S
from pipetest.domain.model import Reply


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
