"""The tables of the database file as TinyDB has them: every change that is made to them. All of it blocks."""

from collections import defaultdict
from collections.abc import Collection, Mapping, MutableMapping, Sequence
from functools import partial
from heapq import nlargest
from itertools import islice
from math import inf
from typing import Any

from msgspec import convert, to_builtins
from msgspec.structs import replace
from tinydb.table import Document

from pipetest.domain.model import Done, Entry, Organization, Skipped, State, Text, Wanted, is_open, key
from pipetest.store.tinydb import format as layout
from pipetest.store.tinydb.format import (
    ABOUT,
    FOUND_DEALS,
    GISTS,
    RECONCILED_AT,
    SESSIONS,
    UNRECONCILED,
    USERS,
    VALUES,
    FoundDealRow,
    GistRow,
    SessionRow,
    UserRow,
)
from pipetest.store.tinydb.generations import Generations
from pipetest.store.tinydb.pages import PagedDB


class TinyTables:
    """Nothing is durable before :meth:`flush`."""

    def __init__(self, storage: Generations) -> None:
        self._storage = storage
        self._db = PagedDB(storage=lambda: storage)

    def flush(self) -> None:
        """:raises OSError: it failed, and can be tried again."""
        self._storage.flush()

    def close(self) -> None:
        self._db.close()

    def add_user(self, user_id: int, name: str) -> None:
        self._db.table(USERS).insert(_document(UserRow(name, []), user_id))

    def add_gists(self, user_id: int, name: str, fields: Mapping[str, Any], entries: Sequence[Entry]) -> None:
        """What a pass over a user's list found."""
        gists = [entry.gist.id for entry in entries]

        def update(row: MutableMapping[str, Any]) -> None:
            row.update(fields, username=name, gists=row["gists"] + gists)

        self._db.table(USERS).update(update, doc_ids=[user_id])
        self._db.table(GISTS).insert_multiple(_document(_row(entry), entry.position) for entry in entries)

    def add_texts(self, texts: Mapping[int, Text]) -> None:
        """The texts of gists, by their positions, but for those that have come to be done meanwhile."""
        for position, text in texts.items():
            self._db.table(GISTS).update(partial(_add_text, text), doc_ids=[position])

    def set_deal(self, position: int, state: State) -> None:
        """What is done stays done, and what is skipped stays so unless a deal of it is there. The text of what is done
        is forgotten."""

        def update(row: MutableMapping[str, Any]) -> None:
            if isinstance(state, Done) or _is_open(row):
                row["deal"] = to_builtins(state)
            if not _is_open(row):
                row.pop("text", None)

        self._db.table(GISTS).update(update, doc_ids=[position])

    def set_organization(self, user_id: int, organization: Organization) -> None:
        fields = {"organization": to_builtins(organization.state), RECONCILED_AT: organization.reconciled_at}
        self._db.table(USERS).update(fields, doc_ids=[user_id])

    def set_sessions(self, changes: Mapping[int, SessionRow | None]) -> None:
        """Rows by document id; None for those to be removed."""
        sessions = self._db.table(SESSIONS)
        sessions.remove(doc_ids=[doc_id for doc_id, row in changes.items() if row is None])
        for doc_id, row in changes.items():
            if row is not None:
                sessions.upsert(_document(row, doc_id))

    def put_value(self, name: str, value: Any) -> None:
        self._db.table(ABOUT).update(lambda row: row[VALUES].update({name: value}))

    def lacking_deal(self, deals: Mapping[int, int]) -> Mapping[int, int]:
        """Those of these deals, by their gists' positions, whose gist has none: it may have come to one just before."""
        gists = self._storage.read()[GISTS]
        return {position: deals[position] for position in deals if gists[position]["deal"].get("id") is None}

    def adopt(self, deals: Mapping[int, int], found: Mapping[int, FoundDealRow]) -> Sequence[Entry]:
        """``deals`` by their gists' positions; ``found`` are those of other gists, by document id. Returns the entries
        of what is skipped no more."""
        rows = {position: convert(self._storage.read()[GISTS][position], GistRow) for position in deals}
        adopted = [
            replace(row.entry(position), deal=Done(deals[position]))
            for position, row in rows.items()
            if isinstance(row.deal, Skipped)
        ]
        since: dict[str, float] = {}
        for entry in adopted:
            since[key(entry.user)] = min(entry.gist.created_at, since.get(key(entry.user), inf))
        for position, deal_id in deals.items():
            self.set_deal(position, Done(deal_id))
        self._db.table(FOUND_DEALS).insert_multiple(_document(row, doc_id) for doc_id, row in found.items())
        wanted = [entry for user, since_at in since.items() for entry in self.want_skipped(user, since_at)]
        return [*adopted, *wanted]

    def want_skipped(self, user: str, since_at: float = -inf) -> Sequence[Entry]:
        """This user's gists that are skipped and were written since then are wanted; returns their entries."""
        gists = self._storage.read()[GISTS]
        gists.pack()  # changes of the same commit count
        entries = [
            replace(row.entry(position), deal=Wanted())
            for position, row in gists.rows(GistRow)
            if isinstance(row.deal, Skipped) and row.created_at >= since_at and key(row.user) == key(user)
        ]
        self._db.table(GISTS).update({"deal": to_builtins(Wanted())}, doc_ids=[entry.position for entry in entries])
        return entries

    def remove_found_deals(self, doc_ids: Collection[int]) -> None:
        self._db.table(FOUND_DEALS).remove(doc_ids=doc_ids)

    def done_entries(self, after: int, most: int) -> Sequence[Entry]:
        """The first so many beyond the position ``after``: pages are in the order of positions."""
        done = (
            row.entry(position)
            for position, row in self._storage.read()[GISTS].rows(GistRow, after)
            if isinstance(row.deal, Done)
        )
        return list(islice(done, most))

    def newest_deals(self, users: Collection[str], most: int) -> Mapping[str, Sequence[int]]:
        """The largest ids of each of these users' deals."""
        wanted, deals = {key(user) for user in users}, defaultdict[str, list[int]](list)
        for _, row in self._storage.read()[GISTS].rows(GistRow):
            if isinstance(row.deal, Done) and row.deal.id is not None and key(row.user) in wanted:
                deals[key(row.user)].append(row.deal.id)
        return {user: nlargest(most, ids) for user, ids in deals.items()}

    def mark_reconciled(self, reconciled_at: float | None) -> None:
        """Organizations that are done are reconciled since then, if that is told."""

        def update(row: MutableMapping[str, Any]) -> None:
            if row["organization"]["type"] == "done":
                row[RECONCILED_AT] = reconciled_at

        if reconciled_at is not None:
            self._db.table(USERS).update(update)
        self._db.table(ABOUT).update({UNRECONCILED: False})

    def mark_unreconciled(self) -> None:
        layout.mark_unreconciled(self._storage.read())


def _row(entry: Entry) -> GistRow:
    gist = entry.gist
    return GistRow(gist.id, entry.user, gist.created_at, entry.deal, gist.text if is_open(entry.deal) else None)


def _add_text(text: Text, row: MutableMapping[str, Any]) -> None:
    if _is_open(row):
        row["text"] = to_builtins(text)


def _is_open(row: Mapping[str, Any]) -> bool:
    return row["deal"]["type"] not in ("done", "skipped")


def _document(row: UserRow | GistRow | SessionRow | FoundDealRow, doc_id: int) -> Document:
    return Document(to_builtins(row), doc_id)
