"""GitHub's GraphQL API: a line about each of a hundred accounts at once, for one of 5,000 points an hour.

Source of what is said about GitHub here: its GraphQL documentation (rate limits and query limits; objects: User, Gist).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from pipetest.domain.errors import RateLimited, Transient
from pipetest.domain.interfaces import Exchange
from pipetest.domain.model import GistSummary, RecordId, Request, Secret
from pipetest.github.pages import LONGEST_ID, LONGEST_NAME
from pipetest.github.responses import SERVICE, THROTTLED_FIRST_S, named_wait, refusal
from pipetest.http.bodies import Items, decoded, decoded_or_none, each
from pipetest.http.exchange import USER_AGENT

MOST_ACCOUNTS = 100
"""In one query: more node ids are refused."""

T = TypeVar("T")

RATE_LIMITED = "RATE_LIMITED"
TOO_MUCH = "RESOURCE_LIMITS_EXCEEDED"

_ACCOUNT = (
    "fragment account on User { id databaseId login "
    "gists(first: 1, privacy: PUBLIC, orderBy: {field: CREATED_AT, direction: DESC}) { totalCount nodes { name } } }"
)
_BY_NODE = f"query($ids: [ID!]!) {{ nodes(ids: $ids) {{ ...account }} }} {_ACCOUNT}"


class GraphQLClient:
    """Implements :class:`~pipetest.domain.interfaces.GistSummaries`. ``exchange`` is the rate limiter in front of HTTP;
    ``root`` is that of the REST API, without a slash at its end; ``wall`` tells the seconds since the epoch."""

    def __init__(self, exchange: Exchange, root: str, token: Secret, wall: Callable[[], float]) -> None:
        self._exchange = exchange
        self._url = f"{root.removesuffix('/v3')}/graphql"  # GitHub Enterprise has it at /api/graphql
        self._token = token
        self._wall = wall

    async def by_node(self, node_ids: Sequence[str]) -> Sequence[GistSummary]:
        answer = await self._asked(_BY_NODE, {"ids": node_ids}, _Answer[_Nodes])
        return _summaries(answer.nodes)

    async def by_name(self, names: Sequence[str]) -> Sequence[GistSummary]:
        variables = ", ".join(f"$n{number}: String!" for number in range(len(names)))
        users = " ".join(f"u{number}: user(login: $n{number}) {{ ...account }}" for number in range(len(names)))
        query = f"query({variables}) {{ {users} }} {_ACCOUNT}"
        of_names = {f"n{number}": name for number, name in enumerate(names)}
        return _summaries(await self._asked(query, of_names, _Answer[_Aliased]))

    async def _asked(self, query: str, variables: Mapping[str, Any], answered: "type[_Answer[T]]") -> T:
        """What was asked for, as far as there is an answer: errors come with status 200."""
        headers = {
            "user-agent": USER_AGENT,
            "accept": "application/json",
            "content-type": "application/json",
            "authorization": f"Bearer {self._token.reveal()}",
        }
        body = msgspec.json.encode({"query": query, "variables": variables})
        reply = await self._exchange(Request("POST", self._url, headers, body))
        if reply.status != 200:
            raise refusal(reply, self._token, self._wall())
        answer = decoded(SERVICE, reply, answered)
        errors = () if answer.errors is None else each(answer.errors)
        kinds = {error.type for error in (decoded_or_none(error, _Error) for error in errors) if error is not None}
        if RATE_LIMITED in kinds:
            wait = named_wait(reply, self._wall())
            raise RateLimited(SERVICE, "GraphQL's rate limit is reached", THROTTLED_FIRST_S if wait is None else wait)
        if TOO_MUCH in kinds or answer.data is None:
            raise Transient(SERVICE, "GraphQL did not answer the whole query")
        return answer.data


class _Newest(Struct, array_like=True, forbid_unknown_fields=True):
    """A list of one gist at most."""

    first: "_Name | None" = None


class _Name(Struct):
    name: Annotated[str, Meta(pattern=r"^[0-9A-Za-z_-]+\Z", max_length=LONGEST_ID)]


class _Gists(Struct):
    total: Annotated[int, Meta(ge=0, le=2**31)] = field(name="totalCount")
    newest: _Newest = field(name="nodes")


class _Account(Struct):
    node_id: Annotated[str, Meta(pattern=r"^[\x21-\x7e]+\Z", max_length=LONGEST_ID)] = field(name="id")
    account_id: RecordId = field(name="databaseId")
    name: Annotated[str, Meta(pattern=r"^[0-9A-Za-z_-]+\Z", max_length=LONGEST_NAME)] = field(name="login")
    gists: _Gists

    def summary(self) -> GistSummary:
        newest = self.gists.newest.first
        return GistSummary(
            self.account_id, self.name, self.node_id, self.gists.total, None if newest is None else newest.name
        )


class _Error(Struct):
    type: str = ""


class _Nodes(Struct):
    nodes: Items


_Aliased: Any = msgspec.defstruct(
    "_Aliased", [(f"u{number}", Raw | UnsetType, UNSET) for number in range(MOST_ACCOUNTS)]
)


class _Answer(Struct, Generic[T]):
    data: T | None = None
    errors: Items | None = None


def _summaries(accounts: Any) -> Sequence[GistSummary]:
    """Of an account that is missing or cannot be read there is none."""
    readable = (decoded_or_none(account, _Account) for account in each(accounts))
    return [account.summary() for account in readable if account is not None]
