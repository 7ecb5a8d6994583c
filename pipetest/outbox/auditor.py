"""Runs the audit: when asked, and by itself once a week where that costs little. It never goes ahead of a create."""

from collections.abc import Awaitable, Callable
from functools import partial
from math import inf
from typing import TypeVar

from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from pipetest.domain.backoff import backoff
from pipetest.domain.errors import PipetestError, Stopping, Transient, Unstored
from pipetest.domain.interfaces import Pipedrive, Run, Store, Time
from pipetest.domain.model import PAGE_TOKENS, Done, key
from pipetest.domain.status import Audit, AuditState
from pipetest.outbox.audit import Comparison
from pipetest.outbox.whole_list import audits_by_itself
from pipetest.runtime.periodic import Periodic

STORED_AS = "audit"

EVERY_S = 7 * 24 * 3600.0
LOOK_EVERY_S = 3600.0
"""Whether it is time for one by itself."""

TRY_EVERY_S = 24 * 3600.0
"""One by itself is attempted no more often than this, whatever came of the last attempt."""

YIELD_S = 10.0
"""While a create waits, the audit looks this often whether it may go on."""

MOST_ATTEMPTS = 10
"""A page that fails so often in a row, with waits up to five minutes, ends the audit."""

EXPECTED_AT_ONCE = 1_000
"""Gists that are read from the store at a time."""

SHORTEST_WAIT_S = 0.1

CUT_SHORT = "it was cut short, as the instance that ran it has stopped"

T = TypeVar("T")


