"""What Pipedrive's requests cost, and what its refusals say about limits (Pipedrive docs: rate limiting)."""

from pipetest.domain.model import Reply, Request
from pipetest.ratelimit.policy import Cost, number, retry_after

CREATE = Cost(price=5, writes=True)

BURST_S = 2.0
BURST_LONGEST_S = 60.0

DAILY_UNTOLD_S = 3600.0
"""After a daily refusal that names no wait: Pipedrive's day ends at an hour of its own."""


def cost_of(request: Request) -> Cost:
    """The price of a request in tokens, by Pipedrive's list for API v2."""
    last = request.url.partition("?")[0].rpartition("/")[2]
    match request.method:
        case "POST" | "PUT" | "PATCH":
            return CREATE
        case "DELETE":
            return Cost(price=3)
        case _ if last == "search":
            return Cost(price=20, searches=True)
        case _ if last == "archived":
            return Cost(price=20)
        case _:
            return Cost(price=1 if last.isdecimal() else 10)


def daily(reply: Reply) -> bool:
    """Whether this is a 429 about the day's tokens rather than about a burst."""
    spent = number(reply.headers, "x-daily-ratelimit-token-remaining") == 0
    return reply.status == 429 and (spent or b"daily request budget" in reply.body.lower())


def retry_delay(reply: Reply) -> float:
    """Seconds to wait after a 429."""
    told = retry_after(reply)
    if daily(reply):
        return DAILY_UNTOLD_S if told is None else told
    rest = number(reply.headers, "x-ratelimit-reset") or 0.0
    return max(told or 0.0, min(rest, BURST_LONGEST_S), BURST_S)


def blocked(reply: Reply) -> bool:
    """Whether a refusal is the firewall's page rather than an answer of the API."""
    return reply.status == 403 and reply.body.lstrip().startswith(b"<")
