"""When the list of all deals is worth its price: ten tokens for 500 of them, forty for looking at all."""

from math import inf

import pytest

from pipetest.domain.model import Found
from pipetest.outbox.whole_list import Recognised, audits_by_itself, reads_whole_list


@pytest.mark.parametrize(
    ("newest_deal", "organizations", "tokens_a_day"),
    [(0, 0, 400.0), (500, 0, 500.0), (1_500, 1, 700.0), (148_000, 1, inf), (1_000, 2, 0.0)],
)
def test_it_is_read_where_it_costs_no_more_than_a_tenth_of_the_day_or_than_a_list_of_each_organization(
    newest_deal: int, organizations: int, tokens_a_day: float
) -> None:
    assert reads_whole_list(newest_deal, organizations, tokens_a_day)
    assert not reads_whole_list(newest_deal + 1, organizations, tokens_a_day)


@pytest.mark.parametrize(("newest_deal", "tokens_a_day"), [(500, 5_000.0), (13_000, inf)])
def test_an_audit_reads_it_unasked_where_it_costs_no_more_than_a_hundredth_of_the_day(
    newest_deal: int, tokens_a_day: float
) -> None:
    assert audits_by_itself(newest_deal, tokens_a_day)
    assert not audits_by_itself(newest_deal + 1, tokens_a_day)


def test_it_tells_of_each_gist_which_deal_to_adopt_and_which_others_there_are() -> None:
    one, two = "1" * 32, "2" * 32
    recognised = Recognised()
    assert (recognised.newest, recognised.made_at, len(recognised)) == (0, 0.0, 0)
    recognised.add([Found(7, one, made_at=5.0), Found(4, one, deleted=True), Found(9, "lunch", made_at=9.0)])
    recognised.add([Found(6, one), Found(5, two), Found(7, one), Found(8, one)])
    assert (recognised.newest, recognised.made_at, len(recognised)) == (9, 9.0, 2)
    assert recognised.adopted() == {one: 6, two: 5}
    assert recognised.surplus() == {one: [4, 7, 8]}
