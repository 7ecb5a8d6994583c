"""Reads of Pipedrive: complete, confirmed, and at the lowest price in tokens."""

from collections.abc import AsyncIterator, Callable, Sequence
from itertools import count
from random import Random

import msgspec
import pytest
import pytest_twisted

from pipetest.domain.errors import Denied, Forbidden, Malformed, Missing, Refused, ServiceError, Transient
from pipetest.domain.model import PAGE_ROWS, Found, Gist, Reply, Request, Secret, Unknown
from pipetest.domain.template import DealShape
from pipetest.pipedrive.client import Me, PipedriveClient, Seen, search_costs_less
from pipetest.pipedrive.lists import MOST_IDLE_PAGES, MOST_PAGES
from pipetest.sandbox.pipedrive.bodies import NewDeal, NewOrganization
from pipetest.sandbox.world import World
from tests.support.exchanges import ScriptedExchange, exchange_with

KEY = Secret("0123456789verysecret")
NOW_AT = 1_795_435_200.0

Fill = Callable[..., Sequence[int]]


@pytest.fixture
def world() -> World:
    return World(lambda: NOW_AT, Random(1), key=KEY.reveal())


@pytest.fixture
def fill(world: World) -> Fill:
    """Adds organizations by name; their ids."""

    def fill(*names: str) -> Sequence[int]:
        return [world.crm.add_organization(NewOrganization(name), NOW_AT).id for name in names]

    return fill


@pytest_twisted.async_yield_fixture
async def pipedrive(world: World) -> AsyncIterator[PipedriveClient]:
    async for exchange in exchange_with(world, world.pipedrive):
        yield PipedriveClient(exchange, exchange.root, KEY)


def page(rows: object, cursor: str | None = None) -> Reply:
    more = {"additional_data": {"next_cursor": cursor}}
    return Reply(200, {}, msgspec.json.encode({"success": True, "data": rows, **more}))


def others(number: int) -> Sequence[str]:
    return [f"other {i}" for i in range(number)]


# --- organizations by name --------------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_organizations_are_found_without_case_or_outer_blanks_the_smallest_id_first(
    pipedrive: PipedriveClient, fill: Fill
) -> None:
    fill("ADA", "Bob", "ada", "adaline", " ada")
    found = await pipedrive.organizations(["Ada", "carl"])
    assert found == {"ada": [Found(1, "ADA"), Found(3, "ada"), Found(5, " ada")]}


@pytest_twisted.ensureDeferred
async def test_a_company_of_one_page_costs_one_page(pipedrive: PipedriveClient, world: World, fill: Fill) -> None:
    fill("ada", *others(PAGE_ROWS - 1))
    assert set(await pipedrive.organizations(["ada", "bob"])) == {"ada"}
    assert world.pipedrive_limits.tokens_used == 10


@pytest_twisted.ensureDeferred
async def test_few_names_in_a_large_company_are_searched_for(
    pipedrive: PipedriveClient, world: World, fill: Fill
) -> None:
    fill("ada", "Ada", *others(3 * PAGE_ROWS), "ADA")
    found = await pipedrive.organizations(["ada"])
    assert found == {"ada": [Found(1, "ada"), Found(2, "Ada"), Found(1503, "ADA")]}
    assert world.pipedrive_limits.tokens_used == 10 + 20 + 10


@pytest_twisted.ensureDeferred
async def test_many_names_in_a_large_company_are_read_from_the_list(
    pipedrive: PipedriveClient, world: World, fill: Fill
) -> None:
    fill("ada", *others(3 * PAGE_ROWS), "bob")
    assert set(await pipedrive.organizations(["ada", "bob"])) == {"ada", "bob"}
    assert world.pipedrive_limits.tokens_used == 40


