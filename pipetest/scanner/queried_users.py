"""Who is scanned, and how it stands with each of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice

from pipetest.domain.status import QueriedUser, UserCounts
from pipetest.scanner.standing import Standing
from pipetest.scanner.user_lists import NamedUser

MOST_USERS = 500
"""The status names this many: there may be ten thousand, and it is taken for each request."""


class QueriedUsers:
    """The standing of each user, in the order in which they are named. Gists and deals are for others to count."""

    def __init__(self, named: Iterable[NamedUser]) -> None:
        self._users: list[Standing] = []
        self.replace(named)

    def __len__(self) -> int:
        return len(self._users)

    def __iter__(self) -> Iterator[Standing]:
        return iter(self._users)

    def replace(self, named: Iterable[NamedUser]) -> Sequence[Standing]:
        """Scan these from now on; returns those who were not scanned before. What is known of the others is kept."""
        known = {user.name: user for user in self._users}
        self._users, new = [], list[Standing]()
        for one in named:
            if (user := known.get(one.name)) is None:
                user = Standing(one.name)
                new.append(user)
            user.listed(one.account_id)
            self._users.append(user)
        return new

    # --- how it stands ------------------------------------------------------------------------------------------------

    def longest_ago_first(self) -> Sequence[Standing]:
        """Everybody; first comes the user whose last pass is longest ago."""
        return sorted(self._users, key=lambda user: user.last_pass.ended_at)

    @property
    def names(self) -> Sequence[str]:
        return [user.name for user in self._users]

    def counts(self) -> UserCounts:
        failing = sum(user.error is not None for user in self._users)
        unread = sum(user.error is None and user.succeeded_at is None for user in self._users)
        unknown = sum(user.last_pass.unknown for user in self._users)
        return UserCounts(total=len(self._users), failing=failing, unread=unread, unknown=unknown)

    def errors(self) -> Mapping[str, str]:
        """Why the last pass failed, by user."""
        return {user.name: user.error for user in self._users if user.error is not None}

    def leaving_out(self) -> Sequence[str]:
        """The users of whose lists something cannot be read and is left out."""
        return [user.name for user in self._users if user.last_pass.leaves_out]

    def all(self) -> Sequence[QueriedUser]:
        return [user.status() for user in self._users]

    def most(self) -> Sequence[QueriedUser]:
        """Those that cannot be read first, then the others, :data:`MOST_USERS` in all."""
        failing = (user for user in self._users if user.error is not None)
        well = (user for user in self._users if user.error is None)
        return [user.status() for user in islice(chain(failing, well), MOST_USERS)]
