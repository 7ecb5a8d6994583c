"""Creates in Pipedrive: what became of them, by table, for any bytes, and against the sandbox."""

from collections.abc import AsyncIterator, Mapping, Sequence
from random import Random

import msgspec
import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pipetest.domain.errors import (
    Denied,
    Forbidden,
    Missing,
    RateLimited,
    Refused,
    ServiceError,
    Stopping,
    Transient,
    Unanswered,
)
from pipetest.domain.model import (
    AccountRefuses,
    Created,
    Gist,
    NotAllowed,
    NotNow,
    Outcome,
    RefusedForGood,
    Reply,
    Secret,
    Unknown,
)
from pipetest.domain.template import DealShape
from pipetest.http.bodies import error_body
from pipetest.http.exchange import USER_AGENT
from pipetest.pipedrive.client import PipedriveClient
from pipetest.pipedrive.responses import outcome, read_error, refusal
from pipetest.sandbox.faults import FAULTS, Rule
from pipetest.sandbox.world import World
from tests.support.exchanges import CheckedExchange, ScriptedExchange, exchange_with

KEY = Secret("0123456789verysecret")
NOW_AT = 1_795_435_200.0
HTML = b"<!DOCTYPE html><title>Attention Required! | Cloudflare</title>"


def error(words: object, **more: object) -> bytes:
    return msgspec.json.encode({"success": False, "error": words, **more})


def success(data: object, cursor: str | None = None) -> Reply:
    return Reply(
        200, {}, msgspec.json.encode({"success": True, "data": data, "additional_data": {"next_cursor": cursor}})
    )


# --- what became of a create ------------------------------------------------------------------------------------------

CAPPED = error("Open deals limit reached.", code="feature_capping_deals_limit")
DAILY = error("daily request budget exceeded")
BURST = {"x-ratelimit-reset": "3", "retry-after": "5"}
UNDESCRIBED = "an answer (200) that is not as described"

OUTCOMES: Sequence[tuple[int, Mapping[str, str], bytes, Outcome]] = [
    (200, {}, b'{"success": true, "data": {"id": 7, "title": "a"}}', Created(7)),
    (201, {}, b'{"success": true, "data": {"id": 7}}', Created(7)),
    (200, {}, b'{"success": true, "data": {"id": 7', Unknown(UNDESCRIBED)),
    (200, {}, b'{"success": true, "data": {"id": "7"}}', Unknown(UNDESCRIBED)),
    *(
        (200, {}, b'{"success": true, "data": {"id": %d}}' % number, Unknown(UNDESCRIBED))
        for number in (2**63, 2**64, 10**400, 0, -1)
    ),
    (200, {}, b'{"success": true, "data": {"id": %d}}' % (2**63 - 1), Created(2**63 - 1)),
    (200, {}, b'{"success": true, "data": {}}', Unknown(UNDESCRIBED)),
    (200, {}, b'{"success": true, "data": null}', Unknown(UNDESCRIBED)),
    (200, {}, b'{"success": false, "data": {"id": 7}}', Unknown("an answer (200) of no success")),
    (200, {}, b"", Unknown(UNDESCRIBED)),
    (204, {}, b"", Unknown("an answer (204) that is not as described")),
    (429, {}, b"", NotNow("too much at once (429)", 2.0)),
    (429, BURST, error("rate limit exceeded"), NotNow("too much at once (429)", 5.0)),
    (429, BURST | {"x-ratelimit-reset": "8"}, b"", NotNow("too much at once (429)", 8.0)),
    (429, {"retry-after": "3939"}, DAILY, NotNow("the day's tokens are used up (429)", 3939.0)),
    (429, {}, DAILY, NotNow("the day's tokens are used up (429)", 3600.0)),
    (400, {}, error("Validation failed: title"), RefusedForGood("refused (400): Validation failed: title", True, 400)),
    (404, {}, error("Organization not found"), RefusedForGood("refused (404): Organization not found", True, 404)),
    (422, {}, error(["no", "words"]), RefusedForGood("refused (422)", False, 422)),
    # It is stored, and PostgreSQL takes no NUL.
    (422, {}, error("bad", code="ERR\0OR\x1b"), RefusedForGood("refused (422): bad", False, 422, "ERROR")),
    (400, {}, HTML, Unknown("answered 400")),
    (401, {}, error("no"), AccountRefuses("API key refused (401): no; check PIPETEST_PIEPEDRIVE_API_KEY")),
    (402, {}, b"", AccountRefuses("account not open (402); check its subscription")),
    (403, {}, error("Forbidden"), NotAllowed("not allowed (403): Forbidden")),
    (403, {}, CAPPED, NotAllowed("not allowed (403): Open deals limit reached", capped=True)),
    (403, {}, HTML, AccountRefuses("blocked (403, not from the API itself)", lasting=True)),
    (403, {}, b"", AccountRefuses("blocked (403, not from the API itself)", lasting=True)),
    (403, {}, CAPPED[:-9], Unknown("answered 403")),
    (403, {}, b"\r\n " + CAPPED[:-9], Unknown("answered 403")),
    *((status, {}, b"", Unknown(f"answered {status}")) for status in (301, 302, 307, 405, 408, 409, 410, 413, 415)),
    *((status, {}, HTML, Unknown(f"answered {status}")) for status in (500, 501, 502, 503, 504, 520)),
]


