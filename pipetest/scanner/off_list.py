"""Names that people have taken off the list of users, and may put back on it."""

from collections.abc import Collection, Iterable

from pipetest.domain.interfaces import Store
from pipetest.domain.model import key
from pipetest.scanner.backfill import FirstQueried
from pipetest.scanner.recorded_users import stored_of
from pipetest.scanner.standing import Standing

STORED_AS = "users off the list"
"""Users that were read once and are off the list of users. One that is put back on it stays here until GitHub has told
who has the name now."""


class OffList:
    """Who is off the list is stored, so that it is known whose name comes back."""

    def __init__(self, store: Store, first_queried: FirstQueried) -> None:
        self._store = store
        self._first_queried = first_queried

    async def returned(self, users: Iterable[Standing]) -> Collection[str]:
        """Names that were off the list of users for a scan or longer, until GitHub has told who has them now; ``users``
        are all who are on it.

        A name that people have taken off and put back means whoever has it now. That is their way to have an account
        read that has taken over another one's name. It is no matter of an account that is recorded under another name.

        :raises Unavailable: the database cannot be asked.
        """
        off_list: set[str] = await self._store.get_value(STORED_AS, set[str]) or set()
        queried = {key(user.name): user for user in users}
        returned = await self._may_be_anybody([queried[name] for name in off_list & queried.keys()])
        now_off_list = {*returned}
        async for part in self._store.users_in_parts():
            now_off_list.update(name for user in part if (name := key(user.name)) not in queried)
        if now_off_list != off_list:
            await self._first_queried.forget(now_off_list - returned)
            await self._store.put_value(STORED_AS, sorted(now_off_list))
        return returned

    async def _may_be_anybody(self, users: Collection[Standing]) -> set[str]:
        """The names of those of whom it is yet to be told who has the name: not since this process began, and nobody
        who is recorded under another one."""
        untold = [user for user in users if user.identity.told is None]
        stored = await stored_of(self._store, untold)
        return {
            key(user.name) for user in untold if (found := stored[user]) is None or key(found.name) == key(user.name)
        }
