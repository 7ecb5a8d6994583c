"""The check itself finds whatever contradicts a description, in a request or in a reply."""

import msgspec
import pytest

from pipetest.domain.model import Reply, Request
from tests.openapi import check, check_reply, check_request

KEY = {"x-api-token": "key", "content-type": "application/json"}
DEALS = "http://127.0.0.1:4011/api/v2/deals"
CREATE = Request("POST", DEALS, KEY, b'{"title":"a","org_id":1}')
JSON = {"content-type": "application/json; charset=utf-8"}


def created(**deal: object) -> Reply:
    return Reply(200, JSON, msgspec.json.encode({"success": True, "data": deal}))


def test_what_the_descriptions_allow_passes() -> None:
    check(CREATE, created(id=1, title="a", org_id=1))
    check(
        Request("GET", "https://api.github.com/user/7/gists?per_page=100&page=2", {"user-agent": "x"}),
        Reply(304, {}, b""),
    )


@pytest.mark.parametrize(
    ("request_", "fault"),
    [
        (Request("POST", DEALS, KEY, b'{"title":"a","org_id":"1"}'), "not of type 'integer'"),
        (Request("POST", DEALS, KEY, b'{"title":"a","name":"b"}'), "unexpected"),
        (Request("POST", DEALS, KEY, b'{"org_id":1}'), "'title' is a required property"),
        (Request("POST", DEALS, KEY | {"content-type": "text/plain"}, b'{"title":"a"}'), "text/plain"),
        (Request("POST", DEALS, {"content-type": "application/json"}, b'{"title":"a"}'), "Security not found"),
        (Request("GET", f"{DEALS}?limit=501", KEY), "501 is greater than the maximum of 500"),
        (Request("GET", f"{DEALS}?title=a", KEY), "['title']"),
        (Request("GET", "https://api.github.com/users/ada/gists?perpage=1", {}), "['perpage']"),
        (Request("GET", "https://api.github.com/users/ada", {}), "Path not found"),
    ],
)
def test_a_wrong_request_is_named(request_: Request, fault: str) -> None:
    with pytest.raises(AssertionError) as raised:
        check_request(request_)
    assert fault in str(raised.value)


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (created(id="1"), "not of type 'integer'"),
        (Reply(200, {"content-type": "text/html"}, b"<html></html>"), "text/html"),
        (Reply(200, JSON, b'{"success": tr'), "Failed to deserialize"),
        (Reply(418, JSON, b"{}"), "418"),
    ],
)
def test_a_wrong_reply_is_named(reply: Reply, fault: str) -> None:
    with pytest.raises(AssertionError) as raised:
        check_reply(CREATE, reply)
    assert fault in str(raised.value)
