"""The one judge of a soak and of all contestants of a duel: GitHub's gists against Pipedrive's records, as the sandbox
shows them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct


class Verdict(Struct, frozen=True):
    """``gists`` should have become one deal each, and their users one organization each. ``doubles``: records made a
    second time, a third … ``missing``: gists without a deal. ``refused``: requests answered with 429."""

    gists: int = 0
    doubles: int = 0
    missing: int = 0
    refused: int = 0

    def __add__(self, other: "Verdict") -> "Verdict":
        return Verdict(
            self.gists + other.gists,
            self.doubles + other.doubles,
            self.missing + other.missing,
            self.refused + other.refused,
        )


def judge(state: Mapping[str, Any], users: Sequence[str]) -> Verdict:
    """``state`` is what ``/state`` of the sandbox's control port says; ``users`` are those whose gists are wanted."""
    gists = {gist for user in users for gist in state["gists"].get(user, ())}
    deals = Counter(deal["title"] for deal in state["deals"])
    organizations = Counter(organization["name"] for organization in state["organizations"])
    return Verdict(
        gists=len(gists),
        doubles=_beyond_one(deals, gists) + _beyond_one(organizations, users),
        missing=sum(gist not in deals for gist in gists),
        refused=sum(statuses.get("429", 0) for statuses in state["statuses"].values()),
    )


def _beyond_one(made: Mapping[str, int], wanted: set[str] | Sequence[str]) -> int:
    return sum(max(0, made.get(name, 0) - 1) for name in wanted)
