"""GitHub's answers read into pages: item by item, so that one that cannot be read spoils nothing else."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipetest.domain.errors import Malformed
from pipetest.domain.model import Account, AccountPage, Gist, GistPage, Reply, Text
from pipetest.github.pages import LONGEST_ID, parsed_accounts, parsed_gists

NOW_AT = 1_795_435_200.0
URL = "https://api.github.com/users/ada/gists?per_page=100"


def item(gist_id: str, created_at: str = "2026-11-23T12:00:00Z", **more: object) -> dict[str, Any]:
    return {"id": gist_id, "created_at": created_at, "public": True, "owner": {"id": 7}, **more}


def gist(gist_id: str, created_at: float = NOW_AT) -> Gist:
    """As it is read from :func:`item`: GitHub has told that it has neither description nor files."""
    return Gist(gist_id, created_at, Text())


def listed(*items: Mapping[str, object] | None, **headers: str) -> Reply:
    return Reply(200, headers, msgspec.json.encode(items))


def test_a_page_is_its_gists_as_listed_their_owner_the_etag_and_what_follows() -> None:
    link = '<https://api.github.com/user/7/gists?per_page=100&page=2>; rel="next"'
    reply = listed(item("b"), item("a", "1970-01-01T01:00:00+01:00"), etag='W/"x"', link=link)
    assert parsed_gists(reply, URL) == GistPage(
        gists=(gist("b"), gist("a", 0.0)),
        owner_id=7,
        etag='W/"x"',
        next_url="https://api.github.com/user/7/gists?per_page=100&page=2",
    )


FOLLOWING = "https://api.github.com/users/ada/following?per_page=2"


def test_a_page_of_accounts_is_their_names_and_numbers_the_etag_and_what_follows() -> None:
    link = '<https://api.github.com/user/7/following?per_page=2&page=2>; rel="next"'
    reply = listed({"id": 1, "login": "ada"}, {"id": 2, "login": "b-2_corp"}, etag='W/"x"', link=link)
    assert parsed_accounts(reply, FOLLOWING) == AccountPage(
        accounts=(Account(1, "ada"), Account(2, "b-2_corp")),
        etag='W/"x"',
        next_url="https://api.github.com/user/7/following?per_page=2&page=2",
    )


@pytest.mark.parametrize(
    "broken", [None, {}, {"id": 1}, {"login": "x"}, {"id": 0, "login": "x"}, {"id": 1, "login": "a/b"},
               {"id": 1, "login": "a\nb"}, {"id": 1, "login": "a" * 40}, {"id": "1", "login": "x"}]
)  # fmt: skip
def test_an_account_that_cannot_be_read_is_left_out_and_its_page_is_read_again(broken: Any) -> None:
    page = parsed_accounts(listed(broken, {"id": 2, "login": "bob"}, etag='W/"x"'), f"{FOLLOWING}0")
    assert (page.accounts, page.unreadable, page.etag) == ((Account(2, "bob"),), 1, None)


def test_a_last_page_that_is_full_keeps_no_etag_as_a_next_one_may_come_without_changing_it() -> None:
    accounts = [{"id": 1, "login": "ada"}, {"id": 2, "login": "bob"}]
    link = '<https://api.github.com/user/7/following?per_page=2>; rel="first"'
    assert parsed_accounts(listed(*accounts, etag='W/"x"', link=link), FOLLOWING).etag is None
    assert parsed_accounts(listed(accounts[0], etag='W/"x"', link=link), FOLLOWING).etag == 'W/"x"'


def test_what_is_not_public_is_left_out_but_tells_the_owner() -> None:
    assert parsed_gists(listed(item("a", public=False), item("b", owner=None)), URL) == GistPage(
        (gist("b"),), owner_id=7, etag=None, next_url=None
    )


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"null", b"[", b"[" * 100_000, b"\xff", b"[1,]"])
def test_what_is_no_list_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        parsed_gists(Reply(200, {}, body), URL)


UNREADABLE = {
    "null": b"null",
    "a number": b"1",
    "a list": b"[]",
    "nothing": b"{}",
    "a deep one": b'{"id": "a", "files": ' + b"[" * 500 + b"]" * 500 + b', "created_at": null}',
    **{
        name: msgspec.json.encode(value)
        for name, value in {
            "no id": {"created_at": "2026-11-23T12:00:00Z", "public": True},
            "a null id": item("a", id=None),
            "a number as id": item("a", id=7),
            "an empty id": item(""),
            "an id with a newline": item("a\nb"),
            "an id that ends in a newline": item("a\n"),
            "an id with an escape code": item("\x1b[2J"),
            "an id with a NUL": item("a\0"),
            "an id that is a path": item("../pause?"),
            "an id of another script": item("ä"),
            "an endless id": item("a" * (LONGEST_ID + 1)),
            "no time": {"id": "a", "public": True},
            "a null time": item("a", created_at=None),  # type: ignore[arg-type]
            "a time without a zone": item("a", "2026-11-23T12:00:00"),
            "a word as time": item("a", "yesterday"),
            "a number as time": item("a", created_at=1),  # type: ignore[arg-type]
            "a time before there was any in Greenwich": item("a", "0001-01-01T00:00:00+14:00"),
            "a time after the last": item("a", "9999-12-31T23:59:59-14:00"),
            "the first time after the last": item("a", "9999-01-01T00:00:00Z"),
            "a time before computers": item("a", "1969-12-31T23:59:59Z"),
            "neither public nor secret": item("a", public=None),
            "a word as public": item("a", public="true"),
            "an owner without a number": item("a", owner={}),
            "an owner with a null number": item("a", owner={"id": None}),
            "an owner's number too large": item("a", owner={"id": 2**63}),
            "a name as owner": item("a", owner="ada"),
        }.items()
    },
    "half a surrogate as id": b'{"id": "\\ud800", "created_at": "2026-11-23T12:00:00Z", "public": true}',
    "an id that is no UTF-8": b'{"id": "\xff", "created_at": "2026-11-23T12:00:00Z", "public": true}',
}


@pytest.mark.parametrize("broken", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_item_that_cannot_be_read_is_left_out_and_its_page_keeps_no_etag(broken: bytes) -> None:
    good = [msgspec.json.encode(item(gist_id)) for gist_id in "cb"]
    reply = Reply(200, {"etag": 'W/"x"'}, b"[" + b",".join([good[0], broken, good[1]]) + b"]")
    gists = (gist("c"), gist("b"))
    assert parsed_gists(reply, URL) == GistPage(gists, owner_id=7, etag=None, next_url=None, unreadable=1)


def test_what_cannot_be_read_counts_for_a_full_page() -> None:
    assert parsed_gists(listed(*[None] * 60, *[item("a", public=False)] * 40), URL).next_url == f"{URL}&page=2"


def test_a_field_that_nobody_reads_spoils_nothing() -> None:
    fields = rb'"user": 1e999, "extra": [[["\ud800"]]]'
    body = b'[{"id": "a", "created_at": "2026-11-23T12:00:00Z", "public": true, ' + fields + b"}]"
    assert [gist.id for gist in parsed_gists(Reply(200, {}, body), URL).gists] == ["a"]


@pytest.mark.parametrize("etag", ["", 'W/"\0"', '"a\nb"', '"' + "x" * 300 + '"'])
def test_an_etag_that_cannot_be_kept_is_none(etag: str) -> None:
    assert parsed_gists(listed(item("a"), etag=etag), URL).etag is None


KEYS = st.sampled_from(["id", "created_at", "public", "owner", "description", "files"])
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text()
ITEMS = st.recursive(SCALARS, lambda values: st.lists(values) | st.dictionaries(KEYS, values), max_leaves=8)


@given(st.binary() | st.lists(ITEMS).map(msgspec.json.encode), st.text())
def test_any_bytes_are_a_page_or_malformed(body: bytes, link: str) -> None:
    with suppress(Malformed):
        assert isinstance(parsed_gists(Reply(200, {"link": link}, body), URL), GistPage)
