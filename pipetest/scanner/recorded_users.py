"""Whom the store holds, by name and by the number of the account. Pure."""

from collections.abc import Collection, Iterable

from pipetest.domain.model import User, key

ACCOUNT = "#"
"""No name begins with it."""


def queried_as(name: str, account_id: int | None) -> str:
    """The text by which a user is remembered that may not be recorded yet. It stands for the account of this number,
    whatever its name is; without a number, for whoever has the name."""
    return key(name) if account_id is None else f"{ACCOUNT}{account_id}"


class RecordedUsers:
    """The users as they were stored when the scan that is under way began. Between scans nobody is known: there may be
    a million."""

    def __init__(self, users: Iterable[User] = ()) -> None:
        self.learn(users)

    def learn(self, users: Iterable[User]) -> None:
        self._by_name: dict[str, User] = {}
        self._by_account: dict[int, User] = {}
        for user in users:
            self._by_name[key(user.name)] = user
            if user.owner_id is not None:
                self._by_account.setdefault(user.owner_id, user)

    def forget(self) -> None:
        self.learn(())

    @property
    def keys(self) -> Collection[str]:
        """Their names, as they compare."""
        return self._by_name.keys()

    def includes(self, remembered: str) -> bool:
        """Whether the user is recorded who is remembered by this text (:func:`queried_as`)."""
        if remembered.startswith(ACCOUNT):
            return int(remembered.removeprefix(ACCOUNT)) in self._by_account
        return remembered in self._by_name

    def find(self, name: str, account_id: int | None) -> User | None:
        """The stored user for a name. Where the number of the account is known, that is the account of this number,
        under whichever name it was recorded; else whoever has the name."""
        named = self._by_name.get(key(name))
        if account_id is None or (named is not None and named.owner_id in (None, account_id)):
            return named
        return self._by_account.get(account_id, named)
