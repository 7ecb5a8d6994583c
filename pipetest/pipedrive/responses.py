"""What Pipedrive's answers mean: a value, the outcome of a create, or an error that says what to do next. Pure.

Source of what is said about Pipedrive here: its API reference and its pages on responses, status codes and rate limits.
"""

from typing import Annotated, Generic, TypeVar

from msgspec import Meta, Struct

from pipetest.domain.errors import Denied, Forbidden, Malformed, Missing, RateLimited, Refused, ServiceError, Transient
from pipetest.domain.model import (
    AccountRefuses,
    Created,
    NotAllowed,
    NotNow,
    Outcome,
    RecordId,
    RefusedForGood,
    Reply,
    Secret,
    Unknown,
)
from pipetest.http.bodies import decoded, error_body, quoted, text_of
from pipetest.http.headers import number, retry_after

SERVICE = "Pipedrive"

CAPPED = "feature_capping_deals_limit"

LONGEST_CODE = 100
"""Characters: it is stored."""

BURST_S = 2.0
BURST_LONGEST_S = 60.0

DAILY_RETRY_S = 3600.0
"""After a daily refusal that names no time: Pipedrive's day ends at an hour of its own."""

LONGEST_CURSOR = 2_000
"""Characters: as many as surely go into a URL."""

T = TypeVar("T")


class _Pagination(Struct):
    next_cursor: Annotated[str, Meta(max_length=LONGEST_CURSOR)] | None = None


class Answer(Struct, Generic[T]):
    """The envelope of every answer."""

    data: T
    success: bool | None = None
    additional_data: _Pagination | None = None

    @property
    def cursor(self) -> str | None:
        """Where the next page begins, None on the last one."""
        return None if self.additional_data is None else self.additional_data.next_cursor


class _Record(Struct):
    id: RecordId


def parsed(reply: Reply, as_type: type[Answer[T]]) -> Answer[T]:
    """
    :raises Malformed: the body is no such answer, or does not tell of success.
    """
    answer = decoded(SERVICE, reply, as_type)
    if answer.success is False or (answer.data is None and answer.success is None):
        raise Malformed(SERVICE, f"an answer ({reply.status}) of no success")
    return answer


def outcome(reply: Reply, api_key: Secret, *, in_organization: bool) -> Outcome:
    """What became of a create; ``in_organization``: it named one, which may be what was wrong with it."""
    if not 200 <= reply.status < 300:
        return refusal(reply, api_key, in_organization=in_organization)
    try:
        return Created(parsed(reply, Answer[_Record]).data.id)
    except Malformed as e:
        return Unknown(e.reason)


def refusal(
    reply: Reply, api_key: Secret, *, in_organization: bool = False
) -> NotNow | RefusedForGood | NotAllowed | AccountRefuses | Unknown:
    """What a reply other than 2xx means. What is not named here says nothing about whether a create was carried out."""
    body = error_body(reply)
    words = "" if body is None else quoted(text_of(body.error), api_key)
    code = "" if body is None else "".join(filter(str.isprintable, text_of(body.code)))[:LONGEST_CODE]
    match reply.status:
        case 400 | 404 | 422 if body is not None and body.success is False:
            in_doubt = in_organization and reply.status != 422
            return RefusedForGood(f"refused ({reply.status}){words}", in_doubt, reply.status, code)
        case 401:
            return AccountRefuses(f"API key refused (401){words}; check PIPETEST_PIEPEDRIVE_API_KEY")
        case 402:
            return AccountRefuses(f"account not open (402){words}; check its subscription")
        case 403 if body is not None:
            return NotAllowed(f"not allowed (403){words}", capped=code == CAPPED)
        case 403 if is_firewall_page(reply):
            return AccountRefuses("blocked (403, not from the API itself)", lasting=True)
        case 429:
            limit = "the day's tokens are used up" if is_daily_refusal(reply) else "too much at once"
            return NotNow(f"{limit} (429)", retry_delay(reply))
        case status:
            return Unknown(f"answered {status}{words}")


def read_error(reply: Reply, api_key: Secret) -> ServiceError:
    """What a reply other than 2xx means for a read."""
    match refusal(reply, api_key):
        case NotNow(reason, wait):
            return RateLimited(SERVICE, reason, wait)
        case AccountRefuses(reason, lasting=lasting):
            return Denied(SERVICE, reason, lasting=lasting)
        case NotAllowed(reason):
            return Forbidden(SERVICE, reason, reply.status)
        case RefusedForGood(reason) if reply.status == 404:
            return Missing(SERVICE, reason)
        case Unknown(reason) if reply.status == 408 or reply.status >= 500:
            return Transient(SERVICE, reason, retry_after(reply))
        case RefusedForGood(reason) | Unknown(reason):
            return Refused(SERVICE, reason, reply.status)


# --- limits -----------------------------------------------------------------------------------------------------------


def is_daily_refusal(reply: Reply) -> bool:
    """Whether this is a 429 about the day's tokens rather than about a burst."""
    spent = number(reply.headers, "x-daily-ratelimit-token-remaining") == 0
    return reply.status == 429 and (spent or b"daily request budget" in reply.body.lower())


def retry_delay(reply: Reply) -> float:
    """Seconds to wait after a 429."""
    named = retry_after(reply)
    if is_daily_refusal(reply):
        return DAILY_RETRY_S if named is None else named
    rest = number(reply.headers, "x-ratelimit-reset") or 0.0
    return max(named or 0.0, min(rest, BURST_LONGEST_S), BURST_S)


def is_firewall_page(reply: Reply) -> bool:
    """Whether a refusal comes from the firewall rather than from the API: too much was sent after a 429. JSON that is
    cut short is the API's, and may tell of a cap."""
    return reply.status == 403 and not reply.body.lstrip().startswith(b"{")
