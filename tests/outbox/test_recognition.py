"""Which gist a deal is of, and which organization is a user's."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipetest.domain.model import Found
from pipetest.outbox.recognition import gist_of, holds_most, ids_in, match

LONG = "aa5a315d61ae9438b18d"
LONGER = "0123456789abcdef0123456789abcdef"

TITLES: Sequence[tuple[str, Sequence[str]]] = [
    (LONG, [LONG]),
    (f"  {LONG.upper()}\t", [LONG]),
    (f"A tool for maps \u00b7 {LONGER}", [LONGER]),
    (f"{LONGER} {LONG}", [LONG]),
    (f"{LONG} (won by Anna)", [LONG]),
    (f"https://gist.github.com/ada/{LONG}", [LONG]),
    (f"1234 {LONG} 1234", [LONG]),
    (f"x{LONG}", [f"x{LONG}", f"x{LONG}"]),
    (LONG[:19], [LONG[:19], LONG[:19]]),
    ("A map 1234", ["a map 1234", "1234"]),
    ("1234 a map", ["1234 a map", "map"]),
    ("", []),
    (" \n ", []),
]


@pytest.mark.parametrize(("title", "ids"), TITLES)
def test_a_title_tells_its_gist(title: str, ids: Sequence[str]) -> None:
    assert list(ids_in(Found(1, title))) == ids


OTHER = "f" * 32
HELD: Sequence[tuple[Found, Sequence[str], str | None]] = [
    (Found(1, "Call Anna", stamp=LONG), [LONG], LONG),
    (Found(1, OTHER, stamp=LONG), [LONG], LONG),
    (Found(1, OTHER, stamp=LONG, fields=(LONGER,)), [LONG], LONG),
    (Found(1, "Call Anna", fields=("2026", LONG)), [LONG], LONG),
    (Found(1, OTHER, fields=(LONG, LONGER)), [LONG], LONG),
    (Found(1, OTHER, fields=("2026",)), [OTHER], OTHER),
    (Found(1, "", stamp="4283721"), ["4283721"], "4283721"),
    (Found(1, OTHER, stamp="4283721"), ["4283721", OTHER], "4283721"),
    (Found(1, "", fields=("4283721",)), ["4283721"], None),
    (Found(1, "No 17", fields=("2026",)), ["2026", "no 17", "17"], None),
    (Found(1, "lunch"), ["lunch", "lunch"], None),
]


@pytest.mark.parametrize(("deal", "ids", "anywhere"), HELD)
def test_a_custom_field_that_holds_an_id_alone_tells_the_gist_before_the_title_does_and_the_stamp_first(
    deal: Found, ids: Sequence[str], anywhere: str | None
) -> None:
    assert (list(ids_in(deal)), gist_of(deal)) == (ids, anywhere)


def test_an_id_too_long_to_be_one_is_recognised_nowhere_else() -> None:
    assert gist_of(Found(1, "a" * 256)) is None


def test_a_deal_is_of_one_gist_at_most() -> None:
    found = [Found(1, f"{LONG} {LONGER}")]
    assert match([LONG, LONGER], found).adopted == {LONGER: 1}


def test_a_deal_with_a_long_id_is_no_gists_whose_short_id_stands_beside_it() -> None:
    assert match(["1234"], [Found(1, f"{LONG} 1234")]).adopted == {}


def test_a_gist_is_recognised_without_case_or_outer_blanks() -> None:
    matches = match(["AbC", LONG.upper()], [Found(1, " aBc "), Found(2, f" {LONG}")])
    assert matches.adopted == {"AbC": 1, LONG.upper(): 2}


founds = st.lists(
    st.builds(Found, id=st.integers(1, 50), name=st.sampled_from(["a", "B", " c", "x d"]), deleted=st.booleans()),
    unique_by=lambda f: f.id,
)


@example([Found(1, "a", deleted=True), Found(2, "a"), Found(3, "a")], {"a"})
@given(founds, st.sets(st.sampled_from("abcd")))
def test_of_several_deals_the_living_with_the_smallest_id_is_adopted_and_every_other_one_reported(
    found: list[Found], gists: set[str]
) -> None:
    matches = match(gists, found)
    for gist in gists:
        ids = [f.id for f in sorted(found, key=lambda f: (f.deleted, f.id)) if f.name.lower().split()[-1] == gist]
        assert matches.adopted.get(gist) == (ids[0] if ids else None)
        assert list(matches.surplus.get(gist, [])) == ids[1:]
    assert set(matches.adopted) <= gists


@pytest.mark.parametrize(
    ("deals", "chosen"),
    [
        ({3: [], 5: []}, 3),
        ({3: [Found(1, "a")], 5: [Found(2, "b"), Found(3, "x A")]}, 5),
        ({3: [Found(1, "a")], 5: [Found(2, "b")]}, 3),
        ({3: [Found(1, "lunch"), Found(2, "call")], 5: [Found(3, LONG)]}, 5),
        ({3: [Found(1, "lunch")], 5: [Found(2, "call", fields=(LONG,))]}, 5),
        ({3: [Found(1, "lunch")], 5: [Found(2, "call", fields=("b",))]}, 5),
    ],
)
def test_of_organizations_of_one_name_the_users_is_the_one_that_holds_most_of_its_deals_else_the_smallest_id(
    deals: dict[int, list[Found]], chosen: int
) -> None:
    assert holds_most(deals, ["a", "b"]) == chosen
