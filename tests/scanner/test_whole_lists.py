"""Two readings of one list, and whether the first lacks nothing: tried on a list that changes between any two pages."""

from collections.abc import Iterator, Sequence
from itertools import chain, combinations_with_replacement, count, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipetest.domain.model import Gist, GistPage
from pipetest.scanner.list_reader import shows_all

PER_PAGE = 2
PAGES = 3
MOMENTS = 2 * PAGES
"""Before each page of the two readings."""

Change = tuple[int, int | None]
"""At which of the moments; the place of the gist that is deleted, or None for a new one at the head."""


def gist(number: int) -> Gist:
    return Gist(str(number), float(number))


def page(*numbers: int, owner: int | None = 7) -> GistPage:
    return GistPage([gist(number) for number in numbers], owner, None, None)


def readings(changes: Sequence[Change], gists: int) -> tuple[Sequence[GistPage], Sequence[GistPage], set[str]]:
    """The first reading, to the end of the list; the second one, of the same pages; and which gists were listed all the
    time."""
    listed, new, moments = [*range(gists, 0, -1)], count(gists + 1), count()
    constant, first, second = {*listed}, list[GistPage](), list[GistPage]()

    def read_on(pages: list[GistPage]) -> bool:
        moment = next(moments)
        for _, place in (change for change in changes if change[0] == moment):
            if place is None:
                listed.insert(0, next(new))
            elif place < len(listed):
                del listed[place]
        end = (len(pages) + 1) * PER_PAGE
        pages.append(page(*listed[end - PER_PAGE : end]))
        return end < len(listed)

    while read_on(first):
        pass
    for _ in first:
        read_on(second)
    constant.intersection_update(listed)
    return first, second, {str(number) for number in constant}


def is_taken_as_whole_only_if_it_is(changes: Sequence[Change], gists: int) -> bool:
    first, second, constant = readings(changes, gists)
    lacks = constant - {shown.id for shown in chain.from_iterable(read.gists for read in first)}
    return not lacks or not shows_all(first, second)


def all_changes(of: int) -> Iterator[Sequence[Change]]:
    places: Sequence[int | None] = (None, *range(PER_PAGE * PAGES))
    return combinations_with_replacement([*product(range(MOMENTS), places)], of)


@pytest.mark.parametrize("changes", [0, 1, 2])
@pytest.mark.parametrize("gists", [PER_PAGE * PAGES, PER_PAGE * PAGES - 1])
def test_no_gist_is_lacking_after_a_few_changes(changes: int, gists: int) -> None:
    assert all(is_taken_as_whole_only_if_it_is(some, gists) for some in all_changes(changes))


CHANGES = st.lists(st.tuples(st.integers(0, MOMENTS - 1), st.none() | st.integers(0, PER_PAGE * PAGES - 1)), max_size=3)


@settings(max_examples=2000)
@given(CHANGES)
def test_no_gist_is_lacking_after_three_changes(changes: Sequence[Change]) -> None:
    assert is_taken_as_whole_only_if_it_is(changes, PER_PAGE * PAGES)


@given(st.lists(st.tuples(st.integers(0, MOMENTS - 1), st.none()), max_size=PER_PAGE))
def test_new_gists_at_the_head_are_no_reason_to_read_again(changes: Sequence[Change]) -> None:
    first, second, _ = readings(changes, PER_PAGE * PAGES)
    assert shows_all(first, second)


def test_new_gists_that_push_out_all_others_are_no_reason_to_read_again() -> None:
    assert shows_all([page(4, 3), page(2, 1)], [page(8, 7), page(6, 5)])
    assert shows_all([page(4, 3), page(2, 1)], [page(7, 6), page(5, 4)])


def test_deletions_on_the_last_page_are_no_reason_to_read_again() -> None:
    assert shows_all([page(6, 5), page(4, 3), page(2, 1)], [page(6, 5), page(4, 3), page(1)])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([page(6, 5), page(3, 2)], [page(6, 5), page(4, 3)]),  # one slipped from the second page to the first
        ([page(6, 5), page(4, 3)], [page(5, 4), page(3)]),  # one was deleted: another may have slipped
        ([page(6, 5), page(3, 2)], [page(6, 4), page(3, 2)]),  # one was made public late
        ([page(6, 6), page(6, 6)], [page(6, 6), page(5, 6)]),
        ([page(), page()], [page(6), page()]),  # nothing tells that it is newer
        ([page(6, 5), page(4, 3)], [page(2, 1), page()]),  # all that stood before them is gone
        ([page(6, owner=7), page(5, owner=8)], [page(6, owner=None), page(5, owner=None)]),
        ([page(6, 5), page(4, 3)], [page(7, 6, owner=8), page(5, 4)]),
    ],
)
def test_what_may_have_hidden_a_gist_is_a_reason_to_read_again(
    first: Sequence[GistPage], second: Sequence[GistPage]
) -> None:
    assert not shows_all(first, second)


def test_a_gist_as_old_as_the_newest_is_new_at_the_head_alone() -> None:
    def written_at_once(*ids: str) -> GistPage:
        return GistPage([Gist(gist_id, 1.0) for gist_id in ids], 7, None, None)

    first = [written_at_once("d", "c"), written_at_once("a")]
    assert shows_all(first, [written_at_once("e", "d"), written_at_once("c", "a")])
    assert not shows_all(first, [written_at_once("d", "c"), written_at_once("b", "a")])
