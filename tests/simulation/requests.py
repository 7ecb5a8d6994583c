"""Which requests create something."""

from urllib.parse import urlsplit

from pipetest.domain.model import Request
from pipetest.sandbox.github.limits import GRAPHQL


def creates(request: Request) -> bool:
    """Whether it is to make a record in Pipedrive; GitHub's GraphQL is only asked, by a POST too."""
    return request.method == "POST" and not asks_graphql(request)


def asks_graphql(request: Request) -> bool:
    return urlsplit(request.url).path.endswith(GRAPHQL)
