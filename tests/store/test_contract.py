"""What every store promises, whatever it is made of: one suite, run on each implementation."""

import re
from collections.abc import Collection, Mapping, Sequence
from math import inf, nan

import pytest
import pytest_twisted
from msgspec.structs import replace
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import capturedLogs

from pipetest.domain.errors import Unstorable, Unstored
from pipetest.domain.interfaces import IDENTITY, Store
from pipetest.domain.model import (
    DealChange,
    Done,
    Entry,
    Gist,
    Organization,
    OrganizationChange,
    PassResult,
    Quarantined,
    Sent,
    Skipped,
    State,
    Text,
    User,
    Visit,
    Wanted,
)
from pipetest.store.postgres import reads
from tests.support.store.worlds import World, restarted

ONE, TWO, THREE = (Gist(f"{number:032x}", created_at=float(number)) for number in (1, 2, 3))


def found(user: str, *gists: Gist, etag: str = '"etag"') -> PassResult:
    """The result of a pass that found these."""
    return PassResult(user, owner_id=7, etag=etag, gists=gists)


async def whole_feed(store: Store) -> Sequence[str]:
    return await store.feed(0, await store.feed_length())


# --- the scanner ------------------------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_a_new_store_is_empty(world: World) -> None:
    store = world.start()
    assert (await store.users(), await store.open_entries(), await store.feed_length()) == ([], [], 0)
    assert store.problem is None


@pytest_twisted.ensureDeferred
async def test_gists_get_positions_in_the_order_they_are_recorded(world: World) -> None:
    store = world.start()
    first = await store.add_gists(found("ada", ONE, TWO))
    second = await store.add_gists(found("bob", THREE))
    assert [*first, *second] == [Entry(1, ONE, "ada"), Entry(2, TWO, "ada"), Entry(3, THREE, "bob")]
    assert await whole_feed(store) == [ONE.id, TWO.id, THREE.id]


@pytest_twisted.ensureDeferred
async def test_a_gist_that_was_recorded_keeps_its_place_and_its_user(world: World) -> None:
    store = world.start()
    await store.add_gists(found("ada", ONE))
    assert await store.add_gists(found("bob", ONE, TWO, TWO)) == [Entry(2, TWO, "bob")]
    assert await whole_feed(store) == [ONE.id, TWO.id]


@pytest_twisted.ensureDeferred
async def test_results_stored_at_once_lose_nothing(world: World) -> None:
    store = world.start()
    gists = [[Gist(f"{user}-{number}", 0.0) for number in range(3)] for user in range(20)]
    results = [found(f"user{user}", *some) for user, some in enumerate(gists)]
    await gatherResults(Deferred.fromCoroutine(store.add_gists(one)) for one in results)
    assert await whole_feed(store) == [gist.id for some in gists for gist in some]
    assert await whole_feed(await restarted(world)) == [gist.id for some in gists for gist in some]


@pytest_twisted.ensureDeferred
async def test_it_knows_which_gists_are_in_the_feed(world: World) -> None:
    store = world.start()
    await store.add_gists(found("ada", ONE, TWO))
    assert sorted(await store.known_gists([THREE.id, TWO.id, "", ONE.id])) == [ONE.id, TWO.id]


@pytest_twisted.ensureDeferred
async def test_users_are_listed_in_the_order_of_their_first_scan(world: World) -> None:
    store = world.start()
    for name in ("zoe", "ada", "zoe", "bob"):
        await store.add_gists(found(name))
    assert [user.name for user in await store.users()] == ["zoe", "ada", "bob"]
    assert [user.name for user in await (await restarted(world)).users()] == ["zoe", "ada", "bob"]


@pytest.mark.parametrize("at_once", [2, 3, 4, 5])
@pytest_twisted.ensureDeferred
async def test_all_users_are_listed_however_many_are_read_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(reads, "USERS_AT_ONCE", at_once)
    store = world.start()
    names = ["dora", "ada", "cyd", "bob"]
    for name in names:
        await store.add_gists(found(name))
    assert [user.name for user in await store.users()] == names
    assert [user.name async for part in store.users_in_parts() for user in part] == names


