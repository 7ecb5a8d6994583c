"""GitHub's answers read into pages and errors: by table, for any bytes, and over real sockets against the sandbox."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from random import Random
from typing import Any

import msgspec
import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st

from pipetest.domain.errors import (
    Denied,
    Malformed,
    Missing,
    RateLimited,
    Refused,
    ServiceError,
    Transient,
)
from pipetest.domain.interfaces import GitHub
from pipetest.domain.model import Gist, Page, Reply, Request, Secret
from pipetest.github.client import GitHubClient, next_url, parsed
from pipetest.github.responses import refusal
from pipetest.sandbox.faults import FAULTS, Rule
from pipetest.sandbox.world import World
from tests.support.exchanges import ScriptedExchange, exchange_with

TOKEN = Secret("ghp_verysecret")
NOW_AT = 1_795_435_200.0
URL = "https://api.github.com/users/ada/gists?per_page=100"


def error(message: object, **more: object) -> bytes:
    return msgspec.json.encode({"message": message, **more})


def item(gist_id: str, created_at: str = "2026-11-23T12:00:00Z", **more: object) -> dict[str, Any]:
    return {"id": gist_id, "created_at": created_at, "public": True, "owner": {"id": 7}, **more}


def listed(*items: Mapping[str, object], **headers: str) -> Reply:
    return Reply(200, headers, msgspec.json.encode(items))


# --- a page -----------------------------------------------------------------------------------------------------------


def test_a_page_is_its_gists_as_listed_their_owner_the_etag_and_what_follows() -> None:
    link = '<https://api.github.com/user/7/gists?per_page=100&page=2>; rel="next"'
    reply = listed(item("b"), item("a", "1970-01-01T01:00:00+01:00"), etag='W/"x"', link=link)
    assert parsed(reply, URL) == Page(
        gists=(Gist("b", NOW_AT), Gist("a", 0.0)),
        owner_id=7,
        etag='W/"x"',
        next_url="https://api.github.com/user/7/gists?per_page=100&page=2",
    )


def test_what_is_not_public_is_left_out_but_tells_the_owner() -> None:
    assert parsed(listed(item("a", public=False), item("b", owner=None)), URL) == Page(
        (Gist("b", NOW_AT),), owner_id=7, etag=None, next_url=None
    )


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"<html>", b"{}", b"[", b"[1]", b"[" * 100_000, b"\xff"),
        listed(item("")).body,
        listed(item("a", "2026-11-23T12:00:00")).body,
        listed(item("a", "yesterday")).body,
        listed(item("a", public=None)).body,
        listed({"id": "a", "public": True}).body,
    ],
)
def test_what_is_no_list_of_gists_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        parsed(Reply(200, {}, body), URL)


KEYS = st.sampled_from(["id", "created_at", "public", "owner"])
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text()
ITEMS = st.recursive(SCALARS, lambda values: st.lists(values) | st.dictionaries(KEYS, values), max_leaves=8)


@given(st.binary() | st.lists(ITEMS).map(msgspec.json.encode), st.text())
def test_any_bytes_are_a_page_or_malformed(body: bytes, link: str) -> None:
    with suppress(Malformed):
        assert isinstance(parsed(Reply(200, {"link": link}, body), URL), Page)


# --- what follows -----------------------------------------------------------------------------------------------------

NEXT = "https://api.github.com/user/7/gists?per_page=100&page=2"


@pytest.mark.parametrize(
    "link",
    [
        f'<{NEXT}>; rel="next", <{NEXT}0>; rel="last"',
        f'<{URL}>; rel="first", <{URL}>; rel="prev", <{NEXT}>; rel="next"',
        f"<{NEXT}>;rel=next",
        f'<{NEXT}>; title="x"; REL = "up Next"',
        f'<https://api.github.com:443{NEXT.removeprefix("https://api.github.com")}>; rel="next"',
    ],
)
def test_the_next_page_is_taken_as_it_is_given(link: str) -> None:
    assert (next_url(link, URL) or "").replace(":443", "") == NEXT


@pytest.mark.parametrize(
    "link", ["", "x", f'<{NEXT}>; rel="last"', f'<{NEXT}>; rel="nextish"', f'<{NEXT}>; title="next"', f"<{NEXT}>"]
)
def test_without_a_next_link_the_list_ends(link: str) -> None:
    assert next_url(link, URL) is None


@pytest.mark.parametrize(
    "target",
    [
        "http://api.github.com/user/7/gists?page=2",
        "https://api.github.com:444/user/7/gists?page=2",
        "https://api.github.com.evil.example/user/7/gists?page=2",
        "https://api.github.com@evil.example/",
        "https://evil.example\\@api.github.com/",
        "https://evil.example/https://api.github.com/",
        "//evil.example/",
        "/user/7/gists?page=2",
        "https://api.github.com/gists page=2",
        "https://api.github.com/gísts",
        "https://api.github.com:port/",
        "",
    ],
)
def test_a_next_page_elsewhere_is_refused(target: str) -> None:
    with pytest.raises(Malformed):
        next_url(f'<{target}>; rel="next"', URL)


# --- what is no page --------------------------------------------------------------------------------------------------

LIMITED = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW_AT) + 600)}
BAD = error("Bad credentials")

REFUSALS: Sequence[tuple[int, Mapping[str, str], bytes, type[ServiceError], str]] = [
    (401, {}, BAD, Denied, "refuses the token (401): Bad credentials; check PIPETEST_GITHUB_TOKEN"),
    (403, {}, error("Resource not accessible"), Denied, "refuses access (403): Resource not accessible"),
    (403, {}, b"Request forbidden by administrative rules.", Denied, "refuses access (403)"),
    (403, {}, error("Gist access blocked", block={"reason": "dmca"}), Refused, "(403): Gist access blocked"),
    (403, {"retry-after": "30", **LIMITED}, error("x"), RateLimited, "its rate limit is reached (403)"),
    (403, {}, error("You have exceeded a secondary rate limit"), RateLimited, "its rate limit is reached (403)"),
    (404, {}, error("Not Found"), Missing, "knows no such account (404)"),
    (408, {}, b"", Transient, "in trouble (408)"),
    (400, {}, error("That version is not supported"), Refused, "(400): That version is not supported"),
    (410, {}, error("Gone"), Denied, "no longer has API version 2026-03-10 (410); update pipetest"),
    (422, {}, error("Validation Failed", errors=["text"]), Refused, "(422): Validation Failed"),
    (429, {}, b"", RateLimited, "its rate limit is reached (429)"),
    (301, {"location": "https://elsewhere.example"}, b"", Refused, "redirects (301), which is not followed"),
    (500, {}, b"<html>", Transient, "in trouble (500)"),
    (204, {}, b"", Malformed, "an answer (204) that is not as described"),
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


def test_trouble_is_waited_out_as_github_asks() -> None:
    refused = refusal(Reply(503, {"retry-after": "120"}, b""), None, NOW_AT)
    assert isinstance(refused, Transient)
    assert refused.wait == 120.0


def test_what_stands_in_front_of_the_api_refuses_for_long() -> None:
    blocked, refused = (refusal(Reply(403, {}, body), None, NOW_AT) for body in (b"<html>", error("no")))
    assert isinstance(blocked, Denied)
    assert isinstance(refused, Denied)
    assert (blocked.lasting, refused.lasting) == (True, False)


@given(
    st.integers(100, 599).filter(lambda status: status not in (200, 304)),
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


@pytest_twisted.ensureDeferred
async def test_a_list_is_walked_page_by_page(github: GitHub) -> None:
    found: list[str] = []
    url: str | None = github.first_page("ada")
    while url is not None:
        page = await github.page(url)
        assert page is not None
        found += [gist.id for gist in page.gists]
        url = page.next_url
    assert found == [f"{number}" for number in reversed(range(250))]


@pytest_twisted.ensureDeferred
async def test_an_unchanged_page_is_none_until_it_changes(github: GitHub, world: World) -> None:
    url = github.first_page("ADA")
    first = await github.page(url)
    assert first is not None
    assert await github.page(url, first.etag) is None
    world.accounts.write("ada", gist_id="new", created_at=NOW_AT + 1000)
    changed = await github.page(url, first.etag)
    assert changed is not None
    assert changed.gists[0] == Gist("new", NOW_AT + 1000)


@pytest_twisted.ensureDeferred
async def test_an_unknown_account_is_missing(github: GitHub) -> None:
    with pytest.raises(Missing):
        await github.page(github.first_page("nobody"))


@pytest.mark.parametrize("fault", ["reset", "applied-torn", "500"])
@pytest_twisted.ensureDeferred
async def test_a_lost_answer_can_be_asked_for_again(github: GitHub, world: World, fault: str) -> None:
    world.faults.add(Rule(FAULTS[fault], times=1))
    with pytest.raises(Transient):
        await github.page(github.first_page("ada"))
    assert await github.page(github.first_page("ada")) is not None


@pytest.mark.parametrize("token", [None, TOKEN])
@pytest_twisted.ensureDeferred
async def test_a_request_says_who_asks_and_for_which_version(token: Secret | None) -> None:
    exchange = ScriptedExchange(lambda request: listed())
    await GitHubClient(exchange, "https://host/api/v3", token, lambda: NOW_AT).page(URL, 'W/"x"')
    [request] = exchange.requests
    assert request == Request("GET", URL, request.headers)
    assert request.headers["user-agent"].startswith("pipetest/")
    assert dict(request.headers, **{"user-agent": ""}) == {
        "user-agent": "",
        "accept": "application/vnd.github+json",
        "x-github-api-version": "2026-03-10",
        "if-none-match": 'W/"x"',
    } | ({} if token is None else {"authorization": "Bearer ghp_verysecret"})


def test_a_name_is_no_more_than_a_name_in_a_url() -> None:
    client = GitHubClient(ScriptedExchange(lambda request: listed()), "https://host/api/v3", None, lambda: NOW_AT)
    assert client.first_page("a/../b?c") == "https://host/api/v3/users/a%2F..%2Fb%3Fc/gists?per_page=100"
