"""The words of the project as frozen values. See docs/architecture.md, "Words".

Times are float seconds. A name that ends in ``_at`` is a moment since the epoch. Moments on the process's monotonic
clock are named by what happens then (``due``, ``ready``, ``not_before``), and never end so.

Values that are held by the ten thousand have ``gc=False``: they are never part of a cycle, so the garbage collector
need not walk them.
"""

import re
from collections.abc import Mapping, Sequence
from math import inf
from typing import Annotated, Literal

from msgspec import Meta, Struct

LARGEST_INTEGER = 2**63 - 1
"""What every database can hold."""

RecordId = Annotated[int, Meta(ge=1, le=LARGEST_INTEGER)]
"""The id of an account or a record, checked where it is read."""


class Secret:
    """A key, token or URL that nobody may see: only :meth:`reveal` shows it, so no log, error or traceback does."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def reveal(self) -> str:
        return self._value

    def renew(self, other: "Secret") -> None:
        """Take the value of ``other``: whoever was given this secret uses it from now on."""
        self._value = other.reveal()


# --- GitHub -----------------------------------------------------------------------------------------------------------


POINTS_A_MINUTE = 900
"""What GitHub allows; each request is one, whatever it is answered (GitHub docs: rate limits for the REST API)."""


class Text(Struct, frozen=True, gc=False):
    """What a gist says of itself, 500 characters in all: its description, one line, and the names of its files, as many
    as fit."""

    description: str = ""
    files: tuple[str, ...] = ()

    @property
    def heading(self) -> str:
        """The description, else the first file's name."""
        return self.description or next(iter(self.files), "")


class Gist(Struct, frozen=True, gc=False):
    """One public gist, known by its ``id``. ``text`` is None where it is not known: 1.0.0 recorded the gist, or it was
    forgotten, as no deal waits for it any more."""

    id: str
    created_at: float
    text: Text | None = None


class GistPage(Struct, frozen=True):
    """One page of a user's list, newest first; ``next_url`` is where the next page is. ``unreadable`` of its items were
    left out; a page with any has no ETag, so that it is read again."""

    gists: Sequence[Gist]
    owner_id: int | None
    etag: str | None
    next_url: str | None
    unreadable: int = 0


class UserList(Struct, frozen=True):
    """A list of accounts that GitHub keeps, by its setting: ``following:NAME`` are all whom an account follows,
    ``org:NAME`` an organization's public members."""

    kind: Literal["following", "org"]
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


MOST_NAMES = 10_000
"""Of a longer list only this many are read."""

QueriedEntry = str | UserList
"""Whom to read: one user by name, or everybody on a list."""


class Account(Struct, frozen=True, gc=False):
    """A GitHub account on a list. The number outlives the name."""

    id: int
    name: str


class AccountPage(Struct, frozen=True):
    """One page of a list of accounts; ``next_url`` is where the next page is. ``unreadable`` of its items were left
    out; a page with any has no ETag, so that it is read again."""

    accounts: Sequence[Account]
    etag: str | None
    next_url: str | None
    unreadable: int = 0


class GistSummary(Struct, frozen=True, gc=False):
    """What GitHub tells in a line of an account's public gists: how many there are, and the id of the newest one.
    ``node_id`` is the account's id in its GraphQL API."""

    account_id: int
    name: str
    node_id: str
    total: int
    newest: str | None


class PassResult(Struct, frozen=True):
    """What a pass over one user's list found: it is recorded in one commit, or not at all.

    ``gists`` are the new ones, oldest first. ``read_to_end_at`` is None where the pass stopped at a recorded gist.
    ``unreadable`` is how many items of the list could not be read, and were left out. Gists that were written before
    ``wanted_since`` are skipped, unless a deal found in Pipedrive shows that they were wanted before. After a pass to
    the end of the list, ``texts`` are those of all gists on it, by their ids.
    """

    user: str
    owner_id: int | None
    etag: str | None
    gists: Sequence[Gist]
    read_to_end_at: float | None = None
    unreadable: int = 0
    wanted_since: float = -inf
    texts: Mapping[str, Text] = {}


# --- the outbox -------------------------------------------------------------------------------------------------------


class Wanted(Struct, frozen=True, gc=False, tag="wanted"):
    """Nothing is on its way: it may be created."""


class Sent(Struct, frozen=True, gc=False, tag="sent"):
    """A create request may be on its way, or may have been carried out unseen."""


class Done(Struct, frozen=True, gc=False, tag="done"):
    """It is in Pipedrive. The id is None, unknown, for gists taken over from the older service's database."""

    id: int | None


class Quarantined(Struct, frozen=True, gc=False, tag="quarantined"):
    """Pipedrive refused it for good; it is tried again once a day. ``sent``: an earlier request may have been carried
    out unseen. ``status`` and ``code`` are those of the refusal; 0 where an older version stored it."""

    reason: str
    since_at: float
    sent: bool = False
    status: int = 0
    code: str = ""


