"""Deals of the whole company: none is missed, whatever people do meanwhile, for few tokens and in little memory."""

from collections.abc import AsyncIterator, Callable
from random import Random

import pytest
import pytest_twisted

from pipetest.domain.errors import Transient
from pipetest.domain.interfaces import DealList
from pipetest.domain.model import Found, Reply, Secret
from pipetest.pipedrive.client import PipedriveClient
from pipetest.sandbox.faults import FAULTS, Rule
from pipetest.sandbox.pipedrive.bodies import DealChanges, NewDeal, NewOrganization
from pipetest.sandbox.world import World
from tests.support.exchanges import ScriptedExchange, exchange_with

KEY = Secret("0123456789verysecret")
NOW_AT = 1_795_435_200.0
YEARS_S = 3 * 365 * 24 * 3600.0


class Moments:
    """The services' clock, which the test moves."""

    def __init__(self) -> None:
        self.now_at = NOW_AT

    def __call__(self) -> float:
        return self.now_at


@pytest.fixture
def moments() -> Moments:
    return Moments()


@pytest.fixture
def world(moments: Moments) -> World:
    """Organization 1 with the deals 1 to 6: open, won, lost, archived, deleted, open."""
    world = World(moments, Random(1), key=KEY.reveal())
    world.crm.add_organization(NewOrganization("ada"), NOW_AT - YEARS_S)
    for title in "abcdef":
        world.crm.add_deal(NewDeal(title, 1), NOW_AT - YEARS_S)
    for deal, change in enumerate((world.crm.win_deal, world.crm.lose_deal, world.crm.archive_deal), 2):
        change(deal)
    world.crm.delete_deal(5)
    moments.now_at += 3600.0
    return world


@pytest_twisted.async_yield_fixture
async def pipedrive(world: World) -> AsyncIterator[PipedriveClient]:
    async for exchange in exchange_with(world, world.pipedrive):
        yield PipedriveClient(exchange, exchange.root, KEY)


async def whole(deals: DealList, meanwhile: Callable[[int], None] = lambda page: None) -> list[int]:
    """The ids of all its deals, in the order in which they came; ``meanwhile`` is called after each page with its
    number."""
    ids, page = [], 0
    while (found := await deals.next()) is not None:
        ids += [deal.id for deal in found]
        page += 1
        meanwhile(page)
    return ids


@pytest.mark.parametrize(("ceiling", "tokens"), [(500, 10 + 20 + 10), (2, 3 * 10 + 20 + 10)])
@pytest_twisted.ensureDeferred
async def test_every_deal_is_listed_by_id_then_the_archived_ones_then_what_has_changed_since(
    pipedrive: PipedriveClient, world: World, ceiling: int, tokens: int
) -> None:
    world.pipedrive_api.page_ceiling = ceiling
    assert await whole(pipedrive.all_deals(NOW_AT)) == [1, 2, 3, 5, 6, 4]
    assert world.pipedrive_limits.tokens_used == tokens


@pytest_twisted.ensureDeferred
async def test_a_listed_deal_tells_its_organization(pipedrive: PipedriveClient, world: World) -> None:
    found = await pipedrive.all_deals(NOW_AT).next()
    assert found is not None
    assert found[0] == Found(1, "a", NOW_AT - YEARS_S, organization_id=1)
    assert [deal.deleted for deal in found] == [False, False, False, True, False]


@pytest_twisted.ensureDeferred
async def test_a_listed_deal_tells_what_its_custom_fields_hold_that_looks_like_a_gists_id(
    pipedrive: PipedriveClient, world: World
) -> None:
    fields = world.crm.company.deal_fields
    codes = [fields.add(f"field {number}").code for number in range(20)]  # more than may be named in a request
    texts = dict(zip(codes, (" AA5A315D61AE9438B18D\t", "4283721", "Anna", "a b", " ", "F00D"), strict=False))
    world.crm.change_deal(1, DealChanges(custom_fields={**texts, fields.add("a number", "double").code: 4283722.0}))
    for deals in (await pipedrive.all_deals(NOW_AT).next(), await pipedrive.deals(1), await pipedrive.deals_by_id([1])):
        assert deals is not None
        assert (deals[0].stamp, deals[0].fields) == ("", ("aa5a315d61ae9438b18d", "4283721", "f00d"))