@pytest.mark.parametrize("size", [10, 3 * PAGE_ROWS])
@pytest_twisted.ensureDeferred
async def test_deleted_organizations_do_not_count(
    pipedrive: PipedriveClient, world: World, fill: Fill, size: int
) -> None:
    fill("ada", "ada", *others(size))
    world.crm.delete_organization(1)
    assert await pipedrive.organizations(["ada"]) == {"ada": [Found(2, "ada")]}
    world.crm.delete_organization(2)
    assert await pipedrive.organizations(["ada"]) == {}


@pytest_twisted.ensureDeferred
async def test_an_organization_that_a_list_marks_as_deleted_does_not_count() -> None:
    rows = [{"id": 1, "name": "ada", "is_deleted": True}, {"id": 2, "name": "ada", "is_deleted": False}]
    client = PipedriveClient(ScriptedExchange(lambda request: page(rows)), "https://x", KEY)
    assert await client.organizations(["ada"]) == {"ada": [Found(2, "ada")]}


@pytest_twisted.ensureDeferred
async def test_hits_that_only_resemble_the_name_cost_no_confirmation() -> None:
    def answer(request: Request) -> Reply:
        if "/search?" in request.url:
            return page({"items": [{"item": {"id": 7, "name": "ada ltd"}}]})
        return page([{"id": 5000 - number, "name": "other"} for number in range(PAGE_ROWS)], "more")

    exchange = ScriptedExchange(answer)
    assert await PipedriveClient(exchange, "https://x", KEY).organizations(["ada"]) == {}
    assert len(exchange.requests) == 2


@pytest.mark.parametrize("page_ceiling", [PAGE_ROWS, 60])
@pytest_twisted.ensureDeferred
async def test_what_the_search_index_does_not_know_yet_is_found_among_the_newest(
    pipedrive: PipedriveClient, world: World, fill: Fill, page_ceiling: int
) -> None:
    world.pipedrive_api.page_ceiling = page_ceiling
    fill(*others(3 * PAGE_ROWS))
    world.crm.search_lag = 3600.0
    fill("ada", *others(PAGE_ROWS - 1))
    assert await pipedrive.organizations(["ada"]) == {"ada": [Found(1501, "ada")]}


@pytest_twisted.ensureDeferred
async def test_hits_are_confirmed_a_hundred_at_a_time(pipedrive: PipedriveClient, world: World, fill: Fill) -> None:
    fill(*["ada"] * 150, *others(4 * PAGE_ROWS))
    assert len((await pipedrive.organizations(["ada"]))["ada"]) == 150
    assert world.pipedrive_limits.tokens_used == 10 + 20 + 20


@pytest.mark.parametrize(
    ("seen", "names", "expected"),
    [
        (Seen(1, 500, 5_000, 4_501), 1, True),
        (Seen(1, 500, 5_000, 4_501), 4, True),
        (Seen(1, 500, 5_000, 4_501), 5, False),
        (Seen(1, 500, 1_500, 1_001), 1, False),
        (Seen(1, 500, 500, 1), 1, False),
        (Seen(1, 499, 5_000, 4_502), 1, False),
        (Seen(100, 50_000, 50_000, 1), 1, False),
        (Seen(1, 25, 10_000, 9_501), 1, False),
        (Seen(20, 500, 200_000, 190_001), 1, True),
        (Seen(1, 500, 30_000, 20_001), 1, False),
    ],
)
def test_a_search_is_made_where_the_rest_of_the_list_is_dearer(seen: Seen, names: int, expected: bool) -> None:
    assert search_costs_less(seen, names) is expected


@pytest_twisted.ensureDeferred
async def test_a_young_organization_is_found_where_pages_are_short_ids_far_apart_and_the_search_index_lags() -> None:
    rows = [{"id": 100_000 - 20 * number, "name": f"other {number}"} for number in range(1000)]
    rows[300]["name"] = "ada"

    def answer(request: Request) -> Reply:
        if "/search?" in request.url:
            return page({"items": []})
        start = int(request.url.partition("cursor=")[2] or 0)
        return page(rows[start : start + 25], str(start + 25) if start + 25 < len(rows) else None)

    client = PipedriveClient(ScriptedExchange(answer), "https://x", KEY)
    assert await client.organizations(["ada"]) == {"ada": [Found(94_000, "ada")]}


