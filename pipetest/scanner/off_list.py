"""Names that people have taken off the list of users, and may put back on it."""

from collections.abc import Collection, Iterable

from pipetest.domain.interfaces import Store
from pipetest.domain.model import key
from pipetest.scanner.backfill import FirstQueried
from pipetest.scanner.recorded_users import RecordedUsers
from pipetest.scanner.user_scan import UserScan

STORED_AS = "users off the list"
"""Users that were read once and are off the list of users. One that is put back on it stays here until GitHub has told
who has the name now."""


class OffList:
    """Who is off the list is stored, so that it is known whose name comes back."""

    def __init__(self, store: Store, recorded: RecordedUsers, first_queried: FirstQueried) -> None:
        self._store = store
        self._recorded = recorded
        self._first_queried = first_queried

    async def returned(self, users: Iterable[UserScan]) -> Collection[str]:
        """Names that were off the list of users for a scan or longer, until GitHub has told who has them now; ``users``
        are all who are on it.

        A name that people have taken off and put back means whoever has it now. That is their way to have an account
        read that has taken over another one's name. It is no matter of an account that is recorded under another name.
        """
        off_list: set[str] = await self._store.get_value(STORED_AS, set[str]) or set()
        queried = {key(user.name): user for user in users}
        returned = {name for name in off_list & queried.keys() if queried[name].may_be_anybody}
        now_off_list = {name for name in self._recorded.keys if name not in queried} | returned
        if now_off_list != off_list:
            await self._first_queried.forget(now_off_list - returned)
            await self._store.put_value(STORED_AS, sorted(now_off_list))
        return returned