@pytest_twisted.ensureDeferred
async def test_users_are_known_by_their_names_and_by_the_numbers_of_their_accounts(world: World) -> None:
    store = world.start()
    for name, owner_id in {"dora": 4, "Ada": 1, "bob": None, "cyd": 3, "ada-2": 1}.items():
        await store.add_gists(PassResult(name, owner_id, None, []))

    async def known(*names: str, accounts: Collection[int] = ()) -> list[str]:
        return [user.name for user in await store.known_users(names, accounts)]

    assert await known("ADA", "nobody", "bob") == ["Ada", "bob"]
    assert await known(accounts={1, 2}) == ["Ada", "ada-2"]
    assert await known("cyd", "ada-2", accounts={4, 1}) == ["dora", "Ada", "cyd", "ada-2"]
    assert await known() == []


@pytest_twisted.ensureDeferred
async def test_users_compare_without_case_and_are_shown_as_read_last(world: World) -> None:
    store = world.start()
    await store.add_gists(found("ada", ONE))
    await store.add_gists(found("Ada", TWO))
    assert [user.name for user in await store.users()] == ["Ada"]
    assert [user.name for user in await (await restarted(world)).users()] == ["Ada"]


@pytest_twisted.ensureDeferred
async def test_a_result_replaces_the_etag_and_leaves_what_it_does_not_know(world: World) -> None:
    store = world.start()
    await store.add_gists(PassResult("ada", 7, '"a"', [], read_to_end_at=100.0))
    await store.add_gists(PassResult("ada", None, None, []))
    expected = User("ada", owner_id=7, etag=None, read_to_end_at=100.0)
    assert list(await store.users()) == [expected]
    assert list(await (await restarted(world)).users()) == [expected]


@pytest_twisted.ensureDeferred
async def test_each_users_gists_are_counted_without_case(world: World) -> None:
    store = world.start()
    await store.add_gists(found("ada", ONE))
    await store.add_gists(found("Ada", ONE, TWO))
    await store.add_gists(found("bob", THREE))
    assert dict(await store.gist_counts()) == {"ada": 2, "bob": 1}
    assert dict(await (await restarted(world)).gist_counts()) == {"ada": 2, "bob": 1}


TOO_LARGE = 2**63
UNSTORABLE = {
    "number of the owner": PassResult("bob", TOO_LARGE, None, [TWO]),
    "NUL in the ETag": PassResult("bob", 8, '"e\0tag"', [TWO]),
    "NUL in an id": PassResult("bob", 8, None, [Gist("a\0b", 1.0), TWO]),
    "half a surrogate in an id": PassResult("bob", 8, None, [Gist("a\ud800", 1.0), TWO]),
    "NUL in the name": PassResult("b\0b", 8, None, [TWO]),
    "moment": PassResult("bob", 8, None, [Gist(TWO.id, inf)]),
    "moment of the year 10000": PassResult("bob", 8, None, [TWO], read_to_end_at=253_402_300_800.0),
    "NUL in a description": PassResult("bob", 8, None, [Gist(TWO.id, 2.0, Text("a\0b"))]),
    "half a surrogate in a file's name": PassResult("bob", 8, None, [Gist(TWO.id, 2.0, Text("", ("a\ud800",)))]),
}


@pytest_twisted.ensureDeferred
async def test_what_is_refused_is_told(world: World) -> None:
    store = world.start()
    told = {
        "a number that no database can hold": store.adopt({ONE.id: -TOO_LARGE}),
        "a moment that no database can hold: inf": store.add_gists(UNSTORABLE["moment"]),
        rf"a text that no database can hold: '\x00{'b' * 39}'": store.add_gists(found("\0" + "b" * 40)),
        "a value that JSON cannot carry: Encoding objects of type object is unsupported": store.put_value(
            "o", object()
        ),
    }
    for text, change in told.items():
        with pytest.raises(Unstorable) as caught:
            await change
        assert str(caught.value) == text