# --- rows that cannot be read -----------------------------------------------------------------------------------------

STRANGE: Sequence[object] = [None, "", 7, ["ada"], {"ada": 1}, True]


@pytest.mark.parametrize("strange", STRANGE)
@pytest_twisted.ensureDeferred
async def test_a_row_of_another_kind_spoils_nothing(strange: object) -> None:
    rows = [
        *([None] if strange is None else []),
        {"id": 1, "name": strange, "title": strange},
        {"id": strange, "name": "other", "title": None},
        {},
        {"id": 2, "name": " Ada ", "is_deleted": None, "title": "a", "add_time": strange},
    ]
    client = PipedriveClient(ScriptedExchange(lambda request: page(rows)), "https://x", KEY)
    assert await client.organizations(["ada"]) == {"ada": [Found(2, " Ada ")]}
    assert Found(2, "a") in await client.deals(1)


@pytest.mark.parametrize("strange", [None, "7", 0, -1, 1.5, 2**63, 2**70])
@pytest_twisted.ensureDeferred
async def test_a_row_that_counts_but_has_no_usable_id_fails_the_search(strange: object) -> None:
    client = PipedriveClient(
        ScriptedExchange(lambda request: page([{"id": strange, "name": "ada", "title": "a"}])), "https://x", KEY
    )
    with pytest.raises(Malformed):
        await client.organizations(["ada"])
    with pytest.raises(Malformed):
        await client.deals(1)


@pytest.mark.parametrize("strange", [2**63, 10**400, -1, 0, True, 1.5, "1", {}])
@pytest_twisted.ensureDeferred
async def test_an_organization_that_can_be_none_is_not_told_of_a_deal(strange: object) -> None:
    rows = [{"id": 7, "title": "a", "org_id": strange}]
    client = PipedriveClient(ScriptedExchange(lambda request: page(rows)), "https://x", KEY)
    assert await client.deals(1) == [Found(7, "a")]
    assert await client.organizations_of([7]) == {7: None}


@pytest_twisted.ensureDeferred
async def test_null_for_an_empty_list_is_an_empty_list() -> None:
    client = PipedriveClient(ScriptedExchange(lambda request: page(None)), "https://x", KEY)
    assert await client.organizations(["ada"]) == {}
    assert await client.deals(1) == []


@pytest.mark.parametrize("found", [None, {"items": None}, {"items": [None, {}, {"item": None}, {"item": {"id": 1}}]}])
@pytest_twisted.ensureDeferred
async def test_null_where_a_search_finds_nothing_is_nothing(found: object) -> None:
    def answer(request: Request) -> Reply:
        if "/search?" in request.url:
            return page(found)
        return page([{"id": 500_000 - number, "name": "other"} for number in range(PAGE_ROWS)], "more")

    assert await PipedriveClient(ScriptedExchange(answer), "https://x", KEY).organizations(["ada"]) == {}


# --- deals of an organization -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("page_ceiling", [PAGE_ROWS, 1, 2])
@pytest_twisted.ensureDeferred
async def test_every_deal_of_the_organization_is_found_whatever_became_of_it(
    pipedrive: PipedriveClient, world: World, page_ceiling: int
) -> None:
    world.pipedrive_api.page_ceiling = page_ceiling
    for title in ("open", "won", "lost", "archived", "deleted", "won and archived"):
        world.crm.add_deal(NewDeal(title, org_id=1), NOW_AT)
        world.crm.add_deal(NewDeal(f"{title} elsewhere", org_id=2), NOW_AT)
    for number in (3, 11):
        world.crm.win_deal(number)
    world.crm.lose_deal(5)
    for number in (7, 11):
        world.crm.archive_deal(number)
    world.crm.delete_deal(9)
    assert await pipedrive.deals(1) == [
        Found(1, "open", NOW_AT, organization_id=1),
        Found(3, "won", NOW_AT, organization_id=1),
        Found(5, "lost", NOW_AT, organization_id=1),
        Found(7, "archived", NOW_AT, organization_id=1),
        Found(9, "deleted", NOW_AT, deleted=True, organization_id=1),
        Found(11, "won and archived", NOW_AT, organization_id=1),
    ]


