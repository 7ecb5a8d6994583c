"""Which gist a deal is of, and which organization is a user's, by what Pipedrive shows of them. Pure."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter

from msgspec import Struct

from pipetest.domain.model import Found

_LONG_ID = re.compile(r"\b[0-9a-f]{20,}\b", re.IGNORECASE)
"""A word that cannot be anything but a gist's id, wherever it stands."""


LONGEST_ID = 255
"""Characters: as long as a title can be, and ten times as long as any id is."""


class Matches(Struct, frozen=True):
    """What was found for each wanted gist: one deal is adopted, the others are only reported."""

    adopted: Mapping[str, int]
    surplus: Mapping[str, Sequence[int]]


def ids_in(title: str) -> Sequence[str]:
    """The ids of gists that a deal with this title may be of, the likeliest first, in the form that compares.

    The last word of 20 or more hex digits is a gist's id, and then the deal is no other gist's. A shorter id counts
    only as the whole title or as its last word, and only where its user's deals are looked at.
    """
    long_ids = _LONG_ID.findall(title)
    if long_ids:
        return [long_ids[-1].lower()]
    whole = title.strip().lower()
    return [whole, whole.split()[-1]] if whole else []


def is_long_id(gist_id: str) -> bool:
    """Whether this gist's id is recognised wherever it stands, in whichever organization."""
    return _LONG_ID.fullmatch(gist_id) is not None


def long_id_in(title: str) -> str | None:
    """The id of the gist that a deal with this title is of, in whichever organization it may be; None where that
    cannot be told from the title alone."""
    ids = ids_in(title)
    return ids[0] if ids and is_long_id(ids[0]) and len(ids[0]) <= LONGEST_ID else None


def holds_more_than_half(organizations: Sequence[int | None]) -> int | None:
    """Where each of some deals is: the organization in which more than half of them are."""
    organization, deals = max(Counter(organizations).items(), key=itemgetter(1), default=(None, 0))
    return organization if deals > len(organizations) / 2 else None


def preference(deal: Found) -> tuple[bool, int]:
    """Of several deals of one gist the smallest is adopted: a living one before a deleted one, then by id."""
    return deal.deleted, deal.id


def match(gist_ids: Collection[str], found: Sequence[Found]) -> Matches:
    """Choose for each of ``gist_ids`` the deal to adopt among those ``found``, by :func:`preference`."""
    wanted = {gist_id.strip().lower(): gist_id for gist_id in gist_ids}
    deals: dict[str, list[Found]] = {}
    for deal in found:
        gist_id = next((wanted[word] for word in ids_in(deal.name) if word in wanted), None)
        if gist_id is not None:
            deals.setdefault(gist_id, []).append(deal)
    ordered = {gist_id: [deal.id for deal in sorted(several, key=preference)] for gist_id, several in deals.items()}
    return Matches(
        adopted={gist_id: ids[0] for gist_id, ids in ordered.items()},
        surplus={gist_id: ids[1:] for gist_id, ids in ordered.items() if len(ids) > 1},
    )


def holds_most(deals: Mapping[int, Sequence[Found]], gist_ids: Collection[str]) -> int:
    """Of organizations of one name, by id with their ``deals``, the one that holds most of its user's, else the one
    with the smallest id. A deal with a long id in its title counts though its gist may not be known yet."""
    wanted = {gist_id.strip().lower() for gist_id in gist_ids}

    def is_users(deal: Found) -> bool:
        return bool(_LONG_ID.search(deal.name)) or any(word in wanted for word in ids_in(deal.name))

    return min(deals, key=lambda organization: (-sum(map(is_users, deals[organization])), organization))