@pytest_twisted.ensureDeferred
async def test_the_largest_number_and_the_last_moment_can_be_stored(world: World) -> None:
    store = world.start()
    largest, last = TOO_LARGE - 1, 253_402_300_799.0
    await store.add_gists(PassResult("ada", largest, None, [Gist(ONE.id, last), Gist(TWO.id, 2.0)]))
    await store.save(DealChange(ONE.id, Done(largest)), DealChange(TWO.id, Done(-largest)))
    store = await restarted(world)
    assert [user.owner_id for user in await store.users()] == [largest]
    assert [(entry.gist.created_at, entry.deal) for entry in await store.done_entries(0, 10)] == [
        (last, Done(largest)),
        (2.0, Done(-largest)),
    ]


@pytest.mark.parametrize("result", UNSTORABLE.values(), ids=list(UNSTORABLE))
@pytest_twisted.ensureDeferred
async def test_a_pass_that_no_database_can_hold_fails_alone(world: World, result: PassResult) -> None:
    store = world.start()
    good = Deferred.fromCoroutine(store.add_gists(found("ada", ONE)))
    with pytest.raises(Unstorable):
        await store.add_gists(result)
    await good
    await store.add_gists(found("carl", THREE))
    assert (await whole_feed(store), store.problem) == ([ONE.id, THREE.id], None)
    store = await restarted(world)
    assert await whole_feed(store) == [ONE.id, THREE.id]
    assert [user.name for user in await store.users()] == ["ada", "carl"]


# --- the outbox -------------------------------------------------------------------------------------------------------


OPEN: Sequence[State] = [
    Wanted(),
    Sent(),
    Quarantined("title too long", 1000.5, status=400, code="LONG"),
    Quarantined("no", 1000.5, sent=True),
]


@pytest.mark.parametrize("state", OPEN, ids=repr)
@pytest_twisted.ensureDeferred
async def test_an_entry_whose_deal_is_not_done_is_open_in_its_state(world: World, state: State) -> None:
    store = world.start()
    await store.add_gists(found("ada", ONE, TWO))
    await store.save(DealChange(TWO.id, state))
    expected = [Entry(1, ONE, "ada"), Entry(2, TWO, "ada", state)]
    assert list(await store.open_entries()) == expected
    assert list(await (await restarted(world)).open_entries()) == expected


@pytest_twisted.ensureDeferred
async def test_entries_that_are_done_are_told_some_at_a_time_without_those_that_are_skipped(world: World) -> None:
    store = world.start()
    await store.add_gists(replace(found("ada", ONE, TWO, THREE), wanted_since=TWO.created_at))
    assert await store.done_entries(0, 10) == []
    await store.add_gists(found("bob", *(Gist(f"b{number}", 5.0) for number in range(40))))
    await store.save(DealChange(TWO.id, Done(None)), *(DealChange(f"b{number}", Done(number)) for number in range(40)))
    bobs = [Entry(4 + number, Gist(f"b{number}", 5.0), "bob", Done(number)) for number in range(40)]
    assert await store.done_entries(0, 30) == [Entry(2, TWO, "ada", Done(None)), *bobs[:29]]
    assert await store.done_entries(bobs[28].position, 30) == bobs[29:]
    assert await (await restarted(world)).done_entries(bobs[38].position, 30) == bobs[39:]


@pytest_twisted.ensureDeferred
async def test_a_deal_that_is_done_stays_done(world: World) -> None:
    store = world.start()
    await store.add_gists(found("ada", ONE, TWO))
    await store.save(DealChange(ONE.id, Done(11)), DealChange(TWO.id, Done(12)))
    await store.save(DealChange(ONE.id, Wanted()))
    assert list(await store.open_entries()) == []
    assert list(await (await restarted(world)).open_entries()) == []


@pytest.mark.parametrize(
    "organization", [Organization(Sent()), Organization(Done(5)), Organization(Done(5), reconciled_at=7.0)], ids=repr
)
@pytest_twisted.ensureDeferred
async def test_an_organization_is_stored_with_when_it_was_reconciled(world: World, organization: Organization) -> None:
    store = world.start()
    await store.add_gists(found("ada"))
    await store.save(OrganizationChange("ADA", organization))
    await store.add_gists(found("ada", ONE))
    assert [user.organization for user in await store.users()] == [organization]
    assert [user.organization for user in await (await restarted(world)).users()] == [organization]


