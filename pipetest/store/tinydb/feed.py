"""The feed, in memory: each gist has its position before it is shown there."""

from collections.abc import Collection, Sequence
from math import inf


class Feed:
    """Gist ids by position and back. The two share their strings: 18 MB for a hundred thousand gists."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._positions: dict[str, int] = {}
        self.length = 0
        """How many are shown."""

    def add(self, gist_id: str) -> int | None:
        """Give the gist the next position; None when it has one."""
        if gist_id in self._positions:
            return None
        self._ids.append(gist_id)
        self._positions[gist_id] = len(self._ids)
        return len(self._ids)

    def show(self, position: int) -> None:
        """From now on the feed is shown up to this position."""
        self.length = position

    def place(self, gist_id: str) -> int | None:
        """The position it has, also while it is still on its way to the disk."""
        return self._positions.get(gist_id)

    def position(self, gist_id: str) -> int:
        """:raises KeyError: the feed doesn't show it."""
        position = self._positions[gist_id]
        if position > self.length:
            raise KeyError(gist_id)
        return position

    def known(self, gist_ids: Collection[str]) -> Collection[str]:
        """Those of them that are shown."""
        return {gist_id for gist_id in gist_ids if self._positions.get(gist_id, inf) <= self.length}

    def slice(self, start: int, stop: int) -> Sequence[str]:
        return self._ids[start : min(stop, self.length)]
