"""Whom the store holds, by name and by the number of the account."""

from collections.abc import Collection, Iterable, Mapping

from pipetest.domain.interfaces import Store
from pipetest.domain.model import User, key
from pipetest.scanner.standing import Standing

ACCOUNT = "#"
"""No name begins with it."""


def queried_as(user: Standing) -> str:
    """The text by which a user is remembered that may not be recorded yet. It stands for the account whose number the
    list of users tells, whatever its name is; without a number, for whoever has the name."""
    account_id = user.identity.listed
    return key(user.name) if account_id is None else f"{ACCOUNT}{account_id}"


class RecordedUsers:
    """Some users, as they are stored. Pure."""

    def __init__(self, users: Iterable[User]) -> None:
        self._by_name: dict[str, User] = {}
        self._by_account: dict[int, User] = {}
        for user in users:
            self._by_name[key(user.name)] = user
            if user.owner_id is not None:
                self._by_account.setdefault(user.owner_id, user)

    def includes(self, remembered: str) -> bool:
        """Whether the user is recorded who is remembered by this text (:func:`queried_as`)."""
        if remembered.startswith(ACCOUNT):
            return _number(remembered) in self._by_account
        return remembered in self._by_name

    def find(self, name: str, account_id: int | None) -> User | None:
        """The stored user for a name. Where the number of the account is known, that is the account of this number,
        under whichever name it was recorded; else whoever has the name."""
        named = self._by_name.get(key(name))
        if account_id is None or (named is not None and named.owner_id in (None, account_id)):
            return named
        return self._by_account.get(account_id, named)


async def stored_of(store: Store, users: Collection[Standing]) -> Mapping[Standing, User | None]:
    """What the store holds of each of these users, as far as its account is known by now.

    :raises Unavailable: the database cannot be asked.
    """
    numbers = {number for user in users if (number := user.identity.account_id) is not None}
    recorded = RecordedUsers(await store.known_users([user.name for user in users], numbers))
    return {user: recorded.find(user.name, user.identity.account_id) for user in users}


async def recorded_among(store: Store, remembered: Collection[str]) -> Collection[str]:
    """Which of the users are recorded who are remembered by these texts (:func:`queried_as`).

    :raises Unavailable: the database cannot be asked.
    """
    numbers = {_number(text) for text in remembered if text.startswith(ACCOUNT)}
    names = [text for text in remembered if not text.startswith(ACCOUNT)]
    recorded = RecordedUsers(await store.known_users(names, numbers))
    return {text for text in remembered if recorded.includes(text)}


def _number(remembered: str) -> int:
    return int(remembered.removeprefix(ACCOUNT))