SAID = Text('Maps for "\u202aada\u202c"', ("a.py", "b c.md"))


def saying(gist: Gist, text: Text = SAID) -> Gist:
    return Gist(gist.id, gist.created_at, text)


@pytest_twisted.ensureDeferred
async def test_what_a_gist_says_is_kept_until_its_deal_is_done(world: World) -> None:
    store = world.start()
    expected = [Entry(1, saying(ONE), "ada"), Entry(2, saying(TWO, Text()), "ada"), Entry(3, THREE, "ada")]
    await store.add_gists(found("ada", saying(ONE), saying(TWO, Text()), THREE))
    for state in OPEN:
        await store.save(DealChange(ONE.id, state))
        entries = [Entry(1, saying(ONE), "ada", state), *expected[1:]]
        assert list(await store.open_entries()) == entries
        store = await restarted(world)
        assert list(await store.open_entries()) == entries
        assert "Maps for" in world.stored_gists()
    await store.save(DealChange(ONE.id, Done(5)))
    assert "Maps for" not in world.stored_gists()


@pytest_twisted.ensureDeferred
async def test_what_a_gist_says_is_not_kept_once_it_is_skipped_or_found_in_pipedrive(world: World) -> None:
    store = world.start()
    await store.adopt({TWO.id: 12})
    await store.add_gists(PassResult("ada", 7, None, [saying(ONE), saying(TWO)], wanted_since=inf))
    await store.add_gists(found("bob", saying(THREE)))
    await store.adopt({THREE.id: 13})
    assert "Maps for" not in world.stored_gists()
    assert list(await store.open_entries()) == []


@pytest_twisted.ensureDeferred
async def test_texts_are_added_to_the_open_gists_of_a_user_that_have_none(world: World) -> None:
    store = world.start()
    four = Gist(f"{4:032x}", created_at=4.0)
    await store.add_gists(found("Ada", ONE, TWO, saying(THREE, Text("before"))))
    await store.add_gists(PassResult("bob", 7, None, [saying(four)], wanted_since=inf))
    assert set(await store.users_without_text()) == {"ada"}
    texts = {gist.id: SAID for gist in (TWO, THREE, four)}
    added = [Entry(1, saying(ONE, Text()), "Ada"), Entry(2, saying(TWO), "Ada")]
    assert list(await store.add_texts("ADA", texts)) == added
    assert list(await store.add_texts("ada", texts)) == list(await store.add_texts("bob", texts)) == []
    assert set(await store.users_without_text()) == set()
    for _ in range(2):
        assert list(await store.open_entries()) == [*added, Entry(3, saying(THREE, Text("before")), "Ada")]
        store = await restarted(world)
    assert list(await store.want_skipped("bob")) == [Entry(4, four, "bob")]
    assert set(await store.users_without_text()) == {"bob"}


@pytest_twisted.ensureDeferred
async def test_no_text_is_added_to_a_gist_whose_deal_is_done_meanwhile(world: World) -> None:
    store = world.start()
    await store.add_gists(found("ada", ONE, TWO))
    done = Deferred.fromCoroutine(store.save(DealChange(ONE.id, Done(5))))
    await store.add_texts("ada", {ONE.id: SAID})
    await done
    assert "Maps for" not in world.stored_gists()
    assert list(await store.open_entries()) == [Entry(2, saying(TWO, Text()), "ada")]
    assert not await store.users_without_text()


@pytest_twisted.ensureDeferred
async def test_texts_that_no_database_can_hold_fail_alone(world: World) -> None:
    store = world.start()
    await store.add_gists(found("ada", ONE))
    with pytest.raises(Unstorable):
        await store.add_texts("ada", {ONE.id: Text("a\0b")})
    assert list(await store.add_texts("ada", {ONE.id: SAID})) == [Entry(1, saying(ONE), "ada")]


@pytest.mark.parametrize("change", [DealChange("nobody", Sent()), OrganizationChange("nobody", Organization())])
@pytest_twisted.ensureDeferred
async def test_what_was_never_recorded_cannot_change(world: World, change: DealChange | OrganizationChange) -> None:
    store = world.start()
    with pytest.raises(KeyError, match="nobody"):
        await store.save(change)


