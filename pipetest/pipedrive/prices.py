"""What Pipedrive's requests cost in tokens, by its list for API v2 (Pipedrive docs: rate limiting). Pure."""

from collections.abc import Mapping

from pipetest.domain.model import ARCHIVED_PAGE_TOKENS, PAGE_TOKENS, Request
from pipetest.ratelimit.policy import Cost

CREATE = Cost(price=5, writes=True)
WHO_AM_I = Cost(price=2)
ARCHIVED_PAGE = Cost(price=ARCHIVED_PAGE_TOKENS)

_PAGES: Mapping[str, int] = {
    "me": WHO_AM_I.price,
    "pipelines": 5,
    "stages": 5,
    "users": 20,
    "archived": ARCHIVED_PAGE.price,
}


def page_price(path: str) -> int:
    """Tokens for a page of the list at ``path``."""
    return _PAGES.get(path.rpartition("/")[2], PAGE_TOKENS)


def cost_of(request: Request) -> Cost:
    path = request.url.partition("?")[0]
    last = path.rpartition("/")[2]
    match request.method:
        case "POST" | "PUT" | "PATCH":
            return CREATE
        case "DELETE":
            return Cost(price=3)
        case _ if last == "search":
            return Cost(price=20, searches=True)
        case _:
            return Cost(price=1 if last.isdecimal() else page_price(path))
