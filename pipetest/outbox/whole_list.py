"""What the list of all deals of a company tells, and whether it is worth its price. Pure."""

from collections.abc import Iterable, Mapping
from math import ceil, inf

from pipetest.domain.model import ARCHIVED_PAGE_TOKENS, PAGE_ROWS, PAGE_TOKENS, Found
from pipetest.outbox.recognition import gist_of, preference

UNTOLD_DAY_TOKENS = 30_000.0
"""What the smallest account has a day."""

MOST_REPORTED = 100
"""Gists of which several deals are named; of more, only how many there are."""


def reads_whole_list(newest_deal: int, organizations: int, tokens_a_day: float) -> bool:
    """Whether an unreconciled store learns from the list of all deals what Pipedrive holds; else from a list of each of
    its ``organizations``, before the first create in it. ``tokens_a_day`` are infinite while nobody tells them."""
    by_organization = organizations * (PAGE_TOKENS + ARCHIVED_PAGE_TOKENS)
    return _whole_list_tokens(newest_deal) <= max(_told(tokens_a_day) / 10, by_organization)


def audits_by_itself(newest_deal: int, tokens_a_day: float) -> bool:
    """Whether the list of all deals costs little enough to be read without being asked for."""
    return _whole_list_tokens(newest_deal) <= _told(tokens_a_day) / 100


def _whole_list_tokens(newest_deal: int) -> int:
    return PAGE_TOKENS * (ceil(newest_deal / PAGE_ROWS) + 2) + ARCHIVED_PAGE_TOKENS


def _told(tokens_a_day: float) -> float:
    return UNTOLD_DAY_TOKENS if tokens_a_day == inf else tokens_a_day


class Recognised:
    """The deals of gists that are recognised in whichever organization, among all that were ever added; a deal may be
    added several times. ``newest`` is the largest id of any deal, ``made_at`` the latest moment at which one was made.
    """

    def __init__(self) -> None:
        self.newest = 0
        self.made_at = 0.0
        self._chosen: dict[str, tuple[bool, int]] = {}  # of each gist, by preference
        self._surplus: dict[str, set[int]] = {}

    def add(self, deals: Iterable[Found]) -> None:
        for deal in deals:
            self.newest = max(self.newest, deal.id)
            self.made_at = max(self.made_at, deal.made_at)
            if (gist_id := gist_of(deal)) is not None:
                self._add(gist_id, preference(deal))

    def _add(self, gist_id: str, deal: tuple[bool, int]) -> None:
        chosen = self._chosen.setdefault(gist_id, deal)
        if chosen[1] != deal[1]:
            self._surplus.setdefault(gist_id, set()).update((chosen[1], deal[1]))
        self._chosen[gist_id] = min(chosen, deal)

    def __len__(self) -> int:
        return len(self._chosen)

    def adopted(self) -> Mapping[str, int]:
        """Of each gist the deal to adopt."""
        return {gist_id: deal_id for gist_id, (_, deal_id) in self._chosen.items()}

    def surplus(self) -> Mapping[str, list[int]]:
        """The other deals of gists that have several."""
        return {gist_id: sorted(ids - {self._chosen[gist_id][1]}) for gist_id, ids in self._surplus.items()}