@pytest_twisted.ensureDeferred
async def test_a_deal_archived_while_the_lists_are_read_comes_once() -> None:
    def answer(request: Request) -> Reply:
        return page([{"id": 7, "title": "b"}, {"id": 3, "title": "a"}])

    client = PipedriveClient(ScriptedExchange(answer), "https://x", KEY)
    assert await client.deals(1) == [Found(3, "a"), Found(7, "b")]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "times",
    [{}, *({"add_time": time} for time in ("yesterday", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "-1"))],
)
async def test_a_deal_that_does_not_tell_when_it_was_made_is_found_all_the_same(times: dict[str, str]) -> None:
    client = PipedriveClient(
        ScriptedExchange(lambda request: page([{"id": 3, "title": "a", **times}])), "https://x", KEY
    )
    assert await client.deals(1) == [Found(3, "a")]


# --- pages ------------------------------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_an_empty_page_with_a_cursor_is_not_the_end() -> None:
    def answer(request: Request) -> Reply:
        return page([{"id": 1, "title": "a"}]) if "cursor=a%2Bb%3D" in request.url else page([], "a+b=")

    assert await PipedriveClient(ScriptedExchange(answer), "https://x", KEY).deals(1) == [Found(1, "a")]


@pytest_twisted.ensureDeferred
async def test_pages_that_lead_round_in_a_circle_are_malformed() -> None:
    def answer(request: Request) -> Reply:
        return page([], "b" if "cursor=a" in request.url else "a")

    with pytest.raises(Malformed):
        await PipedriveClient(ScriptedExchange(answer), "https://x", KEY).deals(1)


@pytest.mark.parametrize("rows", [[], [{"id": 1, "title": "a"}]], ids=["no rows", "the same rows"])
@pytest_twisted.ensureDeferred
async def test_a_list_whose_pages_bring_nothing_new_is_given_up_after_a_few(rows: object) -> None:
    cursors = count()
    exchange = ScriptedExchange(lambda request: page(rows, f"cursor {next(cursors)}"))
    with pytest.raises(Malformed):
        await PipedriveClient(exchange, "https://x", KEY).deals(1)
    assert len(exchange.requests) <= MOST_IDLE_PAGES + 2


@pytest_twisted.ensureDeferred
async def test_a_list_without_end_is_given_up() -> None:
    numbers = count(1)
    exchange = ScriptedExchange(lambda request: page([{"id": next(numbers), "title": "a"}], f"cursor {next(numbers)}"))
    with pytest.raises(Malformed):
        await PipedriveClient(exchange, "https://x", KEY).deals(1)
    assert len(exchange.requests) == MOST_PAGES


@pytest.mark.parametrize("cursor", ["a" * 2_001, "a" * 1_000_000])
@pytest_twisted.ensureDeferred
async def test_a_cursor_that_fits_in_no_url_is_malformed(cursor: str) -> None:
    exchange = ScriptedExchange(lambda request: page([{"id": 1, "title": "a"}], cursor))
    with pytest.raises(Malformed):
        await PipedriveClient(exchange, "https://x", KEY).deals(1)
    assert len(exchange.requests) == 1


@pytest_twisted.ensureDeferred
async def test_a_page_of_more_rows_than_any_has_is_malformed() -> None:
    rows = [{"id": number, "title": "a"} for number in range(1, 2 * PAGE_ROWS + 2)]
    with pytest.raises(Malformed):
        await PipedriveClient(ScriptedExchange(lambda request: page(rows)), "https://x", KEY).deals(1)


