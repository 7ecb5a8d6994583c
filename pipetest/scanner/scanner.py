"""The scan: reads the lists of all queried users every interval, and records what is new; there it ends."""

from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain, islice
from math import inf

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger, LogLevel

from pipetest.domain.backoff import RETRY_LONGEST_S, backoff
from pipetest.domain.errors import (
    Denied,
    Endless,
    Forbidden,
    Missing,
    OtherOwner,
    PipetestError,
    RateLimited,
    ServiceError,
    Stopping,
    Transient,
    Unstorable,
    Unstored,
)
from pipetest.domain.interfaces import GitHub, ScanListener, Store, Time
from pipetest.domain.model import User, key
from pipetest.domain.status import QueriedUser, Scan, UserCounts
from pipetest.runtime.periodic import Periodic
from pipetest.scanner.backfill import FirstQueried
from pipetest.scanner.list_reader import ListReader
from pipetest.scanner.user_lists import NamedUser, UserLists
from pipetest.scanner.user_scan import UserScan

MAX_CONCURRENT = 8
"""Users read at once: GitHub asks for a queue rather than concurrency (best practices for the REST API), and eight hide
an answer time of half a second well enough for a thousand users a minute."""

FORBIDDEN_IN_A_ROW = 3
"""After this many users in a row whom GitHub doesn't show, it is no matter of one user."""

OFF_LIST = "users off the list"
"""The name of the value in the store: users that were read once, and are not on the list of users, or were not until
GitHub tells who has their names now."""

MOST_USERS = 500
"""The status names this many: there may be ten thousand, and it is taken for each request."""


class Pass(Struct, frozen=True):
    """A pass that is to be made."""

    user: UserScan
    to_end: bool


