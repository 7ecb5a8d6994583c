"""The scan: reads the lists of all queried users every interval, and records what is new; there it ends."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from math import inf

from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger, LogLevel

from pipetest.domain.backoff import RETRY_LONGEST_S, backoff
from pipetest.domain.errors import PipetestError, RateLimited, Stopping, Unavailable, Unstored, unexpected
from pipetest.domain.interfaces import GistSummaries, GitHub, ScanListener, Store, Time
from pipetest.domain.model import key
from pipetest.domain.status import Scan
from pipetest.runtime.periodic import Periodic
from pipetest.scanner.backfill import FirstQueried
from pipetest.scanner.list_reader import ListReader
from pipetest.scanner.missing_texts import MissingTexts
from pipetest.scanner.off_list import OffList
from pipetest.scanner.passes import PassRunner
from pipetest.scanner.queried_users import QueriedUsers
from pipetest.scanner.recorded_users import queried_as, stored_of
from pipetest.scanner.selection import Selection
from pipetest.scanner.standing import LastPass, Standing
from pipetest.scanner.user_lists import UserLists
from pipetest.scanner.user_scan import Terms, UserScan

AT_ONCE = 1_000
"""So many users are judged, and read, before the next ones are. Of these alone more is held than their standing."""


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
        self._selection = Selection(summaries, store, reads_a_minute, interval)
        self._off_list = OffList(store, self._first_queried)
        self.users = QueriedUsers(lists.users)
        self._runner = PassRunner(self._find_shown)
        self._status = Scan()
        self._terms = Terms()
        self._has_scanned = False
        self._is_settled = False
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

    async def _scan_all(self) -> None:
        """Read everybody once, then whose daily pass is due, then again and again who could not be read."""
        started = self._time.monotonic()
        self._runner.resume()
        self._reader.begin_scan()
        self._replace_users(changed=await self._lists.refresh(self._time.wall()))
        await self._begin()
        left, due = await self._make(self.users.longest_ago_first())
        due = await self._make_daily(due)
        attempts = 1
        while (left or due or self._lists.unread) and await self._wait_to_retry(attempts, started + self._interval):
            attempts += 1
            self._runner.resume()
            left, _ = await self._make([*left, *await self._newly_listed()])
            due = await self._make_daily(due)
        if self._runner.halted_by is None and not self._lists.unread:
            await self._missing_texts.give_up(self.users)
        self._end(self._time.monotonic() - started)

    async def _newly_listed(self) -> Sequence[Standing]:
        """Those who are on lists that could not be read before. This does not settle the list: whose names came back
        is asked once, at the beginning of a scan."""
        changed = await self._lists.read_again(self._time.wall())
        new = self._replace_users(changed=changed)
        if changed:
            await self._note_first_queried(self._terms.returned)
        self._status = replace(self._status, users=len(self.users))
        return new

    def _replace_users(self, *, changed: bool) -> Sequence[Standing]:
        """Those who are new. A name that came back, and is off the list again, is nobody's. Where nobody is to be
        scanned, the lists alone show whether GitHub can be read."""
        new: Sequence[Standing] = ()
        if changed:
            self._is_settled = False
            new = self.users.replace(self._lists.users)
            returned = {name for user in self.users if (name := key(user.name)) in self._terms.returned}
            self._terms = replace(self._terms, returned=returned)
        if not self.users:
            self._runner.nobody_to_read(self._lists.refusal)
        return new

    async def _begin(self) -> None:
        started_at = self._time.wall()
        returned = await self._settle()
        await self._missing_texts.begin_scan()
        self._terms = Terms(self._terms.number + 1, int(started_at), returned, self._missing_texts.users)
        self._status = Scan(
            under_way=True, started_at=started_at, next_at=started_at + self._interval, users=len(self.users)
        )
        self._runner.begin_scan()
        self._selection.begin_scan(len(self.users))

    async def _settle(self) -> Collection[str]:
        """Store who is off the list, and since when the others are queried. Returns whose names came back. Nobody has
        left and nobody is new while the list stays the same, unless a name that came back is somebody else's now."""
        if self._is_settled:
            return ()
        returned = await self._off_list.returned(self.users)
        await self._note_first_queried(returned)
        self._is_settled = not returned
        return returned

    async def _note_first_queried(self, returned: Collection[str]) -> None:
        """Store since when those are queried who are new. An account that is recorded under a name that came back will
        be under its own: of that one nothing is old."""
        new = dict[str, float]()
        now_at = self._time.wall()
        async for part in self._parts([*self.users]):
            stored = await stored_of(self._store, part)
            for user in part:
                if (found := stored[user]) is None or key(user.name) in returned:
                    new[queried_as(user)] = now_at
                elif key(found.name) in returned:
                    new[queried_as(user)] = 0.0
        await self._first_queried.note(new)

    # --- its passes ---------------------------------------------------------------------------------------------------

    async def _make(self, users: Sequence[Standing]) -> tuple[list[Standing], list[Standing]]:
        """Make a pass over the list of each of these users, but where it would find nothing. Returns over whose lists
        one is to be made again, and whose daily pass is due by now.

        They go in parts: each part is judged, and read, before the next one is.
        """
        left, due = list[Standing](), list[Standing]()
        async for part in self._parts(users):
            if not (scans := await self._open(part)):
                left += part
                continue
            unchanged = await self._selection.unchanged(scans)
            self._runner.skip(unchanged)
            left += [scan.user for scan in await self._runner.run(scan for scan in scans if scan not in unchanged)]
            due += [scan.user for scan in scans if scan.to_end_due(self._time.wall())]
        return [*dict.fromkeys(left)], due

    async def _make_daily(self, users: Sequence[Standing]) -> list[Standing]:
        """Make the daily passes of these users, behind the others, so that fresh gists need not wait for them. Returns
        for whom one is to be made again.

        With very many users, only as many are made as the time for one scan allows: all others stay due, and follow
        after the next scan's first passes.
        """
        left = list[Standing]()
        until = self._time.monotonic() + self._interval if self._selection.selects else inf
        async for part in self._parts(users):
            if self._time.monotonic() < until:
                scans = await self._open(part)
                left += [scan.user for scan in await self._runner.run(scans, to_end=True)] if scans else part
        return [] if self._selection.selects else left

    async def _parts(self, users: Sequence[Standing]) -> AsyncIterator[Sequence[Standing]]:
        """A thousand at a time; whoever waits for the reactor comes in between.

        :raises Stopping: the daemon stops.
        """
        for start in range(0, len(users), AT_ONCE):
            if start:
                await deferLater(self._clock, 0)
                self._runner.raise_if_stopped()
            yield users[start : start + AT_ONCE]

    async def _open(self, users: Sequence[Standing]) -> Sequence[UserScan]:
        """Begin the scan of each of these users, with what the store holds of it. There are none where something
        concerns everybody, such as that the database cannot be asked."""
        if self._runner.halted_by is not None:
            return []
        now_at = self._time.wall()
        unchanged = LastPass(now_at, self._terms.number, now_at)  # one for all of them
        try:
            stored = await stored_of(self._store, users)
        except Unavailable as e:
            self._runner.halt(e)
            return []
        return [
            UserScan(
                user,
                stored[user],
                self._first_queried.wanted_since(queried_as(user)),
                unchanged,
                self._terms,
                self._reader,
                self._store,
                self._time,
                self._listener,
            )
            for user in users
        ]

    async def _find_shown(self) -> UserScan | None:
        """The scan of somebody whose list GitHub has shown."""
        shown = next((user for user in self.users if user.is_shown), None)
        return None if shown is None else next(iter(await self._open([shown])), None)

    # --- its end ------------------------------------------------------------------------------------------------------

    def _mark_ended(self) -> None:
        self._status = replace(self._status, under_way=False, ended_at=self._time.wall())
        self.last_end = self._time.monotonic()

    def _end(self, duration_s: float) -> None:
        self._mark_ended()
        read = sum(user.was_read_in(self._terms.number) for user in self.users)
        halted_by = self._runner.halted_by
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
            scan=self._terms.id,
        )
        self._listener.scan_ended(failed=failed)

    def _failed(self, reason: str) -> None:
        self.failed_in_a_row += 1
        self.failure = reason
        self._log.debug("the scan failed: {reason}", reason=reason, scan=self._terms.id)

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