@pytest.mark.parametrize(
    "change",
    [
        DealChange(TWO.id, Done(TOO_LARGE)),
        OrganizationChange("ada", Organization(Done(TOO_LARGE))),
        OrganizationChange("ada", Organization(Done(5), reconciled_at=nan)),
    ],
    ids=repr,
)
@pytest_twisted.ensureDeferred
async def test_a_change_that_no_database_can_hold_fails_alone(
    world: World, change: DealChange | OrganizationChange
) -> None:
    store = world.start()
    await store.add_gists(found("ada", ONE, TWO))
    good = Deferred.fromCoroutine(store.save(DealChange(ONE.id, Sent())))
    with pytest.raises(Unstorable):
        await store.save(DealChange(TWO.id, Sent()), change)
    await good
    expected = [Entry(1, ONE, "ada", Sent()), Entry(2, TWO, "ada")]
    assert (list(await store.open_entries()), store.problem) == (expected, None)
    assert list(await (await restarted(world)).open_entries()) == expected


@pytest.mark.parametrize("deals", [{ONE.id: TOO_LARGE}, {"a\0b": 5}], ids=["number", "NUL in an id"])
@pytest_twisted.ensureDeferred
async def test_deals_found_that_no_database_can_hold_fail_alone(world: World, deals: Mapping[str, int]) -> None:
    store = world.start()
    await store.add_gists(found("ada", ONE, TWO))
    with pytest.raises(Unstorable):
        await store.adopt({TWO.id: 6, **deals})
    await store.adopt({TWO.id: 6})
    expected = [Entry(1, ONE, "ada")]
    assert (list(await store.open_entries()), store.problem) == (expected, None)
    assert list(await (await restarted(world)).open_entries()) == expected


@pytest.mark.parametrize("value", ["\ud800", object()], ids=["half a surrogate", "no JSON"])
@pytest_twisted.ensureDeferred
async def test_a_value_that_json_cannot_carry_fails_alone(world: World, value: object) -> None:
    store = world.start()
    with pytest.raises(Unstorable):
        await store.put_value("bad", value)
    await store.put_value("good", 1)
    assert (await store.get_value("good", int), await store.get_value("bad", int), store.problem) == (1, None, None)


@pytest_twisted.ensureDeferred
async def test_a_new_store_is_unreconciled_over_restarts_until_it_is_marked(world: World) -> None:
    unreconciled = [world.start().unreconciled]
    store = await restarted(world)
    unreconciled.append(store.unreconciled)
    await store.mark_reconciled()
    unreconciled += [store.unreconciled, (await restarted(world)).unreconciled]
    assert unreconciled == [True, True, False, False]


@pytest_twisted.ensureDeferred
async def test_an_organization_reconciled_in_an_unreconciled_store_stays_so_over_a_restart(world: World) -> None:
    store = world.start()
    await store.add_gists(found("ada"))
    await store.save(OrganizationChange("ada", Organization(Done(5), reconciled_at=7.0)))
    store = await restarted(world)
    assert [user.organization.reconciled_at for user in await store.users()] == [7.0]


@pytest_twisted.ensureDeferred
async def test_organizations_are_reconciled_with_a_store_whose_whole_list_was_read_and_unreconciled_with_it(
    world: World,
) -> None:
    store = world.start()
    for user in ("ada", "bob", "eve"):
        await store.add_gists(found(user))
    await store.save(OrganizationChange("ada", Organization(Done(5))), OrganizationChange("bob", Organization(Sent())))
    await store.save(OrganizationChange("eve", Organization(Done(6), reconciled_at=7.0)))
    await store.mark_reconciled(9.5)
    store = await restarted(world)
    reconciled = [user.organization for user in await store.users()]
    await store.mark_unreconciled()
    assert store.unreconciled
    store = await restarted(world)
    assert store.unreconciled
    assert reconciled == [Organization(Done(5), 9.5), Organization(Sent()), Organization(Done(6), 9.5)]
    assert [user.organization.reconciled_at for user in await store.users()] == [None, None, None]


