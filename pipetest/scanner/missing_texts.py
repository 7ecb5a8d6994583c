"""Gists that were recorded without their text, where deals are made of it: by 1.0.0, or as skipped ones. Their deals
wait for one pass to the end of their user's list."""

from collections.abc import Callable, Collection, Iterable

from pipetest.domain.interfaces import ScanListener, Store
from pipetest.domain.model import key
from pipetest.scanner.user_scan import UserScan


class MissingTexts:
    """``needs_text`` tells whether deals are made of what gists say. While they are not, nothing is done about it."""

    _users: Collection[str]  # since the scan began

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
        self._users = await self._store.users_without_text() if self._needs_text() else ()

    def concern(self, user: UserScan) -> bool:
        """Whether this user's list is to be read to the end for them."""
        return key(user.recorded_as) in self._users

    async def give_up(self, queried: Iterable[UserScan]) -> None:
        """At the end of a scan of those who are ``queried``: gists of all others have no text, nor have those of a list
        that GitHub does not show."""
        scanned = {key(user.recorded_as): user for user in queried}
        for name in self._users:
            if (name not in scanned or scanned[name].is_not_shown) and (
                entries := await self._store.add_texts(name, {})
            ):
                self._listener.texts_known(entries)
