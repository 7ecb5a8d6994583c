"""Gists that were recorded without their text, where deals are made of it: by 1.0.0, or as skipped ones. Their deals
wait for one pass to the end of their user's list."""

from collections.abc import Callable, Iterable, Set

from pipetest.domain.interfaces import ScanListener, Store
from pipetest.scanner.standing import Standing


class MissingTexts:
    """``needs_text`` tells whether deals are made of what gists say. While they are not, nothing is done about it.
    ``users`` are the names whose lists are to be read to the end, by :func:`~pipetest.domain.model.key`."""

    users: Set[str]  # since the scan began

    def __init__(self, store: Store, listener: ScanListener, needs_text: Callable[[], bool]) -> None:
        self._store = store
        self._listener = listener
        self._needs_text = needs_text

    @property
    def matter(self) -> bool:
        """Whether a gist that has none waits for it."""
        return self._needs_text()

    async def begin_scan(self) -> None:
        """Learn whose lists are to be read to the end in this scan."""
        self.users = {*await self._store.users_without_text()} if self._needs_text() else set()

    async def give_up(self, queried: Iterable[Standing]) -> None:
        """At the end of a scan of those who are ``queried``: gists of all others have no text, nor have those of a list
        that GitHub does not show."""
        if not self.users:
            return
        scanned = {user.recorded_key: user for user in queried if user.recorded_key in self.users}
        for name in self.users:
            if (name not in scanned or scanned[name].is_not_shown) and (
                entries := await self._store.add_texts(name, {})
            ):
                self._listener.texts_known(entries)