@pytest_twisted.ensureDeferred
async def test_found_deals_are_adopted_by_their_gists_those_of_others_when_they_are_recorded(world: World) -> None:
    store = world.start()
    await store.add_gists(found("ada", ONE, TWO))
    await store.save(DealChange(ONE.id, Done(None)), DealChange(TWO.id, Sent()))
    await store.adopt({ONE.id: 11, TWO.id: 12, THREE.id: 13, "nobody's": 99})
    store = await restarted(world)
    assert list(await store.open_entries()) == []
    assert set(await store.known_deals([TWO.id])) == {TWO.id}
    four = Gist(f"{4:032x}", 4.0)
    assert list(await store.add_gists(found("ada", THREE, four))) == [
        Entry(3, THREE, "ada", Done(13)),
        Entry(4, four, "ada"),
    ]
    store = await restarted(world)
    assert list(await store.open_entries()) == [Entry(4, four, "ada")]
    assert await store.newest_deals(["ADA", "bob"], 2) == {"ada": [13, 12]}
    assert set(await store.known_deals([ONE.id, THREE.id, four.id, "nobody's", "unheard of"])) == {
        ONE.id,
        THREE.id,
        "nobody's",
    }
    assert await store.newest_deal() == 99


@pytest_twisted.ensureDeferred
async def test_a_deal_that_is_known_already_is_not_replaced_by_another_that_is_found(world: World) -> None:
    store = world.start()
    await store.add_gists(found("ada", ONE))
    assert await store.newest_deal() == 0
    await store.save(DealChange(ONE.id, Done(5)))
    await store.adopt({ONE.id: 3, TWO.id: 4})
    await store.adopt({TWO.id: 7})
    await store.add_gists(found("ada", TWO))
    assert await store.newest_deals(["ada"], 100) == {"ada": [5, 4]}


@pytest_twisted.ensureDeferred
async def test_a_deal_that_is_found_while_another_is_being_stored_does_not_replace_it(world: World) -> None:
    store = world.start()
    await store.adopt({TWO.id: 7})
    await store.add_gists(found("ada", ONE))
    done = Deferred.fromCoroutine(store.save(DealChange(ONE.id, Done(5))))
    recorded = Deferred.fromCoroutine(store.add_gists(found("ada", TWO)))
    await store.adopt({ONE.id: 3, TWO.id: 4})
    await done
    await recorded
    for _ in range(2):
        assert await store.newest_deals(["ada"], 100) == {"ada": [7, 5]}
        store = await restarted(world)


FOUR = Gist(f"{4:032x}", created_at=4.0)


def first_pass(user: str, *gists: Gist, since: float) -> PassResult:
    return PassResult(user, 7, None, gists, 9.0, wanted_since=since)


@pytest_twisted.ensureDeferred
async def test_what_is_older_than_it_is_wanted_is_in_the_feed_and_skipped(world: World) -> None:
    store = world.start()
    entries = await store.add_gists(first_pass("Ada", ONE, TWO, THREE, since=2.0))
    await store.add_gists(found("bob", FOUR))
    assert [entry.deal for entry in entries] == [Skipped(), Wanted(), Wanted()]
    for _ in range(2):
        assert await whole_feed(store) == [ONE.id, TWO.id, THREE.id, FOUR.id]
        assert list(await store.open_entries()) == [Entry(2, TWO, "Ada"), Entry(3, THREE, "Ada"), Entry(4, FOUR, "bob")]
        assert dict(await store.skipped_counts()) == {"ada": 1}
        assert not await store.known_deals([ONE.id, TWO.id])
        store = await restarted(world)


@pytest_twisted.ensureDeferred
async def test_what_was_skipped_can_be_wanted_user_by_user(world: World) -> None:
    store = world.start()
    await store.add_gists(first_pass("Ada", ONE, TWO, since=inf))
    await store.add_gists(first_pass("bob", THREE, since=inf))
    wanted = [Entry(1, ONE, "Ada"), Entry(2, TWO, "Ada")]
    assert list(await store.want_skipped("ADA")) == wanted
    assert list(await store.want_skipped("ada")) == list(await store.want_skipped("nobody")) == []
    for _ in range(2):
        assert list(await store.open_entries()) == wanted
        assert dict(await store.skipped_counts()) == {"bob": 1}
        store = await restarted(world)
    await store.save(DealChange(ONE.id, Done(5)))
    assert list(await store.open_entries()) == wanted[1:]