@pytest.mark.parametrize("fields", [b"null", b"[]", b'"a"', b"7", b"{}", b'{"k": [[]], "l": {"k": "f00d"}, "m": null}'])
@pytest_twisted.ensureDeferred
async def test_custom_fields_of_any_kind_spoil_no_deal(fields: bytes) -> None:
    rows = (
        b'[{"id": 1, "title": "a", "custom_fields": %b}, {"id": 2, "custom_fields": {"k": "f00d"}}, {"id": 3}]' % fields
    )
    reply = Reply(200, {}, b'{"success": true, "data": %b}' % rows)
    exchange, root = ScriptedExchange(lambda _: reply), "https://company.pipedrive.com"
    for stamp_field, second in (None, Found(2, "", fields=("f00d",))), ("k", Found(2, "", stamp="f00d")):
        pipedrive = PipedriveClient(exchange, root, KEY, stamp_field=lambda: stamp_field)  # noqa: B023
        assert await pipedrive.all_deals(NOW_AT).next() == [Found(1, "a"), second]


@pytest.mark.parametrize("our_clock_ahead_s", [0.0, 1e6, -1e6])
@pytest_twisted.ensureDeferred
async def test_no_deal_is_missed_that_leaves_the_archive_or_goes_there_while_they_are_listed(
    pipedrive: PipedriveClient, world: World, moments: Moments, our_clock_ahead_s: float
) -> None:
    def change_archive(page: int) -> None:
        moments.now_at += 60.0
        if page == 1:
            world.crm.archive_deal(6)
            world.crm.deals[4].fields["is_archived"] = False
            world.crm.rename_deal(4, "d")

    ids = await whole(pipedrive.all_deals(NOW_AT + our_clock_ahead_s), change_archive)
    assert set(ids) == {1, 2, 3, 4, 5, 6}


@pytest_twisted.ensureDeferred
async def test_a_page_that_fails_is_asked_for_again_and_the_others_are_not(
    pipedrive: PipedriveClient, world: World
) -> None:
    world.pipedrive_api.page_ceiling = 2
    ids: list[int] = []
    deals, failures = pipedrive.all_deals(NOW_AT), 0
    for _ in range(20):
        if len(ids) == 4 and not failures:
            world.faults.add(Rule(FAULTS["503"], times=1))
        try:
            found = await deals.next()
        except Transient:
            failures += 1
        else:
            ids += [deal.id for deal in found or ()]
    assert (ids, failures) == ([1, 2, 3, 5, 6, 4], 1)
    assert world.pipedrive_limits.tokens_used == 3 * 10 + 20 + 10


@pytest.mark.parametrize("ceiling", [500, 2])
@pytest_twisted.ensureDeferred
async def test_newer_deals_are_listed_without_the_older_ones(
    pipedrive: PipedriveClient, world: World, ceiling: int
) -> None:
    world.pipedrive_api.page_ceiling = ceiling
    assert sorted(await whole(pipedrive.newer_deals(3))) == [4, 5, 6]
    assert await whole(pipedrive.newer_deals(6)) == []
    assert sorted(await whole(pipedrive.newer_deals(0))) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("newer", [0, 499])
@pytest_twisted.ensureDeferred
async def test_whether_there_are_newer_deals_costs_a_page_of_either_list(
    pipedrive: PipedriveClient, world: World, newer: int
) -> None:
    for number in range(1200):
        world.crm.add_deal(NewDeal(f"old {number}", 1), NOW_AT)
    assert len(await whole(pipedrive.newer_deals(1206 - newer))) == newer
    assert world.pipedrive_limits.tokens_used == 10 + 20


@pytest_twisted.ensureDeferred
async def test_the_newest_deal_is_told_for_one_page_deleted_ones_included(
    pipedrive: PipedriveClient, world: World
) -> None:
    assert await pipedrive.newest_deal() == 6
    assert world.pipedrive_limits.tokens_used == 10
    world.crm.delete_deal(6)
    assert await pipedrive.newest_deal() == 6
    world.crm.deals.clear()
    assert await pipedrive.newest_deal() == 0


@pytest.mark.parametrize("ceiling", [500, 2])
@pytest_twisted.ensureDeferred
async def test_deals_tell_where_they_are_archived_and_deleted_ones_too(
    pipedrive: PipedriveClient, world: World, ceiling: int
) -> None:
    world.pipedrive_api.page_ceiling = ceiling
    world.crm.add_organization(NewOrganization("bob"), NOW_AT)
    world.crm.move_deal(2, 2)
    world.crm.move_deal(4, 2)
    assert await pipedrive.organizations_of([1, 2, 4, 5, 99]) == {1: 1, 2: 2, 4: 2, 5: 1}


@pytest_twisted.ensureDeferred
async def test_deals_of_merged_organizations_are_in_the_one_that_is_left(
    pipedrive: PipedriveClient, world: World
) -> None:
    world.crm.add_organization(NewOrganization("bob"), NOW_AT)
    world.crm.merge_organizations(1, 2)
    assert set((await pipedrive.organizations_of([1, 2, 3, 4, 5, 6])).values()) == {2}
    assert (await pipedrive.deals(1), len(await pipedrive.deals(2))) == ([], 6)
    assert not await pipedrive.organization_exists(1)
