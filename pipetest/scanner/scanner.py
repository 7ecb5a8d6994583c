"""The scan: reads the lists of all queried users every interval, and records what is new; there it ends."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from math import inf

from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger, LogLevel

from pipetest.domain.backoff import RETRY_LONGEST_S, backoff
from pipetest.domain.errors import PipetestError, RateLimited, Stopping, Unstored, unexpected
from pipetest.domain.interfaces import GistSummaries, GitHub, ScanListener, Store, Time
from pipetest.domain.model import key
from pipetest.domain.status import Scan
from pipetest.runtime.periodic import Periodic
from pipetest.scanner.backfill import FirstQueried
from pipetest.scanner.list_reader import ListReader
from pipetest.scanner.missing_texts import MissingTexts
from pipetest.scanner.off_list import OffList
from pipetest.scanner.passes import Pass, PassRunner
from pipetest.scanner.queried_users import QueriedUsers
from pipetest.scanner.recorded_users import RecordedUsers
from pipetest.scanner.selection import AT_ONCE, Selection
from pipetest.scanner.user_lists import UserLists
from pipetest.scanner.user_scan import UserScan


class Scanner:
    """Scans its ``users``, whom ``lists`` names, every ``interval`` seconds. ``reads_a_minute`` is how many may be read
    one by one; where those are too few, ``summaries`` tell who need not be.

    A scan has failed where nobody could be read, or something that concerns everybody cut it short: one user who fails
    is no reason. ``failure`` is why the last one failed. ``last_end`` is when the last one ended, or the scanner was
    started, on the monotonic clock.
    """

    _log = Logger()

    def __init__(
        self,
        github: GitHub,
        store: Store,
        time: Time,
        clock: IReactorTime,
        listener: ScanListener,
        *,
        lists: UserLists,
        interval: float,
        backfill_since: float = -inf,
        needs_text: Callable[[], bool] = lambda: False,
        summaries: GistSummaries | None = None,
        reads_a_minute: float = inf,
    ) -> None:
        self.failed_in_a_row = 0
        self.failure: str | None = None
        self.last_end: float | None = None
        self._store = store
        self._time = time
        self._clock = clock
        self._listener = listener
        self._interval = interval
        self._lists = lists
        self._first_queried = FirstQueried(store, backfill_since)
        self._missing_texts = MissingTexts(store, listener, needs_text)
        self._reader = ListReader(github, store)
        self._recorded = RecordedUsers()
        self._selection = Selection(summaries, store, reads_a_minute, interval)
        self._off_list = OffList(store, self._recorded, self._first_queried)
        self.users = QueriedUsers(
            lists.users, lambda name: UserScan(name, self._recorded, self._reader, store, time, listener)
        )
        self._runner = PassRunner(self.users)
        self._status = Scan()
        self._scan_id = 0
        self._has_scanned = False
        self._retry_wait: Deferred[None] | None = None
        self._loop = Periodic("the scan", self._scan, interval, clock)

    # --- its life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Scan now and at every interval; a scan that takes longer skips the next ones rather than overlap."""
        self.last_end = self._time.monotonic()
        self._loop.start()

    def scan_now(self) -> None:
        """Scan at once, and again an interval later; a scan that is under way will do."""
        self._loop.run_now()

    def skipped_no_more(self) -> None:
        """Gists that were skipped are wanted, without their texts: these are read now, where deals are made of them."""
        if self._missing_texts.matter:
            self.scan_now()

    async def stop(self) -> None:
        """Begin no other pass; returns when those under way have ended."""
        self._runner.stop()
        if self._retry_wait is not None:
            self._retry_wait.cancel()
        await self._loop.stop()

    # --- how it stands ------------------------------------------------------------------------------------------------

    def status(self) -> Scan:
        """The scan under way, or else the last one. Whether scans stand still is for others to judge."""
        tried = min(self._runner.tried, self._status.users)
        return replace(self._status, visited=tried, failed_in_a_row=self.failed_in_a_row)

    @property
    def passes(self) -> Counter[str]:
        """How many passes have ended since the start, by outcome."""
        return self._runner.counts

    @property
    def refusal(self) -> str | None:
        """Why GitHub refuses everybody, the token mostly; a rate limit, which passes by itself, is no reason."""
        return self._runner.refusal

    # --- one scan -----------------------------------------------------------------------------------------------------

    async def _scan(self) -> None:
        try:
            await self._scan_all()
        except (Stopping, Unstored):
            self._log.debug("the scan ends: the daemon stops")
        except PipetestError as e:  # the database cannot be asked
            self._mark_ended()
            self._failed(str(e))
        except Exception as e:
            self._mark_ended()
            self._failed(unexpected(e))
            raise
        finally:
            self._recorded.forget()
            for user in self.users:
                user.end_scan()

    async def _scan_all(self) -> None:
        """Read everybody once, then whose daily pass is due, then again and again who could not be read."""
        started = self._time.monotonic()
        self._runner.resume()
        self._reader.begin_scan()
        await self._read_lists()
        self._recorded.learn(await self._store.users())
        await self._begin(await self._off_list.returned(self.users))
        await self._missing_texts.begin_scan()
        left = await self._make(self._first_passes())
        left += await self._make_daily()
        attempts = 1
        while (left or self._lists.unread) and await self._wait_to_retry(attempts, started + self._interval):
            attempts += 1
            passes = [*left, *await self._newly_listed()]
            left = await self._make(passes)
        if self._runner.halted_by is None and not self._lists.unread:
            await self._missing_texts.give_up(self.users)
        self._end(self._time.monotonic() - started)

    async def _make(self, passes: Sequence[Pass]) -> list[Pass]:
        """Make those of these passes that may find something; returns those to be made again. Very many users go in
        parts: each part is judged, and read, before the next one is."""
        left: list[Pass] = []
        step = AT_ONCE if self._selection.selects else len(passes)
        for start in range(0, len(passes), step or 1):
            part = passes[start : start + step]
            if start and self._runner.halted_by is not None:
                return [*left, *passes[start:]]
            unchanged = await self._selection.unchanged(due.user for due in part if not due.to_end)
            self._runner.skip(unchanged)
            left += await self._runner.run([due for due in part if due.user not in unchanged])
        return left

    async def _make_daily(self) -> list[Pass]:
        """Make the daily passes; returns those to be made again. With very many users, only as many are made as the
        time for one scan allows: the others stay due, and follow after the next scan's first passes."""
        passes = self._daily_passes()
        if not self._selection.selects:
            return await self._runner.run(passes) if self._runner.halted_by is None else list(passes)
        until = self._time.monotonic() + self._interval
        for start in range(0, len(passes), AT_ONCE):
            if self._runner.halted_by is None and self._time.monotonic() < until:
                await self._runner.run(passes[start : start + AT_ONCE])
        return []

    async def _read_lists(self) -> None:
        """Learn who is to be scanned. Where that is nobody, the lists alone show whether GitHub can be read."""
        await self._lists.refresh(self._time.wall())
        self.users.replace(self._lists.users)
        if not self.users:
            self._runner.nobody_to_read(self._lists.refusal)

    async def _newly_listed(self) -> Sequence[Pass]:
        """First passes for those who are on lists that could not be read before."""
        before = set(self.users)
        await self._lists.read_again(self._time.wall())
        self.users.replace(self._lists.users)
        new = [user for user in self.users if user not in before]
        self._recorded.learn(await self._store.users())
        await self._begin_users(new)
        self._status = replace(self._status, users=len(self.users))
        return [Pass(user, to_end=not user.read_to_end) for user in new]

    async def _begin(self, returned: Collection[str]) -> None:
        started_at = self._time.wall()
        self._scan_id = int(started_at)
        self._status = Scan(
            under_way=True, started_at=started_at, next_at=started_at + self._interval, users=len(self.users)
        )
        self._runner.begin_scan()
        self._selection.begin_scan(len(self.users))
        await self._begin_users(list(self.users), returned)

    async def _begin_users(self, users: Sequence[UserScan], returned: Collection[str] = ()) -> None:
        new = {user.queried_as for user in users if user.recorded is None or key(user.name) in returned}
        await self._first_queried.note(new, self._recorded.includes, self._time.wall())
        for number, user in enumerate(users):
            if number and not number % AT_ONCE:  # whoever waits for the reactor comes in between
                await deferLater(self._clock, 0)
            wanted_since = self._first_queried.wanted_since(user.queried_as)
            user.begin_scan(self._scan_id, returned=returned, wanted_since=wanted_since)

    def _mark_ended(self) -> None:
        self._status = replace(self._status, under_way=False, ended_at=self._time.wall())
        self.last_end = self._time.monotonic()

    def _end(self, duration_s: float) -> None:
        self._mark_ended()
        read, halted_by = sum(user.read for user in self.users), self._runner.halted_by
        nobody_read = not read and bool(self.users or self._lists.problems)
        failed = nobody_read or halted_by is not None
        if failed:
            self._failed("nobody could be read" if halted_by is None else str(halted_by))
        else:
            self.failed_in_a_row, self.failure = 0, None
        level = LogLevel.debug if self._has_scanned else LogLevel.info  # later scans are told of by what they find
        self._has_scanned = True
        scan = "scan of 1 user" if len(self.users) == 1 else "scan of {users} users"
        self._log.emit(
            level,
            f"{scan} ended after {{duration_s:.1f}} s, {{unread}} not read",
            event="scan_ended",
            users=len(self.users),
            duration_s=duration_s,
            unread=len(self.users) - read,
            scan=self._scan_id,
        )
        self._listener.scan_ended(failed=failed)

    def _failed(self, reason: str) -> None:
        self.failed_in_a_row += 1
        self.failure = reason
        self._log.debug("the scan failed: {reason}", reason=reason, scan=self._scan_id)

    def _first_passes(self) -> Sequence[Pass]:
        """One for each user; first comes the user whose last one is longest ago. It goes to the end of a list that was
        never read to the end, or has gists that wait for their text."""
        users = sorted(self.users, key=lambda user: user.last_pass_at)
        return [Pass(user, to_end=not user.read_to_end or self._missing_texts.concern(user)) for user in users]

    def _daily_passes(self) -> Sequence[Pass]:
        """Those that are due by now. They come behind the first passes, so that fresh gists need not wait for them."""
        now_at = self._time.wall()
        return [Pass(user, to_end=True) for user in self.users if user.to_end_due(now_at)]

    async def _wait_to_retry(self, attempts: int, next_scan: float) -> bool:
        """Wait until the passes left are made again; False when waiting doesn't help, or the next scan comes first.

        Under a rate limit this scan goes on instead of the next one: else the same users might never be reached.
        """
        if self._runner.cannot_go_on:
            return False
        wait = max(self._runner.throttle_wait, backoff(attempts, longest=min(self._interval, RETRY_LONGEST_S)))
        if not isinstance(self._runner.halted_by, RateLimited) and self._time.monotonic() + wait >= next_scan:
            return False
        self._retry_wait = deferLater(self._clock, wait)
        try:
            await self._retry_wait
        except CancelledError:
            return False
        finally:
            self._retry_wait = None
        return True