@pytest_twisted.ensureDeferred
async def test_what_is_skipped_and_comes_to_a_deal_is_done(world: World) -> None:
    store = world.start()
    await store.add_gists(first_pass("ada", ONE, TWO, since=inf))
    await store.save(DealChange(ONE.id, Done(5)))
    for _ in range(2):
        assert dict(await store.skipped_counts()) == {"ada": 1}
        assert list(await store.done_entries(0, 10)) == [Entry(1, ONE, "ada", Done(5))]
        store = await restarted(world)


@pytest_twisted.ensureDeferred
async def test_what_is_skipped_stays_so_until_it_is_wanted_and_then_has_its_place_by_position(world: World) -> None:
    store = world.start()
    await store.add_gists(first_pass("ada", ONE, TWO, since=2.0))
    await store.save(DealChange(ONE.id, Sent()))
    store = await restarted(world)
    assert dict(await store.skipped_counts()) == {"ada": 1}
    await store.want_skipped("ada")
    assert list(await store.open_entries()) == [Entry(1, ONE, "ada"), Entry(2, TWO, "ada")]
    added = [Entry(1, saying(ONE), "ada"), Entry(2, saying(TWO), "ada")]
    assert list(await store.add_texts("ada", {ONE.id: SAID, TWO.id: SAID})) == added


@pytest_twisted.ensureDeferred
async def test_a_deal_that_was_found_before_shows_since_when_its_users_gists_were_wanted(world: World) -> None:
    store = world.start()
    await store.adopt({TWO.id: 12, FOUR.id: 14})
    entries = await store.add_gists(first_pass("ada", ONE, TWO, THREE, since=inf))
    assert [entry.deal for entry in entries] == [Skipped(), Done(12), Wanted()]
    assert list(await store.open_entries()) == [Entry(3, THREE, "ada")]
    assert dict(await (await restarted(world)).skipped_counts()) == {"ada": 1}


@pytest_twisted.ensureDeferred
async def test_a_deal_that_is_found_of_a_skipped_gist_shows_it_too(world: World) -> None:
    store = world.start()
    at_once = Gist("at once", TWO.created_at)
    await store.add_gists(first_pass("ada", ONE, TWO, at_once, THREE, since=inf))
    await store.add_gists(first_pass("bob", FOUR, since=inf))
    wanted = [Entry(3, at_once, "ada"), Entry(4, THREE, "ada")]
    assert list(await store.adopt({TWO.id: 12})) == [Entry(2, TWO, "ada", Done(12)), *wanted]
    for _ in range(2):
        assert list(await store.open_entries()) == wanted
        assert dict(await store.skipped_counts()) == {"ada": 1, "bob": 1}
        assert await store.newest_deal() == 12
        store = await restarted(world)


@pytest_twisted.ensureDeferred
async def test_a_deal_of_a_gist_that_was_wanted_anyway_says_nothing_about_what_was_skipped(world: World) -> None:
    store = world.start()
    await store.add_gists(first_pass("ada", TWO, THREE, since=3.0))
    await store.add_gists(found("ada", ONE))  # made public late
    assert list(await store.adopt({ONE.id: 11, THREE.id: 13})) == []
    assert await store.newest_deal() == 13
    assert dict(await store.skipped_counts()) == {"ada": 1}


@pytest_twisted.ensureDeferred
async def test_values_outlive_a_restart(world: World) -> None:
    store = world.start()
    await store.put_value("tokens", {"day": "2026-11-24", "spent": 120})
    await store.put_value("paused", True)
    await store.put_value("paused", False)
    store = await restarted(world)
    assert await store.get_value("tokens", dict[str, object]) == {"day": "2026-11-24", "spent": 120}
    assert await store.get_value("paused", bool) is False
    assert await store.get_value("unknown", object) is None


