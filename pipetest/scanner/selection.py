"""Who is to be read in this scan: everybody; or of very many, those whose gists seem to have changed.

GitHub's GraphQL tells in a line how the gists of an account stand, for a hundred accounts at a time. That is a hint and
no more: who seems to have changed, and of whom there is no hint, is read as ever; and everybody is by the daily pass to
the end of each list, which finds what hints do not show.

Nothing of it is stored. Whether an account's newest gist is recorded is asked of the feed, so that a restart need not
read everybody; what else is remembered, the number of gists, only shows what the daily pass finds as well.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

from twisted.logger import Logger

from pipetest.domain.errors import ServiceError, Transient
from pipetest.domain.interfaces import GistSummaries, Store
from pipetest.domain.model import GistSummary, key
from pipetest.scanner.page_sizes import may_be_too_much
from pipetest.scanner.user_scan import UserScan

MOST_IN_QUERY = 100
"""GitHub refuses more node ids."""

MOST_FAILURES = 10
"""In a row: more than it takes to halve a query down to one account. Then there are no hints for the rest of a scan."""

Ask = Callable[[Sequence[str]], Awaitable[Sequence[GistSummary]]]


def takes_longer(users: int, reads_a_minute: float, interval: float) -> bool:
    """Whether to read so many users takes longer than ``interval`` seconds."""
    return users > reads_a_minute * interval / 60


def seems_unchanged(told: GistSummary, name: str, total_before: int | None, recorded: Collection[str]) -> bool:
    """Whether what GitHub tells of the account that has this name shows nothing new: its newest gist is among those
    ``recorded``, and it has as many as before, where that is known."""
    newest_known = told.newest is None or told.newest in recorded
    return key(told.name) == key(name) and newest_known and total_before in (None, told.total)


class Selection:
    """``reads_a_minute``: how many users can be read one by one; ``interval`` is in seconds. Without ``summaries``
    everybody is read."""

    _log = Logger()

    _asks: GistSummaries | None  # this and the next: since the scan began
    _failures: int

    def __init__(self, summaries: GistSummaries | None, store: Store, reads_a_minute: float, interval: float) -> None:
        self._summaries = summaries
        self._store = store
        self._reads_a_minute = reads_a_minute
        self._interval = interval

    def begin_scan(self, users: int) -> None:
        """A scan of so many users begins."""
        needed = takes_longer(users, self._reads_a_minute, self._interval)
        self._asks, self._failures = self._summaries if needed else None, 0

    @property
    def selects(self) -> bool:
        """Whether there are hints in this scan."""
        return self._asks is not None

    async def unchanged(self, scans: Iterable[UserScan]) -> Collection[UserScan]:
        """Those of these users' scans in which nothing need be read now."""
        if not self.selects:
            return ()
        accounts = {scan.account_id: scan for scan in scans if scan.account_id is not None}
        told = await self._told(list(accounts.values()))
        newest = [summary.newest for summary in told if summary.newest is not None]
        recorded = set(await self._store.known_gists(newest))
        unchanged = set[UserScan]()
        for summary in told:
            if (scan := accounts.get(summary.account_id)) is not None:
                scan.told(summary)
                if seems_unchanged(summary, scan.name, scan.user.total, recorded):
                    unchanged.add(scan)
        return unchanged

    async def _told(self, scans: Sequence[UserScan]) -> Sequence[GistSummary]:
        known = [node_id for scan in scans if (node_id := scan.user.node_id) is not None]
        unknown = [scan.name for scan in scans if scan.user.node_id is None]
        by_node = await self._in_parts(lambda asks: asks.by_node, known)
        return [*by_node, *await self._in_parts(lambda asks: asks.by_name, unknown)]

    async def _in_parts(self, ask: Callable[[GistSummaries], Ask], names: Sequence[str]) -> Sequence[GistSummary]:
        told: list[GistSummary] = []
        for start in range(0, len(names), MOST_IN_QUERY):
            told += await self._halved(ask, names[start : start + MOST_IN_QUERY])
        return told

    async def _halved(self, ask: Callable[[GistSummaries], Ask], names: Sequence[str]) -> Sequence[GistSummary]:
        """What is too much at once is asked in halves."""
        if self._asks is None:
            return []
        try:
            told = await ask(self._asks)(names)
        except ServiceError as e:
            self._failed(e)
            half = len(names) // 2
            return [*await self._halved(ask, names[:half]), *await self._halved(ask, names[half:])] if half else []
        self._failures = 0
        return told

    def _failed(self, error: ServiceError) -> None:
        """What concerns every query ends the hints, for this scan."""
        self._failures += 1
        concerns_one = isinstance(error, Transient) and may_be_too_much(error)
        if not concerns_one or self._failures == MOST_FAILURES:
            self._asks = None
            self._log.debug("everybody is read: {reason}", reason=str(error))
