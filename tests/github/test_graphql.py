"""How accounts' gists stand, asked of the sandbox's GraphQL and read from answers of any kind."""

from collections.abc import Mapping
from random import Random
from typing import Any

import msgspec
import pytest
from twisted.internet.task import Clock

from pipetest.domain.errors import Denied, Malformed, RateLimited, ServiceError, Transient
from pipetest.domain.model import GistSummary, Reply, Request, Secret
from pipetest.github.graphql import MOST_ACCOUNTS, GraphQLClient
from pipetest.sandbox.in_process import InProcessExchange
from pipetest.sandbox.world import World
from tests.support.exchanges import ScriptedExchange
from tests.support.results import result_of

TOKEN = "ghp_verysecret"
NOW_AT = 1_795_435_200.0
ROOT = "https://api.github.com"


class Hosted:
    """Ada has written two gists, and a secret one since; Bob none. Acme is an organization."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW_AT)
        self.world = World(self.clock.seconds, Random(1), tokens={TOKEN: "ada"})
        accounts = self.world.accounts
        self.ids = {name: accounts.open(name).id for name in ("Ada", "bob", "acme")}
        accounts.join("acme", "bob")
        accounts.write("Ada", gist_id="older", created_at=NOW_AT - 9.0)
        accounts.write("Ada", gist_id="newer", created_at=NOW_AT - 5.0)
        accounts.write("Ada", gist_id="secret", public=False)
        self.asks = self.with_token(TOKEN)

    def with_token(self, token: str) -> GraphQLClient:
        exchange = InProcessExchange(self.world.github, self.clock, self.world.held_replies)
        return GraphQLClient(exchange, ROOT, Secret(token), self.clock.seconds)

    def summary(self, name: str, total: int, newest: str | None) -> GistSummary:
        return GistSummary(self.ids[name], name, f"U_{self.ids[name]}", total, newest)


@pytest.fixture
def hosted() -> Hosted:
    return Hosted()


def test_accounts_are_told_by_name_and_by_node_and_those_that_are_no_users_are_left_out(hosted: Hosted) -> None:
    told = [hosted.summary("Ada", 2, "newer"), hosted.summary("bob", 0, None)]
    assert result_of(hosted.asks.by_name(["ada", "nobody", "bob", "acme"])) == told
    nodes = [f"U_{hosted.ids[name]}" for name in ("Ada", "acme", "bob")]
    assert result_of(hosted.asks.by_node([*nodes, "U_1", "strange"])) == told


def test_a_hundred_accounts_cost_one_point_and_none_of_the_requests(hosted: Hosted) -> None:
    names = [f"user{number}" for number in range(MOST_ACCOUNTS - 1)]
    for name in names:
        hosted.world.accounts.open(name)
    assert len(result_of(hosted.asks.by_name([*names, "ada"]))) == MOST_ACCOUNTS
    request = Request("GET", f"{ROOT}/users/ada/gists", {"user-agent": "test", "authorization": f"Bearer {TOKEN}"})
    reply = hosted.world.github.handle(request).ending
    assert isinstance(reply, Reply)
    assert reply.headers["x-ratelimit-used"] == "1"
    assert hosted.world.github.calls["POST /graphql"] == 1


def test_used_up_points_are_told_with_status_200_and_waited_for(hosted: Hosted) -> None:
    hosted.world.github_limits.graphql_points = 1
    result_of(hosted.asks.by_name(["ada"]))
    with pytest.raises(RateLimited) as raised:
        result_of(hosted.asks.by_name(["ada"]))
    assert raised.value.wait == 3601.0


def test_a_query_that_is_too_much_is_a_failure_that_fewer_accounts_may_not_meet(hosted: Hosted) -> None:
    hosted.world.github_api.graphql.heaviest = 1
    nodes = [f"U_{hosted.ids['Ada']}", f"U_{hosted.ids['bob']}"]
    for asked in (hosted.asks.by_node(nodes), hosted.asks.by_name(["ada", "bob"])):
        with pytest.raises(Transient) as raised:
            result_of(asked)
        assert not isinstance(raised.value, RateLimited)
        assert raised.value.wait is None
    assert len(result_of(hosted.asks.by_node(nodes[:1]))) == 1


def test_more_node_ids_than_a_hundred_are_refused(hosted: Hosted) -> None:
    with pytest.raises(Transient):
        result_of(hosted.asks.by_node([f"U_{number}" for number in range(MOST_ACCOUNTS + 1)]))


def test_a_wrong_token_is_refused(hosted: Hosted) -> None:
    with pytest.raises(Denied):
        result_of(hosted.with_token("wrong").by_name(["ada"]))


@pytest.mark.parametrize(
    ("root", "url"),
    [
        (ROOT, "https://api.github.com/graphql"),
        ("https://ghe.example/api/v3", "https://ghe.example/api/graphql"),
    ],
)
def test_github_enterprise_has_it_beside_rest(root: str, url: str) -> None:
    exchange = ScriptedExchange(lambda request: Reply(200, {}, b'{"data": {"nodes": []}}'))
    result_of(GraphQLClient(exchange, root, Secret(TOKEN), lambda: NOW_AT).by_node(["U_1"]))
    assert [request.url for request in exchange.requests] == [url]


# --- answers of any kind ----------------------------------------------------------------------------------------------

GOOD: dict[str, Any] = {
    "id": "U_1",
    "databaseId": 1,
    "login": "ada",
    "gists": {"totalCount": 1, "nodes": [{"name": "abc"}]},
}


def answered(body: object, status: int = 200) -> GraphQLClient:
    exchange = ScriptedExchange(lambda request: Reply(status, {}, msgspec.json.encode(body)))
    return GraphQLClient(exchange, ROOT, Secret(TOKEN), lambda: NOW_AT)


@pytest.mark.parametrize(
    "strange",
    [
        None,
        {},
        GOOD | {"databaseId": 2**63},
        GOOD | {"databaseId": None},
        GOOD | {"login": "../pause?"},
        GOOD | {"id": "U 1\n"},
        GOOD | {"id": "U" * 300},
        GOOD | {"gists": None},
        GOOD | {"gists": {"totalCount": -1, "nodes": []}},
        GOOD | {"gists": {"totalCount": 1, "nodes": [{"name": "a/b"}]}},
        GOOD | {"gists": {"totalCount": 1, "nodes": [{"name": "abc"}] * 2}},
    ],
)
def test_an_account_that_cannot_be_read_is_left_out_and_the_others_are_told(strange: object) -> None:
    told = result_of(answered({"data": {"nodes": [strange, GOOD]}}).by_node(["U_2", "U_1"]))
    assert told == [GistSummary(1, "ada", "U_1", 1, "abc")]


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"data": None, "errors": [{"message": "Something went wrong"}]}, 200, Transient),
        ({"errors": [{"type": "RESOURCE_LIMITS_EXCEEDED"}]}, 200, Transient),
        ({"data": {"nodes": [GOOD]}, "errors": [{"type": "RATE_LIMITED"}]}, 200, RateLimited),
        ({"data": {"nodes": [None] * 1001}}, 200, Malformed),
        ({"data": {"nodes": None}}, 200, Malformed),
        ([], 200, Malformed),
        ("", 502, Transient),
        ("", 504, Transient),
        ({"message": "You have exceeded a secondary rate limit"}, 403, RateLimited),
    ],
)
def test_what_is_no_whole_answer_is_an_error(body: object, status: int, error: type[ServiceError]) -> None:
    with pytest.raises(error):
        result_of(answered(body, status).by_node(["U_1"]))


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "300"}, 300.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{NOW_AT + 90:.0f}"}, 91.0),
        ({"x-ratelimit-remaining": "7", "x-ratelimit-reset": f"{NOW_AT + 90:.0f}"}, 60.0),
        ({}, 60.0),
    ],
)
def test_a_limit_told_with_status_200_is_waited_for_as_one_told_with_403(
    headers: Mapping[str, str], wait: float
) -> None:
    body = msgspec.json.encode({"errors": [{"type": "RATE_LIMITED"}]})
    exchange = ScriptedExchange(lambda request: Reply(200, headers, body))
    client = GraphQLClient(exchange, ROOT, Secret(TOKEN), lambda: NOW_AT)
    with pytest.raises(RateLimited) as refused:
        result_of(client.by_node(["U_1"]))
    assert refused.value.wait == wait