@pytest.mark.parametrize(("status", "headers", "body", "expected"), OUTCOMES)
def test_a_create_ends_as_the_reply_says(
    status: int, headers: Mapping[str, str], body: bytes, expected: Outcome
) -> None:
    assert outcome(Reply(status, headers, body), KEY, in_organization=True) == expected


def test_a_refused_organization_casts_no_doubt_on_itself() -> None:
    refused = outcome(Reply(400, {}, error("no name")), KEY, in_organization=False)
    assert refused == RefusedForGood("refused (400): no name", organization_in_doubt=False, status=400)


BODIES = (
    st.binary()
    | st.text().map(lambda text: error(text + KEY.reveal() + text))
    | st.sampled_from([CAPPED, CAPPED[:-9], DAILY, HTML, b'{"data": {"id": 1}}', b'{"error": {}}', b"[]"])
)
HEADERS = st.dictionaries(st.sampled_from([*BURST, "x-daily-ratelimit-token-remaining"]), st.text() | st.just("0"))


@given(st.integers(100, 599), HEADERS, BODIES)
def test_only_a_2xx_creates_only_a_named_4xx_does_not_and_no_reason_tells_the_key(
    status: int, headers: Mapping[str, str], body: bytes
) -> None:
    reply = Reply(status, headers, body)
    ended = outcome(reply, KEY, in_organization=True)
    half_of_a_403 = status == 403 and body.lstrip().startswith(b"{") and error_body(reply) is None
    not_from_the_api = status in (400, 404, 422) and getattr(error_body(reply), "success", None) is not False
    named = status in (400, 401, 402, 403, 404, 422, 429) and not half_of_a_403 and not not_from_the_api
    assert isinstance(ended, Created | Unknown) == (not named)
    assert not isinstance(ended, Created) or 200 <= status < 300
    if not isinstance(ended, Created):
        assert ended.reason.isprintable()
        assert len(ended.reason) < 300
        assert KEY.reveal() not in ended.reason


# --- what a read's failure means --------------------------------------------------------------------------------------

FAILURES: Sequence[tuple[int, bytes, type[ServiceError]]] = [
    (429, DAILY, RateLimited),
    (401, error(f"no such key: {KEY.reveal()}"), Denied),
    (402, b"", Denied),
    (403, HTML, Denied),
    (403, error("Forbidden"), Forbidden),
    (404, error("Organization not found"), Missing),
    (404, b"", Refused),
    (404, HTML, Refused),
    (400, b"", Refused),
    (405, b"", Refused),
    (301, b"", Refused),
    (408, b"", Transient),
    (500, HTML, Transient),
    (503, b"", Transient),
]


