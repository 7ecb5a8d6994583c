"""What Pipedrive's requests cost in tokens, by its list for API v2 (Pipedrive docs: rate limiting). Pure."""

from pipetest.domain.model import ARCHIVED_PAGE_TOKENS, PAGE_TOKENS, Request
from pipetest.ratelimit.policy import Cost

CREATE = Cost(price=5, writes=True)
WHO_AM_I = Cost(price=2)
ARCHIVED_PAGE = Cost(price=ARCHIVED_PAGE_TOKENS)


def cost_of(request: Request) -> Cost:
    last = request.url.partition("?")[0].rpartition("/")[2]
    match request.method:
        case "POST" | "PUT" | "PATCH":
            return CREATE
        case "DELETE":
            return Cost(price=3)
        case _ if last == "search":
            return Cost(price=20, searches=True)
        case _ if last == "me":
            return WHO_AM_I
        case _ if last == "archived":
            return ARCHIVED_PAGE
        case _:
            return Cost(price=1 if last.isdecimal() else PAGE_TOKENS)
