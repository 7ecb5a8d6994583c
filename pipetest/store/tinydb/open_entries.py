"""The entries whose deal is yet to come, in memory; and which of them have no text."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace

from pipetest.domain.model import Entry, State, Text, key


class OpenEntries:
    """Entries by position, in whichever order they came."""

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}
        self._without_text: Counter[str] = Counter()  # how many of each user

    def __contains__(self, position: int) -> bool:
        return position in self._entries

    def all(self) -> list[Entry]:
        return [self._entries[position] for position in sorted(self._entries)]

    def put(self, entry: Entry) -> None:
        self._count(entry.position, -1)
        self._entries[entry.position] = entry
        self._count(entry.position, 1)

    def set_state(self, position: int, state: State) -> None:
        """Nothing happens where there is no such entry any more."""
        if (entry := self._entries.get(position)) is not None:
            self._entries[position] = replace(entry, deal=state)

    def discard(self, position: int) -> None:
        self._count(position, -1)
        self._entries.pop(position, None)

    def users_without_text(self) -> Collection[str]:
        """Those who have entries without a text."""
        return [user for user, entries in self._without_text.items() if entries]

    def without_text(self, user: str) -> Sequence[Entry]:
        """This user's entries that have none."""
        if not self._without_text[key(user)]:
            return ()
        return [entry for entry in self.all() if entry.gist.text is None and key(entry.user) == key(user)]

    def add_texts(self, texts: Mapping[int, Text]) -> Sequence[Entry]:
        """By position, of those that are still here; returns their entries."""
        entries = [
            replace(entry, gist=replace(entry.gist, text=text))
            for position, text in texts.items()
            if (entry := self._entries.get(position)) is not None
        ]
        for entry in entries:
            self.put(entry)
        return entries

    def _count(self, position: int, by: int) -> None:
        entry = self._entries.get(position)
        if entry is not None and entry.gist.text is None:
            self._without_text[key(entry.user)] += by