@pytest.mark.parametrize(("status", "body", "kind"), FAILURES)
def test_a_read_fails_as_the_reply_says(status: int, body: bytes, kind: type[ServiceError]) -> None:
    reply = Reply(status, {"retry-after": "90"}, body)
    failed = read_error(reply, KEY)
    assert type(failed) is kind
    assert (failed.service, failed.reason) == ("Pipedrive", refusal(reply, KEY).reason)
    assert not isinstance(failed, RateLimited | Transient) or failed.wait == 90.0
    assert not isinstance(failed, Denied) or failed.lasting is (status == 403)
    assert not isinstance(failed, Refused) or failed.status == status


# --- creating ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def world() -> World:
    return World(lambda: NOW_AT, Random(1), key=KEY.reveal())


@pytest_twisted.async_yield_fixture
async def exchange(world: World) -> AsyncIterator[CheckedExchange]:
    async for exchange in exchange_with(world, world.pipedrive):
        yield exchange


@pytest.fixture
def pipedrive(exchange: CheckedExchange) -> PipedriveClient:
    return PipedriveClient(exchange, exchange.root, KEY)


@pytest_twisted.ensureDeferred
async def test_what_is_created_is_in_pipedrive_under_the_id_answered(pipedrive: PipedriveClient, world: World) -> None:
    assert await pipedrive.create_organization(DealShape(), "Ada", None) == Created(1)
    assert await pipedrive.create_deal(DealShape(), Gist("gist", 0.0), "Ada", 1) == Created(1)
    assert world.crm.organizations[1].fields["name"] == "Ada"
    assert (world.crm.deals[1].fields["title"], world.crm.deals[1].fields["org_id"]) == ("gist", 1)


@pytest.mark.parametrize("fault", ["reset", "500", "502", "applied-reset", "applied-torn", "applied-502"])
@pytest_twisted.ensureDeferred
async def test_after_a_lost_answer_nobody_knows_and_it_was_sent_once(
    pipedrive: PipedriveClient, world: World, fault: str
) -> None:
    world.faults.add(Rule(FAULTS[fault]))
    assert isinstance(await pipedrive.create_organization(DealShape(), "Ada", None), Unknown)
    assert world.pipedrive.calls.total() == 1
    assert len(world.crm.organizations) == fault.startswith("applied")


@pytest_twisted.ensureDeferred
async def test_a_create_that_was_not_sent_has_no_outcome() -> None:
    stopped = PipedriveClient(ScriptedExchange(lambda request: Stopping()), "https://x", KEY)
    with pytest.raises(Stopping):
        await stopped.create_organization(DealShape(), "ada", None)
    lost = PipedriveClient(ScriptedExchange(lambda request: Unanswered("Pipedrive", "silence")), "https://x", KEY)
    assert await lost.create_deal(DealShape(), Gist("gist", 0.0), "Ada", 1) == Unknown("silence")
    with pytest.raises(Unanswered):
        await lost.deals(1)


@pytest_twisted.ensureDeferred
async def test_only_a_deal_that_is_refused_casts_doubt_on_its_organization() -> None:
    refused = Reply(404, {}, error("no"))
    client = PipedriveClient(ScriptedExchange(lambda request: refused), "https://x", KEY)
    expected = RefusedForGood("refused (404): no", organization_in_doubt=True, status=404)
    assert await client.create_deal(DealShape(), Gist("gist", 0.0), "Ada", 1) == expected
    assert await client.create_organization(DealShape(), "Ada", None) == replace(expected, organization_in_doubt=False)


@pytest_twisted.ensureDeferred
async def test_the_key_travels_in_its_header_alone(pipedrive: PipedriveClient, exchange: CheckedExchange) -> None:
    await pipedrive.create_organization(DealShape(), "Ada", None)
    await pipedrive.organizations(["Ada"])
    headers = {"user-agent": USER_AGENT, "accept": "application/json", "x-api-token": KEY.reveal()}
    created, read = exchange.requests
    assert created.headers == {**headers, "content-type": "application/json"}
    assert read.headers == headers
    assert KEY.reveal() not in created.url + read.url
