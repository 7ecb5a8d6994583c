"""What happened lately, for people to see: the newest gists, how many gists and deals there were on each day, and how
many deals in the last hour."""

from collections import Counter
from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from pipetest.domain import status
from pipetest.domain.errors import Unstored
from pipetest.domain.interfaces import Store
from pipetest.domain.model import Entry, Gist, Skipped, key
from pipetest.domain.text import utc
from pipetest.runtime.periodic import Periodic

LATEST = 20
DAYS = 30
DAY_S = 24 * 3600.0
HOUR_MINUTES = 60
STORED_AS = "history"
SAVE_EVERY_S = 60.0


class LatestGist(Struct, frozen=True):
    """A gist recorded lately; ``deal`` is None until it has one, which one that is ``skipped`` does not get."""

    gist: Gist
    user: str
    deal: int | None = None
    skipped: bool = False


class DayCounts(Struct, frozen=True):
    """How many gists were recorded, and how many deals created or found, on one day by UTC. Of all gists, so many were
    ``written`` on it; None: that was not counted yet, so those that were recorded stand for them."""

    gists: int = 0
    deals: int = 0
    written: int | None = None

    @property
    def known_written(self) -> int:
        return self.gists if self.written is None else self.written

    def plus(self, *, gists: int = 0, deals: int = 0, written: int = 0) -> "DayCounts":
        return DayCounts(self.gists + gists, self.deals + deals, self.known_written + written)


class SavedHistory(Struct, frozen=True):
    """What outlives a restart: gists by their id, the one written last at the end; days by date as in 2026-11-24, the
    oldest first; how many deals there were in the minutes of the last hour, by their numbers since the epoch."""

    latest: dict[str, LatestGist] = {}
    days: dict[str, DayCounts] = {}
    minutes: dict[str, int] = {}


class History:
    """Is told of every new gist and every new deal. It is saved every minute: what a crash forgets is missing in a
    chart, nowhere else."""

    _log = Logger()

    def __init__(self, store: Store, wall: Callable[[], float], clock: IReactorTime) -> None:
        self._store = store
        self._wall = wall
        self._saved: SavedHistory | None = None
        self._saving = Periodic("saving the history", self._save, SAVE_EVERY_S, clock)
        self._latest: dict[str, LatestGist] = {}
        self._days: dict[str, DayCounts] = {}
        self._minutes: dict[str, int] = {}
        self._gists: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()

    # --- its life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Go on from what an earlier process has saved."""
        saved = await self._store.get_value(STORED_AS, SavedHistory) or SavedHistory()
        self._latest, self._days, self._minutes = dict(saved.latest), dict(saved.days), dict(saved.minutes)
        self._gists = Counter(await self._store.gist_counts())
        self._skipped = Counter(await self._store.skipped_counts())
        self._saved = saved
        self._saving.start(now=False)

    async def stop(self) -> None:
        """Save for the last time; a history that was never loaded stays as it is stored."""
        await self._saving.stop()
        if self._saved is not None:
            await self._save()

    async def _save(self) -> None:
        history = SavedHistory(dict(self._latest), dict(self._days), dict(self._minutes))
        if history == self._saved:
            return
        try:
            await self._store.put_value(STORED_AS, history)
        except (Unstored, CancelledError):
            self._log.debug("the history stays as it was stored")
        else:
            self._saved = history

    # --- what happens -------------------------------------------------------------------------------------------------

    def gists_recorded(self, entries: Sequence[Entry]) -> None:
        for entry in sorted(entries, key=_written_at)[-LATEST:]:
            skipped = isinstance(entry.deal, Skipped)
            self._latest[entry.gist.id] = LatestGist(entry.gist, entry.user, skipped=skipped)
        self._latest = dict(sorted(self._latest.items(), key=lambda item: item[1].gist.created_at)[-LATEST:])
        self._gists.update(key(entry.user) for entry in entries)
        self._skipped.update(key(entry.user) for entry in entries if isinstance(entry.deal, Skipped))
        now_at = self._wall()
        self._count(now_at, gists=len(entries))
        lately = (at for at in map(_written_at, entries) if at > now_at - DAYS * DAY_S)
        days = Counter(min(at, now_at) // DAY_S for at in lately)  # GitHub's clock may be ahead of ours
        for day, written in days.items():
            self._count(day * DAY_S, written=written)

    def skipped_no_more(self, entries: Sequence[Entry]) -> None:
        self._skipped.subtract(key(entry.user) for entry in entries)
        for entry in entries:
            if (latest := self._latest.get(entry.gist.id)) is not None:
                self._latest[entry.gist.id] = replace(latest, skipped=False)

    def deal_done(self, gist_id: str, deal_id: int) -> None:
        if gist_id in self._latest:
            self._latest[gist_id] = replace(self._latest[gist_id], deal=deal_id)
        now_at = self._wall()
        self._count(now_at, deals=1)
        minute = f"{now_at // 60:.0f}"
        self._minutes[minute] = self._minutes.get(minute, 0) + 1
        while len(self._minutes) > HOUR_MINUTES:
            del self._minutes[next(iter(self._minutes))]

    def _count(self, at: float, *, gists: int = 0, deals: int = 0, written: int = 0) -> None:
        """On the day of that moment."""
        day = f"{utc(at):%Y-%m-%d}"
        is_new = day not in self._days
        self._days[day] = self._days.get(day, DayCounts()).plus(gists=gists, deals=deals, written=written)
        if is_new:
            self._days = dict(sorted(self._days.items())[-DAYS:])

    # --- what is shown ------------------------------------------------------------------------------------------------

    def latest(self) -> Sequence[LatestGist]:
        """The newest first."""
        return list(reversed(self._latest.values()))

    def days(self) -> Sequence[status.Day]:
        """The oldest first."""
        return [
            status.Day(day=day, gists=counts.gists, deals=counts.deals, written=counts.known_written)
            for day, counts in self._days.items()
        ]

    def deals_last_hour(self) -> int:
        now = self._wall() // 60
        return sum(number for minute, number in self._minutes.items() if now - HOUR_MINUTES < int(minute) <= now)

    def gists_of(self, user: str) -> int:
        """How many gists of this user are recorded."""
        return self._gists[key(user)]

    def skipped_of(self, user: str) -> int:
        """How many gists of this user are skipped."""
        return self._skipped[key(user)]

    def skipped(self) -> int:
        """How many gists are skipped in all."""
        return self._skipped.total()

    def gists(self) -> int:
        """How many gists are recorded in all."""
        return self._gists.total()


def _written_at(entry: Entry) -> float:
    return entry.gist.created_at