@pytest_twisted.ensureDeferred
async def test_a_value_of_another_kind_counts_as_missing_and_the_log_tells_of_it(world: World) -> None:
    store = world.start()
    await store.put_value("listed", ["no", "numbers"])
    with capturedLogs() as events:
        assert await store.get_value("listed", dict[str, float]) is None
        assert await store.get_value("listed", list[str]) == ["no", "numbers"]
    assert [(event["event"], event["name"]) for event in events] == [("value_unreadable", "listed")]


# --- visitors ---------------------------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_the_feed_shows_any_slice_of_it(world: World) -> None:
    store = world.start()
    gists = [Gist(f"gist{number}", 0.0) for number in range(200)]
    await store.add_gists(found("ada", *gists))
    ids = [gist.id for gist in gists]
    for start, stop in [(0, 0), (0, 1), (63, 130), (199, 200), (150, 10_000), (200, 300), (300, 400), (5, 2)]:
        assert list(await store.feed(start, stop)) == ids[start:stop]


@pytest_twisted.ensureDeferred
async def test_a_session_moves_on_and_never_back(world: World) -> None:
    store = world.start()
    await store.advance_session("s", 5, now=1.0)
    assert (await store.resume_session("s", now=2.0)).shown == 5
    await store.advance_session("s", 3, now=3.0)
    assert (await store.resume_session("s", now=4.0)).shown == 5
    await store.advance_session("s", 9, now=5.0)
    assert (await store.resume_session("s", now=6.0)).shown == 9
    assert (await (await restarted(world)).resume_session("s", now=7.0)).shown == 9


@pytest_twisted.ensureDeferred
async def test_a_session_that_was_shown_nothing_is_one(world: World) -> None:
    store = world.start()
    await store.advance_session("s", 0, now=1.0)
    assert (await store.resume_session("s", now=2.0)).shown == 0
    assert (await (await restarted(world)).resume_session("s", now=3.0)).shown == 0


@pytest_twisted.ensureDeferred
async def test_whoever_comes_learns_how_long_the_feed_is_whether_the_session_is_known_or_not(world: World) -> None:
    store = world.start()
    await store.add_gists(found("ada", ONE, TWO))
    await store.advance_session("s", 1, now=1.0)
    assert await store.resume_session("s", now=2.0) == Visit(1, 2)
    assert await store.resume_session("unknown", now=2.0) == Visit(None, 2)


@pytest_twisted.ensureDeferred
async def test_a_session_whose_lifetime_is_over_is_none(world: World) -> None:
    store = world.start()
    await store.advance_session("s", 5, now=0.0)
    assert (await store.resume_session("s", now=900.0, lifetime=1000.0)).shown == 5
    store = await restarted(world)
    assert (await store.resume_session("s", now=1900.0, lifetime=1000.0)).shown == 5
    assert (await store.resume_session("s", now=2901.0, lifetime=1000.0)).shown is None


@pytest_twisted.ensureDeferred
async def test_sessions_unvisited_for_too_long_expire(world: World) -> None:
    store = world.start()
    for number in range(4):
        await store.advance_session(f"s{number}", 1, now=float(number))
    await store.resume_session("s0", now=10.0)  # a visit renews
    assert await store.expire_sessions(unvisited_since=3.0) == 2
    store = await restarted(world)
    assert [(await store.resume_session(f"s{number}", now=11.0)).shown for number in range(4)] == [1, None, None, 1]


# --- the end ----------------------------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_nothing_is_stored_after_the_end(world: World) -> None:
    store = world.start()
    await world.end()
    with pytest.raises(Unstored):
        await store.put_value("late", True)


@pytest_twisted.ensureDeferred
async def test_what_waits_at_the_end_is_written(world: World) -> None:
    store = world.start()
    recorded = Deferred.fromCoroutine(store.add_gists(found("ada", ONE)))
    store = await restarted(world)
    assert await recorded == [Entry(1, ONE, "ada")]
    assert await whole_feed(store) == [ONE.id]


@pytest_twisted.ensureDeferred
async def test_a_database_has_an_identity_of_its_own_that_outlives_a_restart(world: World) -> None:
    store = world.start()
    identity = await store.get_value(IDENTITY, str)
    assert identity is not None
    assert re.fullmatch("[0-9a-f]{8}", identity)
    await store.put_value("anything", 1)
    assert await (await restarted(world)).get_value(IDENTITY, str) == identity