class Scanner:
    """Scans those whom ``lists`` names every ``interval`` seconds.

    A scan has failed where nobody could be read, or something that concerns everybody cut it short: one user who fails
    is no reason. ``passes`` counts the passes that ended, by outcome: the labels of a metric. ``last_end`` is when the
    last scan ended, or the scanner was started, on the monotonic clock. ``failure`` is why the last scan failed.
    ``refusal`` is why GitHub refuses everybody, the token mostly; a rate limit, which passes by itself, is none.
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
    ) -> None:
        self.passes: Counter[str] = Counter()
        self.failed_in_a_row = 0
        self.failure: str | None = None
        self.refusal: str | None = None
        self.last_end: float | None = None
        self._store = store
        self._time = time
        self._clock = clock
        self._listener = listener
        self._interval = interval
        self._lists = lists
        self._first_queried = FirstQueried(store, backfill_since)
        self._reader = ListReader(github, store)
        self._users: list[UserScan] = []
        self._set_users(lists.users)
        self._remaining: set[UserScan] = set()
        self._read: set[UserScan] = set()
        self._forbidden_in_a_row = 0
        self._status = Scan()
        self._scan_id = 0
        self._has_scanned = False
        self._halted_by: Exception | None = None
        self._throttle_wait = 0.0
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

    async def stop(self) -> None:
        """Begin no other pass; returns when those under way have ended."""
        self._halted_by = Stopping()
        if self._retry_wait is not None:
            self._retry_wait.cancel()
        await self._loop.stop()

    # --- how it stands ------------------------------------------------------------------------------------------------

    def status(self) -> Scan:
        """The scan under way, or else the last one. Whether scans stand still is for others to judge."""
        visited = self._status.users - len(self._remaining)
        return replace(self._status, visited=visited, failed_in_a_row=self.failed_in_a_row)

    @property
    def names(self) -> Sequence[str]:
        """Who is scanned."""
        return [user.name for user in self._users]

    def user_counts(self) -> UserCounts:
        failing = sum(user.error is not None for user in self._users)
        unread = sum(user.error is None and user.succeeded_at is None for user in self._users)
        unknown = sum(user.unknown for user in self._users)
        return UserCounts(total=len(self._users), failing=failing, unread=unread, unknown=unknown)

    def errors(self) -> Mapping[str, str]:
        """Why the last pass failed, by user."""
        return {user.name: user.error for user in self._users if user.error is not None}

    def leaving_out(self) -> Sequence[str]:
        """The users of whose lists something cannot be read and is left out."""
        return [user.name for user in self._users if user.leaves_out]

    def users(self) -> Sequence[QueriedUser]:
        """Those that cannot be read first, then the others, :data:`MOST_USERS` in all. Their gists and deals are for
        others to count."""
        failing = (user for user in self._users if user.error is not None)
        well = (user for user in self._users if user.error is None)
        return [user.status() for user in islice(chain(failing, well), MOST_USERS)]

    # --- one scan -----------------------------------------------------------------------------------------------------

    async def _scan(self) -> None:
        try:
            await self._scan_all()
        except (Stopping, Unstored):
            self._log.debug("the scan ends: the daemon stops")
        except PipetestError as e:  # the database cannot be asked
            self._failed(str(e))

    async def _scan_all(self) -> None:
        """Read everybody once, then whose daily pass is due, then again and again who could not be read."""
        started = self._time.monotonic()
        self._halted_by = None
        self._reader.begin_scan()
        await self._read_lists()
        stored = await self._stored()
        await self._begin(stored, await self._returned(stored.keys()))
        left = await self._scan_users(self._first_passes())
        daily = self._daily_passes()
        left += await self._scan_users(daily) if self._halted_by is None else daily
        attempts = 1
        while (left or self._lists.unread) and await self._wait_to_retry(attempts, started + self._interval):
            attempts += 1
            left = await self._scan_users([*left, *await self._newly_listed()])
        self._end(self._time.monotonic() - started)

    async def _returned(self, stored: Collection[str]) -> Collection[str]:
        """Who was off the list for a scan or longer, and GitHub has not told since who has the name now.

        Taken off and put back by people, a name means whoever has it: the way to have an account read that has taken
        over the name of another one.
        """
        queried = {key(user.name): user for user in self._users}
        in_use = {key(user.recorded_as) for user in self._users} | queried.keys()
        off_list: set[str] = set(await self._store.get_value(OFF_LIST) or ())
        returned = {name for name in off_list if name in queried and not queried[name].owner_told}
        now_off_list = {*stored} - in_use | returned
        if now_off_list != off_list:
            await self._store.put_value(OFF_LIST, sorted(now_off_list))
        return returned

    def _set_users(self, named: Iterable[NamedUser]) -> None:
        """Scan these from now on. What is known of those who were scanned before is kept."""
        scans = {user.name: user for user in self._users}
        self._users = [
            scans.get(user.name) or UserScan(user.name, self._reader, self._store, self._time, self._listener)
            for user in named
        ]

    async def _read_lists(self) -> None:
        """Learn who is to be scanned. Where that is nobody, it is here that shows whether GitHub can be read."""
        await self._lists.refresh(self._time.wall())
        self._set_users(self._lists.users)
        if not self._users:
            self._shown() if self._lists.refusal is None else self._concerns_everybody(self._lists.refusal)

    async def _newly_listed(self) -> Sequence[Pass]:
        """First passes for those who are on lists that could not be read before."""
        before = set(self._users)
        await self._lists.read_again(self._time.wall())
        self._set_users(self._lists.users)
        new = [user for user in self._users if user not in before]
        await self._begin_users(new, await self._stored())
        self._remaining.update(new)
        self._status = replace(self._status, users=len(self._users))
        return [Pass(user, to_end=not user.read_to_end) for user in new]

    async def _stored(self) -> dict[str, User]:
        """Whom the store holds."""
        return {key(user.name): user for user in await self._store.users()}

    async def _begin(self, stored: dict[str, User], returned: Collection[str]) -> None:
        started_at = self._time.wall()
        self._scan_id = int(started_at)
        self._status = Scan(
            under_way=True, started_at=started_at, next_at=started_at + self._interval, users=len(self._users)
        )
        self._remaining = set(self._users)
        self._read = set()
        await self._begin_users(self._users, stored, returned)

    async def _begin_users(
        self, users: Sequence[UserScan], stored: dict[str, User], returned: Collection[str] = ()
    ) -> None:
        new = [name for user in users if (name := key(user.name)) not in stored or name in returned]
        await self._first_queried.note(new, stored.keys(), self._time.wall())
        by_owner = {user.owner_id: user for user in reversed(stored.values()) if user.owner_id is not None}
        listed = {user.name: user.account_id for user in self._lists.users}
        for user in users:
            name, account_id = key(user.name), listed.get(user.name)
            known = stored.get(name)
            if known is None and account_id is not None:
                known = by_owner.get(account_id)
            user.begin_scan(
                known,
                self._scan_id,
                by_owner=by_owner,
                any_owner=name in returned,
                wanted_since=self._first_queried.wanted_since(name),
            )

    def _end(self, duration_s: float) -> None:
        self._status = replace(self._status, under_way=False, ended_at=self._time.wall())
        self.last_end = self._time.monotonic()
        unread = not self._read and (self._users or self._lists.problems)
        failed = bool(unread) or self._halted_by is not None
        if failed:
            self._failed("nobody could be read" if self._halted_by is None else str(self._halted_by))
        else:
            self.failed_in_a_row, self.failure = 0, None
        level = LogLevel.debug if self._has_scanned else LogLevel.info  # what is found later is told by itself
        self._has_scanned = True
        self._log.emit(
            level,
            "scan of {users} users ended after {duration_s:.1f} s, {unread} not read",
            event="scan_ended",
            users=len(self._users),
            duration_s=duration_s,
            unread=len(self._users) - len(self._read),
            scan=self._scan_id,
        )
        self._listener.scan_ended(failed=failed)

    def _failed(self, reason: str) -> None:
        self.failed_in_a_row += 1
        self.failure = reason
        self._log.debug("the scan failed: {reason}", reason=reason, scan=self._scan_id)

    def _first_passes(self) -> Sequence[Pass]:
        """One for everybody, whose last one is longest ago first. Who was never read to the end is read to it now."""
        users = sorted(self._users, key=lambda user: user.last_pass_at)
        return [Pass(user, to_end=not user.read_to_end) for user in users]

    def _daily_passes(self) -> Sequence[Pass]:
        """Those that are due by now. They come behind the first passes, so that fresh gists need not wait for them."""
        now_at = self._time.wall()
        return [Pass(user, to_end=True) for user in self._users if user.to_end_due(now_at)]

    async def _scan_users(self, passes: Iterable[Pass]) -> list[Pass]:
        """Make these passes, several at once, until something concerns everybody; returns those to be made again."""
        if self._cannot_go_on:
            return list(passes)
        self._halted_by, self._throttle_wait = None, 0.0
        queue, again = deque(passes), list[Pass]()

        async def make(due: Pass) -> None:
            if not await self._make_pass(due):
                again.append(due)

        async def work() -> None:
            while queue and self._halted_by is None:
                await make(queue.popleft())

        if queue and self._all_forbidden:  # one goes alone and shows whether this is over
            await make(self._probe(queue))
        await gatherResults([Deferred.fromCoroutine(work()) for _ in range(MAX_CONCURRENT)], consumeErrors=True)
        return [*again, *queue]

    def _probe(self, queue: deque[Pass]) -> Pass:
        """A pass that shows whether GitHub refuses everybody: over a list that was read before, else the one that
        stands farthest from those that were refused."""
        for user in self._users:
            if user.succeeded_at is not None and not user.forbidden:
                return Pass(user, to_end=False)
        probe = next((due for due in reversed(queue) if not due.user.forbidden), queue[-1])
        queue.remove(probe)
        return probe

    async def _wait_to_retry(self, attempts: int, next_scan: float) -> bool:
        """Wait until the passes left are made again; False when waiting doesn't help, or the next scan comes first.

        Under a rate limit this scan goes on instead of the next one: else the same users might never be reached.
        """
        if self._cannot_go_on:
            return False
        wait = max(self._throttle_wait, backoff(attempts, longest=min(self._interval, RETRY_LONGEST_S)))
        if not isinstance(self._halted_by, RateLimited) and self._time.monotonic() + wait >= next_scan:
            return False
        self._retry_wait = deferLater(self._clock, wait)
        try:
            await self._retry_wait
        except CancelledError:
            return False
        finally:
            self._retry_wait = None
        return True

    @property
    def _cannot_go_on(self) -> bool:
        """Whether the daemon stops, or a person has to act before GitHub can be read for anybody."""
        return isinstance(self._halted_by, Stopping | Denied)

    @property
    def _all_forbidden(self) -> bool:
        return self._forbidden_in_a_row >= FORBIDDEN_IN_A_ROW

    # --- one pass -----------------------------------------------------------------------------------------------------

    async def _make_pass(self, due: Pass) -> bool:
        """Whether that is it for this scan: the pass went well, or making it again would not help."""
        try:
            self.passes[await due.user.make_pass(to_end=due.to_end)] += 1
        except (Stopping, Unstored):
            self._halted_by = Stopping()
            return False
        except PipetestError as e:
            self.passes[type(e).__name__] += 1
            return self._pass_failed(due.user, e)
        except Exception as e:
            self.passes["defect"] += 1
            self._log.failure(
                "{user}: its list could not be read, for a defect", event="pass_failed", user=due.user.name
            )
            due.user.failed(PipetestError(f"an unexpected error ({type(e).__name__}): the log tells more"))
            return False
        self._shown()
        self._read.add(due.user)
        self._remaining.discard(due.user)
        due.user.succeeded()
        return True

    def _pass_failed(self, user: UserScan, error: PipetestError) -> bool:
        """Whether making the pass again would not help."""
        self._read.discard(user)
        if isinstance(error, Missing | OtherOwner):
            self._shown()
        if isinstance(error, Forbidden):
            return self._pass_forbidden(user, error)
        if isinstance(error, Denied | RateLimited):
            self._concerns_everybody(error)
        else:
            self._remaining.discard(user)
            user.failed(error)
        if isinstance(error, Transient):
            self._throttle_wait = max(self._throttle_wait, error.wait or 0.0)
        return isinstance(error, Missing | OtherOwner | Endless | Unstorable)

    def _pass_forbidden(self, user: UserScan, error: Forbidden) -> bool:
        """It is about this user alone, unless several in a row meet it. Those known for it tell nothing new."""
        if not user.forbidden:
            self._forbidden_in_a_row += 1
        self._remaining.discard(user)
        user.failed(error)
        if self._all_forbidden:
            self._concerns_everybody(error)
        return not self._all_forbidden

    def _concerns_everybody(self, error: ServiceError) -> None:
        self._halted_by = error
        self.refusal = None if isinstance(error, RateLimited) else error.reason
        self._log.debug("nobody is read for now: {reason}", reason=str(error), scan=self._scan_id)

    def _shown(self) -> None:
        """GitHub shows lists, or says that one isn't there."""
        self._forbidden_in_a_row = 0
        self.refusal = None