class Auditor:
    """``may_begin`` tells whether one may begin that nobody has asked for, ``may_ask`` whether a page could be read now
    and delays no create. ``asked`` is called after each question: creates may have waited for what its answer tells of
    the limits. ``tokens_a_day`` are infinite while nobody tells them; ``settle`` is in seconds. ``run`` does elsewhere
    what takes long. ``titles_tell`` is asked whether deals get titles that tell their gist."""

    _log = Logger()

    def __init__(
        self,
        pipedrive: Pipedrive,
        store: Store,
        time: Time,
        clock: IReactorTime,
        run: Run,
        *,
        may_begin: Callable[[], bool],
        may_ask: Callable[[], bool],
        asked: Callable[[], None],
        tokens_a_day: Callable[[], float],
        settle: float,
        titles_tell: Callable[[], bool],
    ) -> None:
        self._pipedrive = pipedrive
        self._store = store
        self._time = time
        self._clock = clock
        self._run = run
        self._may_begin = may_begin
        self._may_ask = may_ask
        self._asked = asked
        self._tokens_a_day = tokens_a_day
        self._settle = settle
        self._titles_tell = titles_tell
        self.state = AuditState()
        self._tried = -inf
        self._auditing: Deferred[None] = succeed(None)
        self._stopping = False
        self._looking = Periodic("looking whether an audit is due", self._audit_when_due, LOOK_EVERY_S, clock)

    # --- its life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Go on from what the last one found, whichever process ran it."""
        stored = await self._store.get_value(STORED_AS, AuditState) or AuditState()
        self.state = self._failed(stored.last, CUT_SHORT) if stored.running else stored
        self._looking.start(now=False)

    async def stop(self) -> None:
        """An audit under way is cut short: it has no result."""
        self._stopping = True
        self._auditing.cancel()
        await self._auditing
        await self._looking.stop()

    def audit_now(self) -> None:
        """Begin an audit; where one is under way already, that one counts."""
        if not self.state.running and not self._stopping:
            self.state = AuditState(running=True, last=self.state.last)
            self._auditing = Deferred.fromCoroutine(self._audit())

    async def _audit_when_due(self) -> None:
        last, now = self.state.last, self._time.monotonic()
        is_due = last is None or not 0.0 <= self._time.wall() - last.at < EVERY_S
        if not is_due or now < self._tried + TRY_EVERY_S or self._store.unreconciled:
            return
        if not (self._may_begin() and self._may_ask()):
            return
        self._tried = now
        try:
            newest = await self._answered(self._pipedrive.newest_deal())
        except PipetestError as e:
            self._log.debug("no audit by itself today: {reason}", reason=str(e))
            return
        if audits_by_itself(newest, self._tokens_a_day()):
            self.audit_now()

    # --- one audit ----------------------------------------------------------------------------------------------------

    async def _audit(self) -> None:
        """From the question to the stored outcome; raises nothing."""
        last = self.state.last
        try:
            await self._store.put_value(STORED_AS, self.state)
            ended = await self._outcome(last)
            await self._store.put_value(STORED_AS, ended)
        except (Stopping, Unstored, CancelledError):  # stored as running, which tells the next start the same
            ended = self._failed(last, CUT_SHORT)
        except Exception as e:
            ended = self._failed_for_a_defect(last, e)
        self.state = ended

    async def _outcome(self, before: Audit | None) -> AuditState:
        try:
            audit = await self._compare(before)
        except (Stopping, Unstored, CancelledError):
            raise
        except PipetestError as e:
            reason = str(e)
            self._log.warn("the audit has failed: {reason}", event="audit_not_made", reason=reason)
            return self._failed(before, reason)
        except Exception as e:
            return self._failed_for_a_defect(before, e)
        if counts := ", ".join(f"{number} {kind}" for kind, number in audit.counts.items() if number):
            found = "an audit has found: {counts}"
            self._log.info(found, event="audit_ended", gists=audit.gists, counts=counts, tokens=audit.tokens)
        return AuditState(last=audit)

    def _failed_for_a_defect(self, last: Audit | None, error: Exception) -> AuditState:
        self._log.failure("the audit has failed", event="audit_failed")
        return self._failed(last, f"a defect of pipetest's ({type(error).__name__}), which the log tells")

    def _failed(self, last: Audit | None, reason: str) -> AuditState:
        return AuditState(last=last, failure=reason, failed_at=self._time.wall())

    async def _compare(self, before: Audit | None) -> Audit:
        comparison = await self._expected()
        await self._wait(self._settle)
        began_at = self._time.wall()
        newest = await self._ask(self._pipedrive.newest_deal)
        deals = self._pipedrive.all_deals(began_at)
        while (page := await self._ask(deals.next)) is not None:
            if others := comparison.add(page):
                known = await self._store.known_gists({*others.values()})
                comparison.feed_lacks({deal: gist for deal, gist in others.items() if gist not in known})
            self.state = replace(self.state, progress=min(1.0, comparison.newest / max(newest, 1)))
        return await self._run(partial(comparison.result, began_at, PAGE_TOKENS + deals.tokens, before))

    async def _expected(self) -> Comparison:
        """A comparison that knows what is done now."""
        organizations = {}
        async for users in self._store.users_in_parts():
            for user in users:
                match user.organization.state:
                    case Done(int(organization_id)):
                        organizations[key(user.name)] = organization_id
        comparison = Comparison(organizations, titles_tell=self._titles_tell())
        position = 0
        while entries := await self._store.done_entries(position, EXPECTED_AT_ONCE):
            comparison.expect(entries)
            position = entries[-1].position
        return comparison

    async def _ask(self, question: Callable[[], Awaitable[T]]) -> T:
        """Ask once that delays no create, and again where it fails for now."""
        attempts = 0
        while True:
            while not self._may_ask():
                await self._wait(YIELD_S)
            try:
                return await self._answered(question())
            except Transient as e:
                attempts += 1
                if attempts == MOST_ATTEMPTS:
                    raise
                await self._wait(backoff(attempts) if e.wait is None else e.wait)

    async def _answered(self, question: Awaitable[T]) -> T:
        try:
            return await question
        finally:
            self._asked()

    async def _wait(self, seconds: float) -> None:
        """By the monotonic clock: the reactor may go by the wall's, which may be set.

        :raises Stopping: a stop has cut short what came before.
        """
        until = self._time.monotonic() + seconds
        while (left := until - self._time.monotonic()) > 0.0:
            if self._stopping:
                raise Stopping("the daemon stops")
            await deferLater(self._clock, max(left, SHORTEST_WAIT_S))
