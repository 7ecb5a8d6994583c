"""Makes passes over users' lists, several at once, and says what a failed one means: for its user, or for everybody."""

from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable

from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger

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
    unexpected,
)
from pipetest.scanner.user_scan import UserScan

MAX_CONCURRENT = 8
"""Users read at once: GitHub asks for a queue rather than concurrency (best practices for the REST API), and eight hide
an answer time of half a second well enough for a thousand users a minute."""

FORBIDDEN_IN_A_ROW = 3
"""After this many users in a row whom GitHub doesn't show, it is no matter of one user."""


class PassRunner:
    """Makes the passes of one scan after the other. ``find_shown`` begins the scan of somebody whose list GitHub has
    shown, if there is anybody.

    ``counts`` are the passes that ever ended, by outcome: the labels of a metric. ``refusal`` is why GitHub refuses
    everybody, the token mostly; a rate limit, which passes by itself, is none. Of the scan under way, or the last one:
    ``tried`` is how many users' passes have ended in whichever way; ``halted_by`` is what concerns everybody, and
    ``throttle_wait`` the seconds that GitHub then asks us to wait.
    """

    _log = Logger()

    halted_by: Exception | None  # since a scan began

    def __init__(self, find_shown: Callable[[], Awaitable[UserScan | None]]) -> None:
        self.counts: Counter[str] = Counter()
        self.refusal: str | None = None
        self.tried = 0
        self.throttle_wait = 0.0
        self._find_shown = find_shown
        self._forbidden_in_a_row = 0

    def resume(self) -> None:
        """What has halted passes before may be over."""
        self.halted_by, self.throttle_wait = None, 0.0

    def begin_scan(self) -> None:
        """A scan begins: nobody was read in it yet."""
        self.tried = 0

    def halt(self, error: Exception) -> None:
        """Begin no other pass: this concerns everybody."""
        self.halted_by = error

    def stop(self) -> None:
        """Begin no other pass."""
        self.halt(Stopping())

    def raise_if_stopped(self) -> None:
        """
        :raises Stopping: no other pass begins, as the daemon stops.
        """
        if isinstance(self.halted_by, Stopping):
            raise self.halted_by

    def nobody_to_read(self, refusal: ServiceError | None) -> None:
        """There are no passes to make: what kept lists of users from being read shows whether GitHub refuses
        everybody."""
        if refusal is None:
            self._shown()
        else:
            self._concerns_everybody(refusal)

    @property
    def cannot_go_on(self) -> bool:
        """Whether the daemon stops, or a person has to act before GitHub can be read for anybody."""
        return isinstance(self.halted_by, Stopping | Denied)

    async def run(self, users: Iterable[UserScan], *, to_end: bool = False) -> list[UserScan]:
        """Make a pass over the list of each of these users until something concerns everybody; returns those over whose
        lists one is to be made again."""
        queue, again = deque(users), list[UserScan]()

        async def make(user: UserScan) -> None:
            if not await self._make(user, to_end=to_end):
                again.append(user)

        async def work() -> None:
            while queue and self.halted_by is None:
                await make(queue.popleft())

        if queue and self._all_forbidden and self.halted_by is None:  # one goes alone and shows whether this is over
            await make(await self._take_probe(queue))
        await gatherResults([Deferred.fromCoroutine(work()) for _ in range(MAX_CONCURRENT)])
        return [*again, *queue]

    def skip(self, users: Iterable[UserScan]) -> None:
        """Make no passes for these: they would find nothing."""
        for user in users:
            self._count_tried(user)
            user.unchanged()

    # --- one pass -----------------------------------------------------------------------------------------------------

    async def _make(self, user: UserScan, *, to_end: bool) -> bool:
        """Whether the pass need not be made again in this scan: it went well, or would fail again."""
        try:
            self.counts[await user.make_pass(to_end=to_end)] += 1
        except (Stopping, Unstored):
            self.stop()
        except PipetestError as e:
            self.counts[type(e).__name__] += 1
            return self._failed(user, e)
        except Exception as e:
            self.counts["defect"] += 1
            self._log.failure("{user}: its list could not be read, for a defect", event="pass_failed", user=user.name)
            return self._failed(user, PipetestError(unexpected(e)))
        else:
            self._shown()
            self._count_tried(user)
            user.succeeded()
            return True
        return False

    def _count_tried(self, user: UserScan) -> None:
        self.tried += not user.tried

    def _failed(self, user: UserScan, error: PipetestError) -> bool:
        """Whether making the pass again would not help."""
        if isinstance(error, Missing | OtherOwner):
            self._shown()
        if isinstance(error, Forbidden):
            return self._forbidden(user, error)
        if isinstance(error, Denied | RateLimited):
            self._concerns_everybody(error)
        else:
            self._count_tried(user)
            user.failed(error)
        if isinstance(error, Transient):
            self.throttle_wait = max(self.throttle_wait, error.wait or 0.0)
        return isinstance(error, Missing | OtherOwner | Endless | Unstorable)

    def _forbidden(self, user: UserScan, error: Forbidden) -> bool:
        """It is about this user alone, unless several in a row meet it. One who has met it before tells nothing new."""
        if not user.user.last_pass.forbidden:
            self._forbidden_in_a_row += 1
        self._count_tried(user)
        user.failed(error)
        if self._all_forbidden:
            self._concerns_everybody(error)
        return not self._all_forbidden

    async def _take_probe(self, queue: deque[UserScan]) -> UserScan:
        """Whose pass shows whether GitHub refuses everybody: somebody whose list was read before, else the one who
        stands farthest from those that were refused."""
        probe = next((user for user in queue if user.user.is_shown), None)
        if probe is None and (read := await self._find_shown()) is not None:
            return read
        probe = probe or next((user for user in reversed(queue) if not user.user.last_pass.forbidden), queue[-1])
        queue.remove(probe)
        return probe

    @property
    def _all_forbidden(self) -> bool:
        return self._forbidden_in_a_row >= FORBIDDEN_IN_A_ROW

    def _concerns_everybody(self, error: ServiceError) -> None:
        self.halted_by = error
        self.refusal = None if isinstance(error, RateLimited) else error.reason
        self._log.debug("nobody is read for now: {reason}", reason=str(error))

    def _shown(self) -> None:
        """GitHub shows lists, or says that one isn't there."""
        self._forbidden_in_a_row = 0
        self.refusal = None
