"""What GitHub's answers mean where they are no page: throttling, and errors that say what to do next. Pure.

Source of what is said about GitHub here: its REST API documentation (rate limits, troubleshooting).
"""

from msgspec import Struct

from pipetest.domain.errors import (
    Denied,
    Forbidden,
    Malformed,
    Missing,
    RateLimited,
    Refused,
    ServiceError,
    Transient,
)
from pipetest.domain.model import Reply, Secret
from pipetest.http.bodies import error_body, quoted, text_of
from pipetest.http.headers import moment, number, retry_after

SERVICE = "GitHub"

HOUR_S = 3600.0
RESET_MARGIN_S = 1.0
"""Resets are given in whole seconds."""

THROTTLED_FIRST_S = 60.0
"""How long to wait where GitHub names no time."""


class Throttle(Struct, frozen=True):
    """GitHub throttles the whole client: ``wait`` is in seconds, None where it names none."""

    wait: float | None


def throttle(reply: Reply, wall: float) -> Throttle | None:
    """What a 403 or 429 says about limits, in the order GitHub's documentation asks for; None if it is none of them."""
    if reply.status not in (403, 429):
        return None
    wait = named_wait(reply, wall)
    if wait is None and reply.status == 403 and b"rate limit" not in reply.body.lower():
        return None
    return Throttle(wait)


def named_wait(reply: Reply, wall: float) -> float | None:
    """How long GitHub's headers say to wait, in seconds: by its own clock, where it tells that. None where they name
    no time."""
    if (wait := retry_after(reply)) is not None:
        return wait
    reset_at = number(reply.headers, "x-ratelimit-reset")
    if number(reply.headers, "x-ratelimit-remaining") != 0 or reset_at is None:
        return None
    now = moment(reply.headers, "date")
    return min(HOUR_S, max(0.0, reset_at - (wall if now is None else now))) + RESET_MARGIN_S


def refusal(reply: Reply, token: Secret | None, wall: float) -> ServiceError:
    """What a reply that is no page means; ``wall`` is now, in seconds since the epoch."""
    throttled = throttle(reply, wall)
    if throttled is not None:
        wait = THROTTLED_FIRST_S if throttled.wait is None else throttled.wait
        return RateLimited(SERVICE, f"rate limit reached ({reply.status})", wait)
    if reply.status == 408 or reply.status >= 500:
        return Transient(SERVICE, f"answered {reply.status}", retry_after(reply))
    if reply.status < 300 or reply.status == 304:
        return Malformed(SERVICE, f"an answer ({reply.status}) that is not as described")
    body = error_body(reply)
    return _refused(reply.status, "" if body is None else quoted(text_of(body.message), token))


def _refused(status: int, words: str) -> ServiceError:
    match status:
        case 404:
            return Missing(SERVICE, "knows no such user (404)")
        case 403 | 451:
            return Forbidden(SERVICE, f"refuses access ({status}){words}", status)
        case 401:
            # After several wrong tokens their owner is locked out for a while, right token or not.
            return Denied(SERVICE, f"refuses the token (401){words}; check PIPETEST_GITHUB_TOKEN", lasting=True)
        case _ if status < 400:
            return Refused(SERVICE, f"redirects ({status}) too often or elsewhere; check PIPETEST_GITHUB_URL", status)
        case _:
            return Refused(SERVICE, f"refuses the request ({status}){words}", status)
