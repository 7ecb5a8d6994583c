"""Which gist a deal is of, and which organization is a user's, by what Pipedrive shows of them. Pure.

A deal is of one gist at most: of the one whose id is the whole of one of its custom fields, the template's stamp before
others; else of the one whose id is the last word of 20 or more hex digits in its title. A shorter id may be anything,
an order's number or a year: it counts only in its user's organization, and in a title only as the whole of it or its
last word. What is written in the stamp's field counts anywhere. The settings in force decide nothing else about it.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter

from msgspec import Struct

from pipetest.domain.model import LONG_ID, Found

LONGEST_ID = 255
"""Characters: as long as a title can be, and ten times as long as any id is."""


class Matches(Struct, frozen=True):
    """What was found for each wanted gist: one deal is adopted, the others are only reported."""

    adopted: Mapping[str, int]
    surplus: Mapping[str, Sequence[int]]


def ids_in(deal: Found) -> Sequence[str]:
    """The ids of gists that a deal in its user's organization may be of, the likeliest first, in the form that
    compares."""
    stamp = [deal.stamp] if deal.stamp else []
    if is_long_id(deal.stamp):
        return stamp
    in_fields, in_title = [field for field in deal.fields if is_long_id(field)], ids_in_title(deal)
    if in_fields:
        return [*stamp, in_fields[0]]
    if in_title and is_long_id(in_title[0]):
        return [*stamp, *in_title]
    return [*stamp, *deal.fields, *in_title]


def ids_in_title(deal: Found) -> Sequence[str]:
    """The same, by the title alone."""
    long_ids = LONG_ID.findall(deal.name)
    if long_ids:
        return [long_ids[-1].lower()]
    title = deal.name.strip().lower()
    return [title, title.split()[-1]] if title else []


def is_long_id(gist_id: str) -> bool:
    """Whether this gist's id is recognised wherever it stands, in whichever organization."""
    return LONG_ID.fullmatch(gist_id) is not None


def gist_of(deal: Found) -> str | None:
    """The id of the gist that a deal is of, in whichever organization it may be; None where that shows, if at all, only
    beside its user's gists."""
    ids = ids_in(deal)
    tells = ids and (ids[0] == deal.stamp or is_long_id(ids[0])) and len(ids[0]) <= LONGEST_ID
    return ids[0] if tells else None


def holds_more_than_half(organizations: Sequence[int | None]) -> int | None:
    """Where each of some deals is: the organization in which more than half of them are."""
    organization, deals = max(Counter(organizations).items(), key=itemgetter(1), default=(None, 0))
    return organization if deals > len(organizations) / 2 else None


def preference(deal: Found) -> tuple[bool, int]:
    """Of several deals of one gist the smallest is adopted: a living one before a deleted one, then by id."""
    return deal.deleted, deal.id


def match(gist_ids: Collection[str], found: Sequence[Found]) -> Matches:
    """Choose for each of ``gist_ids`` the deal to adopt among those ``found`` in its user's organization, by
    :func:`preference`."""
    wanted = {gist_id.strip().lower(): gist_id for gist_id in gist_ids}
    deals: dict[str, list[Found]] = {}
    for deal in found:
        gist_id = next((wanted[word] for word in ids_in(deal) if word in wanted), None)
        if gist_id is not None:
            deals.setdefault(gist_id, []).append(deal)
    ordered = {gist_id: [deal.id for deal in sorted(several, key=preference)] for gist_id, several in deals.items()}
    return Matches(
        adopted={gist_id: ids[0] for gist_id, ids in ordered.items()},
        surplus={gist_id: ids[1:] for gist_id, ids in ordered.items() if len(ids) > 1},
    )


def holds_most(deals: Mapping[int, Sequence[Found]], gist_ids: Collection[str]) -> int:
    """Of organizations of one name, by id with their ``deals``, the one that holds most of its user's, else the one
    with the smallest id. A deal that is a gist's in any organization counts though that gist may not be known yet."""
    wanted = {gist_id.strip().lower() for gist_id in gist_ids}

    def is_users(deal: Found) -> bool:
        return gist_of(deal) is not None or any(word in wanted for word in ids_in(deal))

    return min(deals, key=lambda organization: (-sum(map(is_users, deals[organization])), organization))
