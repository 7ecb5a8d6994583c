"""Creates one record: ``sent`` on disk, the POST, and what follows from its outcome.

What an outcome means is decided in :mod:`pipetest.outbox.rules` and :mod:`pipetest.outbox.breaker`.
"""

from collections import Counter
from collections.abc import Awaitable, Callable

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from pipetest.domain.backoff import RETRY_FIRST_S
from pipetest.domain.errors import Stopping, Unsent
from pipetest.domain.interfaces import Pipedrive, Store, Time
from pipetest.domain.model import (
    AccountRefuses,
    Created,
    Done,
    NotNow,
    Organization,
    Outcome,
    RefusedForGood,
    Sent,
    State,
    Unknown,
)
from pipetest.outbox import rules
from pipetest.outbox.breaker import CircuitBreaker
from pipetest.outbox.progress import Progress
from pipetest.outbox.queue import CreateDeal, TaskQueue
from pipetest.outbox.tasks import DealTask, OrganizationTask, Task


class Delivery:
    """Creates records. ``settle`` is in seconds. ``not_yet_sent`` is how many creates have yet to leave; ``outcomes``
    counts how creates ended, by kind."""

    _log = Logger()

    def __init__(
        self,
        queue: TaskQueue,
        breaker: CircuitBreaker,
        progress: Progress,
        pipedrive: Pipedrive,
        store: Store,
        time: Time,
        *,
        settle: float,
    ) -> None:
        self.not_yet_sent = 0
        self.outcomes: Counter[str] = Counter()
        self._queue = queue
        self._breaker = breaker
        self._progress = progress
        self._pipedrive = pipedrive
        self._store = store
        self._time = time
        self._settle = settle

    async def create_organization(self, task: OrganizationTask, epoch: int) -> None:
        before = task.state
        outcome = await self._send(task, lambda: self._pipedrive.create_organization(task.name), epoch)
        if outcome is None:
            return
        self._breaker.create_ended(task.key, outcome, epoch)
        if isinstance(outcome, Created):
            self._log.info("{user}: organization {organization_id} created", user=task.name, organization_id=outcome.id)
            organization = Organization(Done(outcome.id), rules.SINCE_EVER)
            await self._store.save(self._progress.organization_seen(task, organization))
        else:
            await self._apply(task, outcome, before)

    async def create_deal(self, action: CreateDeal, epoch: int) -> None:
        task, organization_id = action.task, action.organization_id
        before = task.state
        outcome = await self._send(task, lambda: self._pipedrive.create_deal(task.gist_id, organization_id), epoch)
        if outcome is None:
            return
        if isinstance(outcome, RefusedForGood) and outcome.organization_in_doubt:
            if not await self._pipedrive.organization_exists(organization_id):
                await self._organization_missing(task, organization_id)
                return
            task.parent.seen(self._time.monotonic())
        self._breaker.create_ended(task.key, outcome, epoch)
        await self._apply(task, outcome, before)
        if isinstance(outcome, Created):
            self._progress.deal_done(task, outcome.id, "is deal")

    async def _send(self, task: Task, create: Callable[[], Awaitable[Outcome]], epoch: int) -> Outcome | None:
        """Make ``sent`` durable, then send the request. None if creation was paused in between, if that took too long,
        or if the request could not leave.

        The commit also shows that outcomes can be stored, so it is made even for what is ``sent`` already.
        """
        before, begun = task.state, self._time.monotonic()
        self.not_yet_sent += 1
        try:
            await self._progress.transition(task, Sent())
        finally:
            self.not_yet_sent -= 1
        if epoch != self._breaker.epoch or self._time.monotonic() > begun + rules.FRESH_S:
            await self._progress.transition(task, before)
            return None
        try:
            return await self._post(task, create)
        except Unsent as e:
            await self._progress.transition(task, before)
            if isinstance(e, Stopping):
                raise
            task.schedule(self._time.monotonic() + RETRY_FIRST_S)
            return None

    async def _post(self, task: Task, create: Callable[[], Awaitable[Outcome]]) -> Outcome:
        parent = task.parent if isinstance(task, DealTask) else task
        organization, nothing_created = parent.state, False
        miss = task.forget_miss()  # a search before this request says nothing of it
        try:
            outcome = await create()
            nothing_created = isinstance(outcome, NotNow | RefusedForGood)
        except Unsent:
            nothing_created = True
            raise
        except CancelledError:
            raise
        except Exception as e:
            # Nobody foresaw this, so nobody knows how far the request has come.
            self._log.failure("{what}: the create failed", what=task.key)
            outcome = Unknown(f"the create failed ({type(e).__name__})")
        finally:
            if miss is not None and nothing_created and parent.state == organization:
                task.missed(miss)
        # Whatever fails from here on, the record may surface for so long.
        task.schedule(self._time.monotonic() + self._settle)
        self.outcomes[type(outcome).__name__] += 1
        return outcome

    async def _apply(self, task: Task, outcome: Outcome, before: State) -> None:
        state = rules.next_state(outcome, before, self._time.wall())
        match outcome:
            case RefusedForGood(reason):
                quarantined = "{what} is quarantined for a day: {reason}"
                self._log.error(quarantined, what=task.key, reason=reason, **task.about)
            case Unknown(reason):
                lost = "{what}: {reason}; looked for in {wait_s:g} s"
                self._log.warn(lost, what=task.key, reason=reason, wait_s=self._settle, **task.about)
        await self._progress.transition(task, state)
        if isinstance(outcome, NotNow | AccountRefuses):
            task.schedule(self._time.monotonic())  # the breaker makes it wait, and its answer was not lost

    async def _organization_missing(self, task: DealTask, organization_id: int) -> None:
        """Pipedrive refused the deal as its organization is gone: give that up, so that it is searched for by name, or
        else created anew.

        Not while it is so young that it may just not be listed yet. Nor before every other deal that may be in it was
        searched for there, as deals outlive their organization. This deal stays ``sent``: whatever takes the
        organization's place may hold it already.
        """
        parent, now = task.parent, self._time.monotonic()
        task.schedule(now)
        if parent.state != Done(organization_id):
            return  # another gist has found that out already
        unseen = [
            other for other in parent.deals.values() if other is not task and self._queue.needs_search(other, now)
        ]
        for other in unseen:
            other.schedule(now + self._settle)  # it may have been created just before the organization went
        if unseen or not rules.is_deleted(parent.last_seen, now, settle=self._settle):
            again_at = (now if unseen else parent.last_seen) + self._settle
            task.schedule(again_at)
            parent.schedule(again_at)
            return
        gone = "{user}: organization {organization_id} is gone from Pipedrive"
        self._log.warn(gone, user=parent.name, organization_id=organization_id)
        await self._store.save(self._progress.organization_seen(parent, Organization()))