class Skipped(Struct, frozen=True, gc=False, tag="skipped"):
    """A gist that is older than the backfill: it gets no deal, unless people ask for it."""


State = Wanted | Sent | Done | Quarantined | Skipped


def is_open(state: State) -> bool:
    """Whether a deal is still to come: it is neither done nor skipped."""
    return not isinstance(state, Done | Skipped)


class Organization(Struct, frozen=True, gc=False):
    """A user's organization. ``reconciled_at``: when its deals were last compared with the outbox. It has held no deal
    unknown here since then, except of older gists that were recorded later."""

    state: State = Wanted()
    reconciled_at: float | None = None


class User(Struct, frozen=True, gc=False):
    """A GitHub account that was scanned at least once; ``name`` is shown as configured, see :func:`key`."""

    name: str
    owner_id: int | None = None
    etag: str | None = None
    read_to_end_at: float | None = None
    organization: Organization = Organization()


class Entry(Struct, frozen=True, gc=False):
    """A gist's place in the feed, and how far its deal has come. Positions count from 1 and never change."""

    position: int
    gist: Gist
    user: str
    deal: State = Wanted()


class DealChange(Struct, frozen=True):
    """One gist's deal has come to this state."""

    gist_id: str
    state: State


class OrganizationChange(Struct, frozen=True):
    """One user's organization has come to this."""

    user: str
    organization: Organization


Change = DealChange | OrganizationChange


def key(name: str) -> str:
    """An account's name in the form that compares: GitHub ignores case. The same object where that is the name itself:
    there may be a million of them."""
    lower = name.lower()
    return name if lower == name else lower


# --- Pipedrive --------------------------------------------------------------------------------------------------------


LONG_ID = re.compile(r"\b[0-9a-f]{20,}\b", re.IGNORECASE)
"""A word that cannot be anything but a gist's id, wherever it stands."""

PAGE_ROWS = 500
PAGE_TOKENS = 10
ARCHIVED_PAGE_TOKENS = 20
"""How many rows a page of a list has at most, and what it costs; one of archived deals costs more (apis: prices)."""


class Found(Struct, frozen=True):
    """A record seen in Pipedrive: an organization's name or a deal's title, with its id. ``made_at`` is when it was
    created, by Pipedrive's clock; 0 where that is not told. ``deleted``: people deleted the deal, and it can still be
    read. ``organization_id`` is the one that a deal is in. ``stamp`` is what the template's field for the gist's id
    holds, and ``fields`` are the texts of the other custom fields: without outer blanks, in lower case, and only what
    looks like a gist's id."""

    id: int
    name: str
    made_at: float = 0.0
    deleted: bool = False
    organization_id: int | None = None
    stamp: str = ""
    fields: tuple[str, ...] = ()


class Created(Struct, frozen=True):
    """Pipedrive answered 2xx with an id."""

    id: int


class NotNow(Struct, frozen=True):
    """Refused for the moment (429, quota): nothing was created. ``wait`` is in seconds, where it was told."""

    reason: str
    wait: float | None = None


class RefusedForGood(Struct, frozen=True):
    """This record is refused (400, 404, 422); nothing was created. After 400 and 404 the fault may be its
    organization's. ``status`` and ``code`` tell what the refusals of several records have in common."""

    reason: str
    organization_in_doubt: bool
    status: int = 0
    code: str = ""


class NotAllowed(Struct, frozen=True):
    """Records of this kind may not be created, here or at all (403). ``capped``: the account has as many open deals as
    it may; this one may be on Pipedrive's waiting list."""

    reason: str
    capped: bool = False


class AccountRefuses(Struct, frozen=True):
    """The account refuses every create (401, 402, or the firewall). ``lasting``: a block, which is probed more and more
    rarely."""

    reason: str
    lasting: bool = False


class Unknown(Struct, frozen=True):
    """Timeout, reset, 5xx, unreadable 2xx, anything not named here: the record may exist, now or soon, or not."""

    reason: str


Outcome = Created | NotNow | RefusedForGood | NotAllowed | AccountRefuses | Unknown

# --- visitors ---------------------------------------------------------------------------------------------------------


class Visit(Struct, frozen=True):
    """A visitor comes with a session, which was shown the feed up to the position ``shown``; None where there is no
    such session. ``feed_length`` is the feed's just now."""

    shown: int | None
    feed_length: int


# --- HTTP -------------------------------------------------------------------------------------------------------------


class Request(Struct, frozen=True):
    """One request to an API; ``body`` is JSON or None. Header names are lower case."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None


class Reply(Struct, frozen=True):
    """A whole reply. Header names are lower case. Lines of ``link`` are joined; of other headers the last counts."""

    status: int
    headers: Mapping[str, str]
    body: bytes
