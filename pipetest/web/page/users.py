"""Which users the page shows: those whose names somebody looks for, sorted, a page at a time. Pure."""

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any

from msgspec import Struct

from pipetest.domain.model import key
from pipetest.domain.status import QueriedUser

PER_PAGE = 50
LONGEST_SEARCH = 100
LONGEST_NUMBER = 6
"""Digits; there are no more pages."""

SORTS: Mapping[str, Callable[[QueriedUser], Any]] = {
    "problems first": lambda user: user.error is None,
    "name": lambda user: key(user.name),
    "most gists": lambda user: -user.gists,
    "most deals": lambda user: -user.deals,
    "read longest ago": lambda user: -inf if user.succeeded_at is None else user.succeeded_at,
}
"""Users that are equal stay in their order."""

FIRST = next(iter(SORTS))


class Choice(Struct, frozen=True):
    """What somebody has asked for; ``made``: somebody has."""

    search: str = ""
    sort: str = FIRST
    page: int = 1

    @property
    def made(self) -> bool:
        return self != EVERYBODY


EVERYBODY = Choice()


class ShownUsers(Struct, frozen=True):
    """``users`` are those of this page, out of ``found``."""

    choice: Choice
    users: Sequence[QueriedUser]
    found: int
    page: int
    pages: int


def choice_of(query: Mapping[bytes, Sequence[bytes]]) -> Choice:
    """From a URL's query; what makes no sense counts as not chosen."""

    def value(name: bytes) -> str:
        return (query.get(name) or [b""])[0].decode(errors="replace")

    sort, page = value(b"sort"), value(b"page")
    number = int(page) if page.isascii() and page.isdigit() and len(page) <= LONGEST_NUMBER else 1
    return Choice(value(b"user").strip()[:LONGEST_SEARCH], sort if sort in SORTS else FIRST, max(1, number))


def shown(users: Sequence[QueriedUser], choice: Choice) -> ShownUsers:
    """A page beyond the last one is the last one."""
    found = [user for user in users if key(choice.search) in key(user.name)] if choice.search else users
    found = sorted(found, key=SORTS[choice.sort])
    pages = max(1, -(-len(found) // PER_PAGE))
    page = min(choice.page, pages)
    return ShownUsers(choice, found[(page - 1) * PER_PAGE : page * PER_PAGE], len(found), page, pages)
