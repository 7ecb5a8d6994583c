"""What is read all the time, in memory: the feed, the users, the sessions, and the entries whose deal is not done.

New gists have their positions as soon as they are to be added, and are shown once that is durable.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from pipetest.domain.errors import UNREADABLE
from pipetest.domain.model import (
    Change,
    DealChange,
    Done,
    Entry,
    Organization,
    OrganizationChange,
    PassResult,
    Skipped,
    User,
    Wanted,
    key,
)
from pipetest.store.tinydb.feed import Feed
from pipetest.store.tinydb.format import (
    ABOUT,
    ABOUT_ID,
    FOUND_DEALS,
    GISTS,
    SESSIONS,
    USERS,
    AboutRow,
    FoundDealRow,
    GistRow,
    SessionRow,
    Unusable,
    UserRow,
)
from pipetest.store.tinydb.found_deals import FoundDeals
from pipetest.store.tinydb.generations import Tables
from pipetest.store.tinydb.open_entries import OpenEntries
from pipetest.store.tinydb.sessions import Sessions


class Memory:
    """The state as of the last durable change. A method named like a change of the store is called once that change is
    durable."""

    def __init__(self, tables: Tables) -> None:
        about = dict(tables[ABOUT].rows(AboutRow))[ABOUT_ID]
        self.roots, self.unreconciled, self.values = about.roots, about.unreconciled, about.values
        self.feed = Feed()
        self.users: dict[str, User] = {}
        self.gist_counts: Counter[str] = Counter()
        self.open_entries = OpenEntries()
        found = list(tables[FOUND_DEALS].rows(FoundDealRow))
        self.found_deals = FoundDeals(found)
        self.newest_deal = max((row.deal_id for _, row in found), default=0)
        self._without_deal_id: set[int] = set()  # some may have come to one since: the table knows
        self._skipped: dict[int, str] = {}  # by position, whose they are
        self.sessions = Sessions(tables[SESSIONS].rows(SessionRow))
        self._user_ids: dict[str, int] = {}
        self._last_user_id = 0
        for doc_id, user in tables[USERS].rows(UserRow):
            self._load_user(doc_id, user)
        for position, gist in tables[GISTS].rows(GistRow):
            self._load_gist(position, gist)

    @classmethod
    def of(cls, tables: Tables) -> "Memory":
        """What these tables hold.

        :raises Unusable: a row is damaged or missing.
        """
        try:
            return cls(tables)
        except UNREADABLE as e:
            raise Unusable(f"is damaged ({e})") from e

    # --- before a change is durable -----------------------------------------------------------------------------------

    def user_id(self, name: str) -> int | None:
        """A user's document id, also while the user is still on its way to the disk."""
        return self._user_ids.get(key(name))

    def new_user_id(self, name: str) -> int:
        self._last_user_id += 1
        self._user_ids[key(name)] = self._last_user_id
        return self._last_user_id

    def new_entries(self, result: PassResult) -> tuple[Sequence[Entry], Collection[int]]:
        """The new ones among its gists, each with the position that it will have; and the document ids of the found
        deals that they adopt."""
        new = [(position, gist) for gist in result.gists if (position := self.feed.add(gist.id)) is not None]
        found = {gist.id: row for _, gist in new if (row := self.found_deals.take(gist.id)) is not None}
        since_at = min([result.wanted_since, *(gist.created_at for _, gist in new if gist.id in found)])
        entries = []
        for position, gist in new:
            undone = Wanted() if gist.created_at >= since_at else Skipped()
            entries.append(Entry(position, gist, result.user, Done(found[gist.id][1]) if gist.id in found else undone))
        return entries, [doc_id for doc_id, _ in found.values()]

    def skipped_counts(self) -> Mapping[str, int]:
        return Counter(self._skipped.values())

    def split(self, deals: Mapping[str, int]) -> tuple[Mapping[int, int], Mapping[str, int]]:
        """Two parts of these deals: of gists in the feed that have none yet, by position; and of gists that the feed
        lacks."""
        claimed, others = {}, {}
        for gist_id, deal_id in deals.items():
            if (position := self.feed.place(gist_id)) is None:
                others[gist_id] = deal_id
            elif position > self.feed.length or self._lacks_deal(position):
                claimed[position] = deal_id
        return claimed, others

    def _lacks_deal(self, position: int) -> bool:
        return position in self.open_entries or position in self._without_deal_id or position in self._skipped

    def is_deal_known(self, gist_id: str) -> bool:
        """Whether the gist is done, or a deal of it is kept."""
        position = self.feed.place(gist_id)
        if position is None:
            return gist_id in self.found_deals
        return position <= self.feed.length and position not in self.open_entries and position not in self._skipped

    # --- once it is durable -------------------------------------------------------------------------------------------

    def add_gists(self, user: str, fields: dict[str, Any], entries: Sequence[Entry]) -> Sequence[Entry]:
        self.users[key(user)] = replace(self.users.get(key(user), User(user)), name=user, **fields)
        self.gist_counts[key(user)] += len(entries)
        for entry in entries:
            self._set_entry(entry)
            self.feed.show(entry.position)
        return entries

    def save(self, changes: Sequence[Change]) -> None:
        for change in changes:
            match change:
                case DealChange(gist_id, Done(deal_id)):
                    self._deal_done(self.feed.position(gist_id), deal_id)
                case DealChange(gist_id, state):
                    self.open_entries.set_state(self.feed.position(gist_id), state)
                case OrganizationChange(user, organization):
                    self.users[key(user)] = replace(self.users[key(user)], organization=organization)

    def put_value(self, name: str, value: Any) -> None:
        self.values[name] = value

    def adopt(
        self, deals: Mapping[int, int], found: Iterable[FoundDealRow], skipped_no_more: Sequence[Entry]
    ) -> Sequence[Entry]:
        self.skip_no_more(skipped_no_more)
        for position, deal_id in deals.items():
            self._deal_done(position, deal_id)
        self.newest_deal = max([self.newest_deal, *(row.deal_id for row in found)])
        return skipped_no_more

    def skip_no_more(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        for entry in entries:
            del self._skipped[entry.position]
            self._set_entry(entry)
        return entries

    def mark_reconciled(self, reconciled_at: float | None) -> None:
        self.unreconciled = False
        for name, user in self.users.items():
            if reconciled_at is not None and isinstance(user.organization.state, Done):
                self.users[name] = replace(user, organization=replace(user.organization, reconciled_at=reconciled_at))

    def give_to(self, roots: Mapping[str, str]) -> None:
        """Other services are what this belongs to."""
        self.roots = dict(roots)
        self.mark_unreconciled()

    def mark_unreconciled(self) -> None:
        """Pipedrive may hold what is not known here, in any organization."""
        self.unreconciled = True
        for name, user in self.users.items():
            self.users[name] = replace(user, organization=replace(user.organization, reconciled_at=None))

    def _set_entry(self, entry: Entry) -> None:
        match entry.deal:
            case Done(deal_id):
                self._deal_done(entry.position, deal_id)
            case Skipped():
                self._skipped[entry.position] = key(entry.user)
            case _:
                self.open_entries.put(entry)

    def _deal_done(self, position: int, deal_id: int | None) -> None:
        self.open_entries.discard(position)
        self._skipped.pop(position, None)
        if deal_id is None:
            self._without_deal_id.add(position)
        else:
            self.newest_deal = max(self.newest_deal, deal_id)

    # --- reading the tables -------------------------------------------------------------------------------------------

    def _load_user(self, doc_id: int, row: UserRow) -> None:
        if self.user_id(row.username) is not None:
            raise Unusable(f"is damaged (user {row.username} is in it twice)")
        self._user_ids[key(row.username)] = self._last_user_id = doc_id
        organization = Organization(row.organization, row.reconciled_at)
        self.users[key(row.username)] = User(row.username, row.owner_id, row.etag, row.read_to_end_at, organization)

    def _load_gist(self, position: int, row: GistRow) -> None:
        if self.feed.add(row.gist) != position:
            raise Unusable(f"is damaged (gist {row.gist} is not where it should be)")
        if self.user_id(row.user) is None:
            raise Unusable(f"is damaged (user {row.user} of gist {row.gist} is missing)")
        self.feed.show(position)
        self.gist_counts[key(row.user)] += 1
        self._set_entry(row.entry(position))


def user_fields(result: PassResult) -> dict[str, Any]:
    """What a pass found out about its user, as fields to change. A None leaves a field as it was, but for the ETag."""
    fields: dict[str, Any] = {"etag": result.etag}
    if result.owner_id is not None:
        fields["owner_id"] = result.owner_id
    if result.read_to_end_at is not None:
        fields["read_to_end_at"] = result.read_to_end_at
    return fields
