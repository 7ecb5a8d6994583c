"""The scan: visits all queried users every interval, and records what is new; there it ends."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar
from zlib import crc32

from attrs import define, field, frozen
from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from pipetest.domain.backoff import RETRY_LONGEST_S, backoff
from pipetest.domain.errors import (
    Denied,
    Missing,
    OtherOwner,
    PipetestError,
    RateLimited,
    Stopping,
    Transient,
    Unstored,
)
from pipetest.domain.interfaces import GitHub, Store, Time
from pipetest.domain.model import Entry, PassResult, User, key
from pipetest.scanner.list_reader import ListReader

MAX_CONCURRENT = 8
"""Users read at once: GitHub asks for a queue rather than concurrency (best practices for the REST API), and eight hide
an answer time of half a second well enough for a thousand users a minute."""

TO_END_S = 24 * 3600.0
"""So often a list is read to its end: a gist made public late stands at its old place, far behind the first page."""


def to_end_due_at(user: User) -> float:
    """When the list of ``user`` is next to be read to its end; spread over a fifth of a day, the same for each pass."""
    if user.read_to_end_at is None:
        return float("-inf")
    spread = crc32(f"{key(user.name)} {user.read_to_end_at}".encode()) / 2**32
    return user.read_to_end_at + TO_END_S * (1.0 - spread / 5)


@define
class UserReport:
    """How the last visits to a user went; ``error`` is None while they go well."""

    name: str
    succeeded_at: float | None = None
    visited_at: float = float("-inf")
    error: str | None = None


@define
class ScanProgress:
    """One scan. ``failed`` tells, once it has ended, whether some user could not be read."""

    started_at: float
    total: int
    waiting: set[str]
    ended_at: float | None = None
    failed: bool = False

    @property
    def id(self) -> int:
        """Names it in the log, over restarts too: the second in which it began."""
        return int(self.started_at)

    @property
    def visited(self) -> int:
        return self.total - len(self.waiting)


@frozen
class UserScan:
    user: str
    to_end: bool


@define(eq=False)
class Scanner:
    """Visits ``users`` every ``interval`` seconds; ``recorded`` is told the user and its new entries after each commit,
    ``ended`` each scan when it has ended.

    ``trouble`` says why GitHub as a whole cannot be read just now; ``passes`` counts the ends of all passes by kind;
    ``ended_at`` is when a scan has last ended, or the first began, on the monotonic clock.
    """

    _github: GitHub
    _store: Store
    _time: Time
    _clock: IReactorTime
    _recorded: Callable[[User, Sequence[Entry]], None]
    _ended: Callable[[ScanProgress], None]
    _users: Sequence[str] = field(kw_only=True)
    _interval: float = field(kw_only=True)

    reports: dict[str, UserReport] = field(init=False)
    progress: ScanProgress | None = field(init=False, default=None)
    trouble: str | None = field(init=False, default=None)
    passes: Counter[str] = field(init=False, factory=Counter)
    ended_at: float | None = field(init=False, default=None)
    failed_in_a_row: int = field(init=False, default=0)
    _reader: ListReader = field(init=False)
    _loop: LoopingCall = field(init=False)
    _known: dict[str, User] = field(init=False, factory=dict)
    _halt: Exception | None = field(init=False, default=None)
    _told_wait: float = field(init=False, default=0.0)
    _nap: Deferred[None] | None = field(init=False, default=None)
    _stopped: Deferred[LoopingCall] | None = field(init=False, default=None)

    _log: ClassVar = Logger()

    def __attrs_post_init__(self) -> None:
        self.reports = {key(name): UserReport(name) for name in self._users}
        self._reader = ListReader(self._github, self._store)
        self._loop = LoopingCall(self._tick)
        self._loop.clock = self._clock

    # --- its life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Scan now and at every interval; a scan that takes longer skips the next ones rather than overlap."""
        self.ended_at = self._time.monotonic()
        self._stopped = self._loop.start(self._interval)

    def scan_now(self) -> None:
        """Have a scan at once, and the next an interval later; one under way will do."""
        if self._loop.call is not None:  # it waits for the next
            self._loop.stop()
            self._stopped = self._loop.start(self._interval)

    async def stop(self) -> None:
        """Begin no visit more; returns when those under way have ended."""
        if self._stopped is None:
            return
        self._halt = Stopping()
        self._loop.stop()
        if self._nap is not None:
            self._nap.cancel()
        await self._stopped

    async def _tick(self) -> None:
        try:
            await self._scan()
        except (Stopping, Unstored):
            self._log.debug("the scan ends: the daemon stops")
        except PipetestError as e:  # the database cannot be asked
            self.failed_in_a_row += 1
            self._log.error("the scan failed: {reason}", reason=str(e))
        except Exception:
            self._log.failure("the scan failed; the next one comes in {interval_s:g} s", interval_s=self._interval)

    # --- one scan -----------------------------------------------------------------------------------------------------

    async def _scan(self) -> None:
        next_scan = self._time.monotonic() + self._interval
        self._halt = None
        self._reader.begin_scan()
        self._known = {key(user.name): user for user in await self._store.users()}
        progress = self.progress = ScanProgress(self._time.wall(), len(self.reports), set(self.reports))
        left = await self._round(self._fresh_visits())
        due = self._visits_to_end()
        left += await self._round(due) if self._halt is None else due
        attempts = 1
        while left and await self._pause(attempts, next_scan):
            attempts += 1
            left = await self._round(left)
        progress.failed = bool(left)
        progress.ended_at = self._time.wall()
        self.ended_at = self._time.monotonic()
        self.failed_in_a_row = self.failed_in_a_row + 1 if progress.failed else 0
        self._log.info(
            "scan of {users} users ended after {duration_s:.1f} s, {unread} not read",
            users=progress.total,
            duration_s=progress.ended_at - progress.started_at,
            unread=len(left),
            scan=progress.id,
        )
        self._ended(progress)

    def _fresh_visits(self) -> Sequence[UserScan]:
        """Everybody once, the longest unvisited first; those never read before, to the end."""
        reports = sorted(self.reports.items(), key=lambda pair: pair[1].visited_at)
        return [UserScan(report.name, to_end=self._never_read_to_end(name)) for name, report in reports]

    def _never_read_to_end(self, name: str) -> bool:
        return name not in self._known or self._known[name].read_to_end_at is None

    def _visits_to_end(self) -> Sequence[UserScan]:
        """Those whose daily pass is due, behind the fresh reads, as far as these went well."""
        now_at = self._time.wall()
        known = ((report, self._known.get(name)) for name, report in self.reports.items())
        due = (report.name for report, user in known if user and not report.error and to_end_due_at(user) <= now_at)
        return [UserScan(name, to_end=True) for name in due]

    async def _round(self, visits: Iterable[UserScan]) -> list[UserScan]:
        """Make these visits, several at once; those that have to be made again."""
        if isinstance(self._halt, Stopping | Denied):
            return list(visits)
        self._halt, self._told_wait = None, 0.0
        queue, again = deque(visits), list[UserScan]()

        async def work() -> None:
            while queue and self._halt is None:
                visit = queue.popleft()
                if not await self._visit(visit):
                    again.append(visit)

        await gatherResults([Deferred.fromCoroutine(work()) for _ in range(MAX_CONCURRENT)], consumeErrors=True)
        return [*again, *queue]

    async def _pause(self, attempts: int, next_scan: float) -> bool:
        """Wait before those left are visited again; False when the next scan comes first, or waiting doesn't help."""
        if isinstance(self._halt, Stopping | Denied):
            return False
        wait = max(self._told_wait, backoff(attempts, longest=min(self._interval, RETRY_LONGEST_S)))
        if not isinstance(self._halt, RateLimited) and self._time.monotonic() + wait >= next_scan:
            return False
        self._nap = deferLater(self._clock, wait)
        try:
            await self._nap
        except CancelledError:
            return False
        finally:
            self._nap = None
        return True

    # --- one visit ----------------------------------------------------------------------------------------------------

    async def _visit(self, visit: UserScan) -> bool:
        """Whether the visit is done with: it went well, or making it again now would not help."""
        report = self.reports[key(visit.user)]
        try:
            self.passes[await self._pass(visit)] += 1
        except (Stopping, Unstored):
            self._halt = Stopping()
            return False
        except PipetestError as e:
            return self._failed(report, e)
        except Exception:
            self._log.failure("{user}: the visit failed", user=visit.user)
            self.passes["defect"] += 1
            return False
        self._say_trouble(None)
        self._note(report, None)
        report.succeeded_at = report.visited_at
        return True

    async def _pass(self, visit: UserScan) -> str:
        """Read and record; returns what came of it."""
        known = replace(self._known.get(key(visit.user)) or User(visit.user), name=visit.user)
        reading = await self._reader.read(known, self._time.wall(), to_end=visit.to_end)
        if reading is None or (key(visit.user) in self._known and _says_nothing_new(reading, known)):
            return "unchanged"
        entries = await self._store.add_gists(reading)
        user = replace(
            known,
            owner_id=reading.owner_id or known.owner_id,
            etag=reading.etag,
            read_to_end_at=reading.read_to_end_at or known.read_to_end_at,
        )
        self._known[key(visit.user)] = user
        if entries:
            self._log.info("{user}: {gists} new gists", user=visit.user, gists=len(entries), scan=self._scan_id)
        self._recorded(user, entries)
        return "recorded"

    def _failed(self, report: UserReport, error: PipetestError) -> bool:
        self.passes[type(error).__name__] += 1
        if isinstance(error, Denied | RateLimited):
            self._halt = error  # it concerns everybody
            self._say_trouble(str(error))
        else:
            reason = "GitHub knows no such user" if isinstance(error, Missing) else str(error)
            self._note(report, reason)
        if isinstance(error, Transient):
            self._told_wait = max(self._told_wait, error.wait or 0.0)
        return isinstance(error, Missing | OtherOwner)

    def _note(self, report: UserReport, error: str | None) -> None:
        """Keep how the visit went, and say so once per change."""
        report.visited_at = self._time.wall()
        if self.progress is not None:
            self.progress.waiting.discard(key(report.name))
        if error is not None and error != report.error:
            self._log.warn("{user}: {reason}", user=report.name, reason=error, scan=self._scan_id)
        elif error is None and report.error is not None:
            self._log.info("{user}: read again", user=report.name, scan=self._scan_id)
        report.error = error

    @property
    def _scan_id(self) -> int | None:
        return None if self.progress is None else self.progress.id

    def _say_trouble(self, trouble: str | None) -> None:
        if trouble is not None and trouble != self.trouble:
            self._log.error("GitHub cannot be read: {reason}", reason=trouble)
        elif trouble is None and self.trouble is not None:
            self._log.info("GitHub can be read again")
        self.trouble = trouble


def _says_nothing_new(reading: PassResult, known: User) -> bool:
    same = reading.etag == known.etag and reading.owner_id in (None, known.owner_id)
    return same and not reading.gists and reading.read_to_end_at is None
