"""What the database file holds: TinyDB's layout, ``{table: {document id: row}}``, in this layout since version 1.
Format 2 has one table more, ``found_deals``, which a version that does not know it would drop. In format 3 a gist may
be skipped. In format 4 a gist has its text until it is done or skipped.

``pipetest`` has one row, about the database itself. A document id in ``gists`` is the gist's position in the feed.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from pipetest.domain.errors import UNREADABLE, PipetestError
from pipetest.domain.model import Done, Entry, Gist, State, Text, Wanted, key
from pipetest.store.tinydb.generations import Tables
from pipetest.store.tinydb.pages import Pages

FORMAT = 4

ABOUT = "pipetest"
USERS = "users"
GISTS = "gists"
SESSIONS = "sessions"
FOUND_DEALS = "found_deals"

ABOUT_ID = 1

# The file has other names for what the code calls:
UNRECONCILED = "unmarked"
RECONCILED_AT = "listed_at"
VALUES = "notes"


class AboutRow(Struct, rename={"unreconciled": UNRECONCILED, "values": VALUES}):
    """``roots``: the services that all of this belongs to. ``unreconciled``, ``values``: see
    :class:`pipetest.domain.interfaces.Store`."""

    format: int
    roots: dict[str, str]
    unreconciled: bool
    values: dict[str, Any]


class UserRow(Struct, rename={"reconciled_at": RECONCILED_AT}):
    """``gists``: ids, oldest first."""

    username: str
    gists: list[str]
    owner_id: int | None = None
    etag: str | None = None
    read_to_end_at: float | None = None
    organization: State = Wanted()
    reconciled_at: float | None = None


class GistRow(Struct, omit_defaults=True):
    gist: str
    user: str
    created_at: float
    deal: State
    text: Text | None = None

    def entry(self, position: int) -> Entry:
        return Entry(position, Gist(self.gist, self.created_at, self.text), self.user, self.deal)


class SessionRow(Struct, omit_defaults=True):
    """``shown``: the position up to which it was shown the feed. ``returned``: it came more than once, first at
    ``begun_at``, where that is known; version 1.0.0 did not write it, and reads on without it."""

    session_id: str
    shown: int
    visited_at: float
    returned: bool
    begun_at: float | None = None


class FoundDealRow(Struct):
    """A deal that was found in Pipedrive, of a gist that the feed lacks so far."""

    gist: str
    deal_id: int


class Unusable(PipetestError):
    """The bytes are no database of ours. The text goes after the file's name."""


class Newer(PipetestError):
    """A later version of ours wrote it, of format ``version``."""

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version


class _Version(Struct):
    format: int


class _OlderUser(Struct):
    username: str
    gists: list[str]


def new(roots: Mapping[str, str]) -> Tables:
    """An empty database."""
    about = AboutRow(FORMAT, dict(roots), unreconciled=True, values={})
    return {ABOUT: _table([about])} | {name: _table([]) for name in (USERS, GISTS, SESSIONS, FOUND_DEALS)}


def read(data: bytes) -> Tables:
    """A database of this format, or of an earlier one, brought to this one. Its rows are not looked at yet: whoever
    decodes them finds the damaged ones.

    :raises Unusable: it is none.
    :raises Newer: it is of a later format.
    """
    try:
        tables = msgspec.json.decode(data, type=dict[str, dict[int, Raw]])
        version = msgspec.json.decode(tables[ABOUT][ABOUT_ID], type=_Version)
    except KeyError as e:
        raise Unusable("is no database of pipetest") from e
    except UNREADABLE as e:
        raise Unusable(f"is damaged ({e})") from e
    if version.format > FORMAT:
        raise Newer(version.format)
    read = {name: Pages(tables.get(name, {})) for name in (ABOUT, USERS, GISTS, SESSIONS, FOUND_DEALS)}
    if version.format < FORMAT:
        read[ABOUT][ABOUT_ID]["format"] = FORMAT
        read[ABOUT].pack()
    return read


def read_older_service(data: bytes, roots: Mapping[str, str]) -> Tables | None:
    """The older service's database as one of ours, None when it isn't one.

    Its gists count as done and keep their place, user by user in the order of the file; its sessions are dropped.
    """
    try:
        tables = msgspec.json.decode(data, type=dict[str, dict[int, Raw]])
        if not tables.keys() <= {USERS, SESSIONS, "_default"}:
            return None
        rows = [msgspec.json.decode(row, type=_OlderUser) for row in tables.get(USERS, {}).values()]
    except UNREADABLE:
        return None
    users: dict[str, UserRow] = {}
    gists: dict[str, GistRow] = {}
    for row in rows:
        user = users.setdefault(key(row.username), UserRow(row.username, []))
        unseen = [gist for gist in dict.fromkeys(row.gists) if gist not in gists]
        user.gists += unseen
        gists |= {gist: GistRow(gist, user.username, 0.0, Done(None)) for gist in unseen}
    return new(roots) | {USERS: _table(users.values()), GISTS: _table(gists.values())}


def mark_unreconciled(tables: Tables) -> None:
    """Pipedrive may hold what these tables don't know, in any organization."""
    tables[ABOUT][ABOUT_ID][UNRECONCILED] = True
    for user in tables[USERS].values():
        user[RECONCILED_AT] = None


def give_to(tables: Tables, roots: Mapping[str, str]) -> None:
    """Other services are what these tables belong to from now on; nothing is known of what those hold."""
    tables[ABOUT][ABOUT_ID]["roots"] = dict(roots)
    mark_unreconciled(tables)


def _table(rows: Iterable[Struct]) -> Pages:
    """A table of these rows, with document ids from 1."""
    return Pages({doc_id: Raw(msgspec.json.encode(row)) for doc_id, row in enumerate(rows, 1)})
