"""Who is scanned, and how it stands with each of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice

from pipetest.domain.status import QueriedUser, UserCounts
from pipetest.scanner.user_lists import NamedUser
from pipetest.scanner.user_scan import UserScan

MOST_USERS = 500
"""The status names this many: there may be ten thousand, and it is taken for each request."""


class QueriedUsers:
    """The scan of each user, in the order in which they are named; ``new_scan`` makes one of a name. Gists and deals
    are for others to count."""

    def __init__(self, named: Iterable[NamedUser], new_scan: Callable[[str], UserScan]) -> None:
        self._new_scan = new_scan
        self._scans: list[UserScan] = []
        self.replace(named)

    def __len__(self) -> int:
        return len(self._scans)

    def __iter__(self) -> Iterator[UserScan]:
        return iter(self._scans)

    def replace(self, named: Iterable[NamedUser]) -> None:
        """Scan these from now on. What is known of those who were scanned before is kept."""
        known = {scan.name: scan for scan in self._scans}
        self._scans = []
        for user in named:
            scan = known.get(user.name) or self._new_scan(user.name)
            scan.listed(user.account_id)
            self._scans.append(scan)

    # --- how it stands ------------------------------------------------------------------------------------------------

    @property
    def names(self) -> Sequence[str]:
        return [user.name for user in self._scans]

    def counts(self) -> UserCounts:
        failing = sum(user.error is not None for user in self._scans)
        unread = sum(user.error is None and user.succeeded_at is None for user in self._scans)
        unknown = sum(user.unknown for user in self._scans)
        return UserCounts(total=len(self._scans), failing=failing, unread=unread, unknown=unknown)

    def errors(self) -> Mapping[str, str]:
        """Why the last pass failed, by user."""
        return {user.name: user.error for user in self._scans if user.error is not None}

    def leaving_out(self) -> Sequence[str]:
        """The users of whose lists something cannot be read and is left out."""
        return [user.name for user in self._scans if user.leaves_out]

    def all(self) -> Sequence[QueriedUser]:
        return [user.status() for user in self._scans]

    def most(self) -> Sequence[QueriedUser]:
        """Those that cannot be read first, then the others, :data:`MOST_USERS` in all."""
        failing = (user for user in self._scans if user.error is not None)
        well = (user for user in self._scans if user.error is None)
        return [user.status() for user in islice(chain(failing, well), MOST_USERS)]
