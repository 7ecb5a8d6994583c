"""What lately became of gists, for people to see: the newest ones, and how many there were on each day."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from msgspec import Struct, ValidationError, convert
from msgspec.structs import replace
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from pipetest.domain.errors import Unstored
from pipetest.domain.interfaces import Store
from pipetest.domain.model import Entry, Gist, key
from pipetest.runtime.periodic import Periodic

LATEST = 20
DAYS = 30
NOTE = "history"
SAVE_EVERY_S = 60.0


class Latest(Struct, frozen=True):
    """A gist recorded lately; ``deal`` is None until it has one."""

    gist: Gist
    user: str
    deal: int | None = None


class Day(Struct, frozen=True):
    """So many gists were recorded, and so many deals made or found, on one day by UTC."""

    gists: int = 0
    deals: int = 0


class SavedHistory(Struct, frozen=True):
    """What outlives a restart."""

    latest: dict[str, Latest] = {}
    days: dict[str, Day] = {}


class History:
    """``latest`` by gist id, the oldest first; ``days`` by date as in 2026-11-24, the oldest first;
    ``counts`` are all gists by user, see :func:`~pipetest.domain.model.key`.

    Latest and days are saved every minute: what a crash forgets of them is missing in a chart, nowhere else.
    """

    _log = Logger()

    def __init__(self, store: Store, wall: Callable[[], float], clock: IReactorTime) -> None:
        self._store = store
        self._wall = wall
        self._saved: SavedHistory | None = None
        self._saving = Periodic("saving the history", self._save, SAVE_EVERY_S, clock)
        self.latest: dict[str, Latest] = {}
        self.days: dict[str, Day] = {}
        self.counts: Counter[str] = Counter()

    async def start(self) -> None:
        """Go on from what an earlier process has saved."""
        saved = SavedHistory()
        try:
            saved = convert(await self._store.get_value(NOTE) or {}, SavedHistory)
        except ValidationError:
            self._log.warn("the history kept in the database is unreadable; it starts anew")
        self.latest, self.days = dict(saved.latest), dict(saved.days)
        self.counts = Counter(await self._store.gist_counts())
        self._saved = saved
        self._saving.start(now=False)

    async def stop(self) -> None:
        """Save for the last time; what was never restored stays as it is stored."""
        await self._saving.stop()
        if self._saved is not None:
            await self._save()

    async def _save(self) -> None:
        history = SavedHistory(dict(self.latest), dict(self.days))
        if history == self._saved:
            return
        try:
            await self._store.put_value(NOTE, history)
        except (Unstored, CancelledError):
            self._log.debug("the history stays as it was stored")
        else:
            self._saved = history

    def recorded(self, entries: Sequence[Entry]) -> None:
        for entry in entries[-LATEST:]:
            self.latest[entry.gist.id] = Latest(entry.gist, entry.user)
        _shorten(self.latest, LATEST)
        self.counts.update(key(entry.user) for entry in entries)
        self._count(gists=len(entries))

    def done(self, gist_id: str, deal_id: int) -> None:
        if gist_id in self.latest:
            self.latest[gist_id] = replace(self.latest[gist_id], deal=deal_id)
        self._count(deals=1)

    def _count(self, *, gists: int = 0, deals: int = 0) -> None:
        today = f"{datetime.fromtimestamp(self._wall(), UTC):%Y-%m-%d}"
        before = self.days.get(today, Day())
        self.days[today] = Day(before.gists + gists, before.deals + deals)
        _shorten(self.days, DAYS)


def _shorten(rows: dict[str, Latest] | dict[str, Day], length: int) -> None:
    for name in list(rows)[:-length]:
        del rows[name]
