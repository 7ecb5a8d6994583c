"""GitHub's answers read into pages and errors: by table, for any bytes, and over real sockets against the sandbox."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import nullcontext
from random import Random
from typing import Any

import msgspec
import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

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
from pipetest.domain.interfaces import GitHub
from pipetest.domain.model import Gist, Reply, Request, Secret, Text, UserList
from pipetest.github.client import GitHubClient
from pipetest.github.responses import refusal
from pipetest.sandbox.faults import FAULTS, Rule
from pipetest.sandbox.world import World
from tests.support.exchanges import ScriptedExchange, exchange_with
from tests.support.results import result_of

TOKEN = Secret("ghp_verysecret")
NOW_AT = 1_795_435_200.0
URL = "https://api.github.com/users/ada/gists?per_page=100"


def error(message: object, **more: object) -> bytes:
    return msgspec.json.encode({"message": message, **more})


def listed(*ids: str, **headers: str) -> Reply:
    items = [{"id": gist_id, "created_at": "2026-11-23T12:00:00Z", "public": True} for gist_id in ids]
    return Reply(200, headers, msgspec.json.encode(items))


# --- what is no page --------------------------------------------------------------------------------------------------

LIMITED = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW_AT) + 600)}
BAD = error("Bad credentials")

REFUSALS: Sequence[tuple[int, Mapping[str, str], bytes, type[ServiceError], str]] = [
    (401, {}, BAD, Denied, "refuses the token (401): Bad credentials; check PIPETEST_GITHUB_TOKEN"),
    (403, {}, error("Resource not accessible"), Forbidden, "refuses access (403): Resource not accessible"),
    (403, {}, b"Request forbidden by administrative rules.", Forbidden, "refuses access (403)"),
    (403, {}, error("Gist access blocked", block={"reason": "dmca"}), Forbidden, "(403): Gist access blocked"),
    (451, {}, error("Unavailable for legal reasons"), Forbidden, "(451): Unavailable for legal reasons"),
    (403, {"retry-after": "30", **LIMITED}, error("x"), RateLimited, "rate limit reached (403)"),
    (403, {}, error("You have exceeded a secondary rate limit"), RateLimited, "rate limit reached (403)"),
    (404, {}, error("Not Found"), Missing, "knows no such user (404)"),
    (408, {}, b"", Transient, "answered 408"),
    (400, {}, error("That version is not supported"), Refused, "(400): That version is not supported"),
    (410, {}, error("Gone"), Refused, "(410): Gone"),
    (422, {}, error("Validation Failed", errors=["text"]), Refused, "(422): Validation Failed"),
    (429, {}, b"", RateLimited, "rate limit reached (429)"),
    (301, {"location": "https://elsewhere.example"}, b"", Refused, "redirects (301) too often or elsewhere"),
    (500, {}, b"<html>", Transient, "answered 500"),
    (204, {}, b"", Malformed, "an answer (204) that is not as described"),
    (304, {}, b"", Malformed, "an answer (304) that is not as described"),
]


@pytest.mark.parametrize(("status", "headers", "body", "kind", "words"), REFUSALS)
def test_what_is_no_page_says_what_to_do_next(
    status: int, headers: Mapping[str, str], body: bytes, kind: type[ServiceError], words: str
) -> None:
    refused = refusal(Reply(status, headers, body), TOKEN, NOW_AT)
    assert type(refused) is kind
    assert words in refused.reason
    if isinstance(refused, Refused):
        assert refused.status == status


@pytest.mark.parametrize(
    ("headers", "body", "wait"),
    [
        ({"retry-after": "30", **LIMITED}, b"", 30.0),
        (LIMITED, b"", 601.0),
        ({**LIMITED, "x-ratelimit-reset": "1"}, b"", 1.0),
        ({"x-ratelimit-remaining": "7"}, error("API rate limit exceeded for 1.2.3.4."), 60.0),
    ],
)
@pytest.mark.parametrize("status", [403, 429])
def test_the_wait_is_what_github_names_first(status: int, headers: Mapping[str, str], body: bytes, wait: float) -> None:
    refused = refusal(Reply(status, headers, body), None, NOW_AT)
    assert isinstance(refused, RateLimited)
    assert refused.wait == wait


def test_an_outage_is_waited_out_as_github_asks() -> None:
    refused = refusal(Reply(503, {"retry-after": "120"}, b""), None, NOW_AT)
    assert isinstance(refused, Transient)
    assert refused.wait == 120.0


@given(
    st.integers(100, 599).filter(lambda status: status not in (200, 203)),
    st.dictionaries(st.sampled_from([*LIMITED, "retry-after", "location"]), st.text() | st.integers().map(str)),
    st.binary() | st.text().map(lambda text: error(text + TOKEN.reveal() + text)) | st.just(error({"a": []})),
)
def test_any_refusal_is_one_line_without_the_token(status: int, headers: Mapping[str, str], body: bytes) -> None:
    refused = refusal(Reply(status, headers, body), TOKEN, NOW_AT)
    assert str(refused).isprintable()
    assert len(str(refused)) < 300
    assert TOKEN.reveal() not in str(refused)
    if isinstance(refused, RateLimited):
        assert refused.wait is not None
        assert 0 <= refused.wait <= 24 * 3600


# --- the client -------------------------------------------------------------------------------------------------------


@pytest.fixture
def world() -> World:
    """Ada has 250 public gists and a secret one; the token is hers."""
    world = World(lambda: NOW_AT, Random(1), tokens={TOKEN.reveal(): "ada"})
    world.accounts.open("Ada")
    for number in range(250):
        world.accounts.write("Ada", gist_id=f"{number}", created_at=NOW_AT + number)
    world.accounts.write("Ada", gist_id="secret", public=False, created_at=NOW_AT + 100.5)
    return world


@pytest_twisted.async_yield_fixture
async def github(world: World) -> AsyncIterator[GitHubClient]:
    async for exchange in exchange_with(world, world.github):
        yield GitHubClient(exchange, exchange.root, TOKEN, lambda: NOW_AT)


@pytest.mark.parametrize("links", ["plain", "lines"])
@pytest_twisted.ensureDeferred
async def test_a_list_is_walked_page_by_page(github: GitHub, world: World, links: Any) -> None:
    world.github_api.quirks.links = links
    found: list[str] = []
    url: str | None = github.first_page("ada", 100)
    while url is not None:
        page = await github.page(url)
        assert page is not None
        found += [gist.id for gist in page.gists]
        url = page.next_url
    assert found == [f"{number}" for number in reversed(range(250))]


@pytest_twisted.ensureDeferred
async def test_an_unchanged_page_is_none_until_it_changes(github: GitHub, world: World) -> None:
    url = github.first_page("ADA", 100)
    first = await github.page(url)
    assert first is not None
    assert await github.page(url, first.etag) is None
    world.accounts.write("ada", gist_id="new", created_at=NOW_AT + 1000)
    changed = await github.page(url, first.etag)
    assert changed is not None
    assert changed.gists[0] == Gist("new", NOW_AT + 1000, Text("", ("notes.txt",)))


@pytest.mark.parametrize("wanted", [UserList("following", "ADA"), UserList("org", "acme")])
@pytest_twisted.ensureDeferred
async def test_a_list_of_accounts_is_walked_page_by_page(github: GitHub, world: World, wanted: UserList) -> None:
    world.accounts.open("acme")
    for number in range(150):
        world.accounts.open(f"user-{number}")
        world.accounts.follow("ada", f"user-{number}")
        world.accounts.join("acme", f"user-{number}")
    first = await github.account_page(github.first_page_of_list(wanted, 100))
    assert first is not None
    assert first.next_url is not None
    second = await github.account_page(first.next_url)
    assert second is not None
    names = [account.name for account in (*first.accounts, *second.accounts)]
    assert names == [f"user-{number}" for number in reversed(range(150))]
    assert second.next_url is None
    assert await github.account_page(first.next_url, second.etag) is None


@pytest_twisted.ensureDeferred
async def test_an_unknown_account_is_missing(github: GitHub) -> None:
    with pytest.raises(Missing):
        await github.page(github.first_page("nobody", 100))


@pytest.mark.parametrize("fault", ["reset", "applied-torn", "500"])
@pytest_twisted.ensureDeferred
async def test_a_lost_answer_can_be_asked_for_again(github: GitHub, world: World, fault: str) -> None:
    world.faults.add(Rule(FAULTS[fault], times=1))
    with pytest.raises(Transient):
        await github.page(github.first_page("ada", 100))
    assert await github.page(github.first_page("ada", 100)) is not None


@pytest.mark.parametrize("token", [None, TOKEN])
@pytest_twisted.ensureDeferred
async def test_a_request_says_who_asks_and_asks_for_no_version(token: Secret | None) -> None:
    exchange = ScriptedExchange(lambda request: listed())
    await GitHubClient(exchange, "https://host/api/v3", token, lambda: NOW_AT).page(URL, 'W/"x"')
    [request] = exchange.requests
    assert request == Request("GET", URL, request.headers)
    assert request.headers["user-agent"].startswith("pipetest/")
    assert dict(request.headers, **{"user-agent": ""}) == {
        "user-agent": "",
        "accept": "application/vnd.github+json",
        "if-none-match": 'W/"x"',
    } | ({} if token is None else {"authorization": "Bearer ghp_verysecret"})


def test_a_name_is_no_more_than_a_name_in_a_url() -> None:
    client = GitHubClient(ScriptedExchange(lambda request: listed()), "https://host/api/v3", None, lambda: NOW_AT)
    assert (
        client.first_page_of_list(UserList("org", "a/b"), 100)
        == "https://host/api/v3/orgs/a%2Fb/public_members?per_page=100"
    )
    assert client.first_page("a/../b?c", 100) == "https://host/api/v3/users/a%2F..%2Fb%3Fc/gists?per_page=100"


# --- answers that mean the same as a page, and such that do not -------------------------------------------------------

ORIGIN = "https://host:8443"
NEXT = '</user/7/gists?page=2>; rel="next"'


def client(answer: Callable[[Request], Reply | Exception]) -> tuple[GitHubClient, ScriptedExchange]:
    exchange = ScriptedExchange(answer)
    return GitHubClient(exchange, f"{ORIGIN}/api/v3", TOKEN, lambda: NOW_AT), exchange


def redirect(status: int, location: str) -> Reply:
    return Reply(status, {"location": location}, b"")


def test_a_203_is_a_page() -> None:
    github, _ = client(lambda request: replace(listed("a"), status=203))
    page = result_of(github.page(github.first_page("ada", 100)))
    assert page is not None
    assert [gist.id for gist in page.gists] == ["a"]


def test_a_304_to_a_request_without_a_condition_is_an_error() -> None:
    github, _ = client(lambda request: Reply(304, {}, b""))
    url = github.first_page("ada", 100)
    assert result_of(github.page(url, 'W/"x"')) is None
    with pytest.raises(Malformed):
        result_of(github.page(url))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location", [f"{ORIGIN}/elsewhere", "/elsewhere", "../../../../elsewhere", "//host:8443/elsewhere#part"]
)
def test_a_redirect_on_the_same_origin_is_followed_with_all_that_was_asked(status: int, location: str) -> None:
    github, exchange = client(
        lambda request: listed("a", link=NEXT) if "/elsewhere" in request.url else redirect(status, location)
    )
    page = result_of(github.page(github.first_page("ada", 100), 'W/"x"'))
    assert page is not None
    assert page.next_url == f"{ORIGIN}/user/7/gists?page=2"
    first, second = exchange.requests
    assert second == replace(first, url=f"{ORIGIN}/elsewhere")


@pytest.mark.parametrize(
    "location",
    [
        "https://host/api/v3/",
        "http://host:8443/api/v3/",
        "https://host:8444/api/v3/",
        "https://host.example:8443/",
        "https://host:8443@evil.example/",
        "https://evil.example\\@host:8443/",
        "//evil.example/",
        "https://[/",
        "",
        "/with blank",
        "/a\nb",
    ],
)
def test_a_redirect_elsewhere_is_not_followed(location: str) -> None:
    github, exchange = client(lambda request: redirect(302, location))
    with pytest.raises(Refused, match="PIPETEST_GITHUB_URL"):
        result_of(github.page(github.first_page("ada", 100)))
    assert len(exchange.requests) == 1


@pytest.mark.parametrize(("redirects", "followed"), [(3, True), (4, False)])
def test_three_redirects_are_followed_and_no_more(redirects: int, followed: bool) -> None:
    def hop(request: Request) -> Reply:
        done = len(exchange.requests) - 1
        return listed("a") if done == redirects else redirect(307, f"/{done + 1}")

    github, exchange = client(hop)
    with nullcontext() if followed else pytest.raises(Refused):
        assert result_of(github.page(github.first_page("ada", 100))) is not None
    assert len(exchange.requests) == 4


@pytest_twisted.ensureDeferred
async def test_an_enterprise_server_of_an_older_version_is_read(github: GitHub, world: World) -> None:
    world.github_api.quirks.versions = ("2022-11-28",)
    assert await github.page(github.first_page("ada", 100)) is not None