@pytest.mark.parametrize("number", [2**63, 2**64, 10**400, -1, 0, 1.5, "1", None, True])
@pytest_twisted.ensureDeferred
async def test_an_id_that_no_database_can_hold_is_malformed(number: object) -> None:
    client = PipedriveClient(
        ScriptedExchange(lambda request: page([{"id": number, "title": "a", "name": "ada"}])), "https://x", KEY
    )
    with pytest.raises(Malformed):
        await client.deals(1)
    with pytest.raises(Malformed):
        await client.organizations(["ada"])


@pytest.mark.parametrize("body", [b"", b"[]", b'{"success": true}', b'{"data": null}', b'{"success":false,"data":[]}'])
@pytest_twisted.ensureDeferred
async def test_an_answer_without_rows_is_never_taken_for_nothing_found(body: bytes) -> None:
    client = PipedriveClient(ScriptedExchange(lambda request: Reply(200, {}, body)), "https://x", KEY)
    with pytest.raises(Malformed):
        await client.organizations(["ada"])


# --- one organization -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deleted_shown", [False, True])
@pytest_twisted.ensureDeferred
async def test_an_organization_exists_until_it_is_deleted(
    pipedrive: PipedriveClient, world: World, fill: Fill, deleted_shown: bool
) -> None:
    world.pipedrive_api.deleted_shown = deleted_shown
    assert not await pipedrive.organization_exists(1)
    fill("ada")
    assert await pipedrive.organization_exists(1)
    world.crm.delete_organization(1)
    assert not await pipedrive.organization_exists(1)


@pytest.mark.parametrize(
    ("listed", "exists"),
    [
        ({"id": 7, "name": "ada"}, True),
        ({"id": 7, "is_deleted": False}, True),
        ({"id": 7, "is_deleted": True}, False),
        ({"id": 8}, False),
    ],
)
@pytest_twisted.ensureDeferred
async def test_an_organization_is_gone_only_where_pipedrive_itself_says_so_by_its_id_and_in_the_list(
    listed: object, exists: bool
) -> None:
    def answer(request: Request) -> Reply:
        if "ids=7&" in request.url:
            return page([listed])
        return Reply(404, {}, b'{"success":false,"error":"Organization not found"}')

    assert await PipedriveClient(ScriptedExchange(answer), "https://x", KEY).organization_exists(7) is exists


@pytest.mark.parametrize("status", [400, 404, 422])
@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"error":"no such route"}', b'{"success":true}', b"[1]"])
@pytest_twisted.ensureDeferred
async def test_a_refusal_that_is_not_pipedrives_own_proves_nothing(status: int, body: bytes) -> None:
    client = PipedriveClient(ScriptedExchange(lambda request: Reply(status, {}, body)), "https://x", KEY)
    with pytest.raises(ServiceError) as failed:
        await client.organization_exists(7)
    assert not isinstance(failed.value, Missing)
    assert isinstance(await client.create_deal(DealShape(), Gist("a", 0.0), "ada", 7), Unknown)


# --- what the key's user sees -----------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_an_organization_is_seen_for_a_token_and_once_it_is_deleted_by_a_search_for_its_name(
    pipedrive: PipedriveClient, world: World, fill: Fill
) -> None:
    fill("Ada", "bob")
    assert await pipedrive.sees_organization(1, "ADA", deleted=True)
    assert world.pipedrive_limits.tokens_used == 1
    world.crm.delete_organization(1)
    assert not await pipedrive.sees_organization(1, "ADA", deleted=False)
    assert world.pipedrive_limits.tokens_used == 2
    assert await pipedrive.sees_organization(1, "ADA", deleted=True)
    assert world.pipedrive_limits.tokens_used == 3 + 20
    assert not await pipedrive.sees_organization(99, "ada", deleted=True)


@pytest_twisted.ensureDeferred
async def test_a_deal_is_seen_for_a_token_and_once_it_is_deleted_in_the_lists(
    pipedrive: PipedriveClient, world: World
) -> None:
    world.crm.add_deal(NewDeal("a", 1), NOW_AT)
    assert await pipedrive.sees_deal(1, deleted=True)
    assert world.pipedrive_limits.tokens_used == 1
    world.crm.delete_deal(1)
    assert not await pipedrive.sees_deal(1, deleted=False)
    assert world.pipedrive_limits.tokens_used == 2
    assert await pipedrive.sees_deal(1, deleted=True)
    assert world.pipedrive_limits.tokens_used == 3 + 30
    assert not await pipedrive.sees_deal(99, deleted=True)


@pytest_twisted.ensureDeferred
async def test_what_is_forbidden_is_not_seen_and_what_fails_tells_nothing() -> None:
    status = 403
    body = b'{"success":false,"error":"Forbidden"}'
    client = PipedriveClient(ScriptedExchange(lambda request: Reply(status, {}, body)), "https://x", KEY)
    assert not await client.sees_organization(7, "ada", deleted=False)
    assert not await client.sees_deal(7, deleted=False)
    status = 503
    with pytest.raises(Transient):
        await client.sees_deal(7, deleted=False)


# --- the key itself ---------------------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_it_is_told_whose_key_it_is_for_two_tokens(pipedrive: PipedriveClient, world: World) -> None:
    me = await pipedrive.me()
    assert me is not None
    assert (me.id, me.name) == (1, "Sandbox")
    assert world.pipedrive_limits.tokens_used == 2


@pytest_twisted.ensureDeferred
async def test_of_the_keys_user_only_the_id_need_be_told() -> None:
    told: dict[str, object] = {"id": 7, "name": "Ada", "company_domain": "acme", "is_admin": 1}
    exchange = ScriptedExchange(lambda request: page(told))
    client = PipedriveClient(exchange, "https://x", KEY)
    assert await client.me() == Me(7, "Ada", "acme", 1)
    told = {"id": 7}
    assert await client.me() == Me(7)
    assert {(request.method, request.url, request.body) for request in exchange.requests} == {
        ("GET", "https://x/api/v1/users/me", None)
    }


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, b"", Refused),
        (404, b"<html>", Refused),
        (400, b"{}", Refused),
        (401, b"{}", Denied),
        (403, b"{}", Forbidden),
        (503, b"{}", Transient),
        (302, b"{}", Refused),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_key_is_good_only_where_the_api_itself_answers_as_to_a_good_one(
    status: int, body: bytes, kind: type[ServiceError]
) -> None:
    client = PipedriveClient(ScriptedExchange(lambda request: Reply(status, {}, body)), "https://x", KEY)
    with pytest.raises(kind):
        await client.me()
    with pytest.raises(kind):
        await client.check_access()


@pytest.mark.parametrize("status", [404, 405, 410])
@pytest_twisted.ensureDeferred
async def test_a_key_is_good_where_the_api_no_longer_tells_whose_it_is(status: int) -> None:
    client = PipedriveClient(ScriptedExchange(lambda request: Reply(status, {}, b"{}")), "https://x", KEY)
    assert await client.me() is None
    await client.check_access()


@pytest.mark.parametrize("forbidden", ["organizations", "deals"])
@pytest_twisted.ensureDeferred
async def test_reading_is_checked_by_a_row_of_either_list_for_twenty_tokens(
    pipedrive: PipedriveClient, world: World, forbidden: str
) -> None:
    await pipedrive.check_reading()
    assert world.pipedrive_limits.tokens_used == 20

    def answer(request: Request) -> Reply:
        assert request.url.endswith("?limit=1")
        return Reply(403, {}, b"{}") if f"/{forbidden}?" in request.url else page([])

    with pytest.raises(Forbidden):
        await PipedriveClient(ScriptedExchange(answer), "https://x", KEY).check_reading()
