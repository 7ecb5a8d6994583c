"""Creates one record: ``sent`` on disk, the POST, and what follows from its outcome.

What an outcome means is decided in :mod:`pipetest.outbox.rules` and :mod:`pipetest.outbox.breaker`.
"""

from collections.abc import Awaitable, Callable

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from pipetest.domain.backoff import RETRY_FIRST_S
from pipetest.domain.errors import Stopping, Unsent
from pipetest.domain.interfaces import Pipedrive, Store, Time
from pipetest.domain.model import (
    Created,
    Done,
    NotNow,
    Organization,
    Outcome,
    RefusedForGood,
    State,
    Unknown,
)
from pipetest.domain.template import DealShape
from pipetest.outbox import rules
from pipetest.outbox.actions import CreateDeal
from pipetest.outbox.breaker import CircuitBreaker
from pipetest.outbox.first_creates import FirstCreates
from pipetest.outbox.progress import CREATED, Progress
from pipetest.outbox.reconciliation import Reconciliation
from pipetest.outbox.rules import NotSent, Step
from pipetest.outbox.tasks import DealTask, OrganizationTask, Task
from pipetest.outbox.template_names import TemplateNames


class Delivery:
    """Creates records. ``not_yet_sent`` is how many creates have yet to leave."""

    _log = Logger()

    def __init__(
        self,
        breaker: CircuitBreaker,
        progress: Progress,
        reconciliation: Reconciliation,
        first_creates: FirstCreates,
        names: TemplateNames,
        pipedrive: Pipedrive,
        store: Store,
        time: Time,
    ) -> None:
        self.not_yet_sent = 0
        self._breaker = breaker
        self._progress = progress
        self._reconciliation = reconciliation
        self._first_creates = first_creates
        self._names = names
        self._pipedrive = pipedrive
        self._store = store
        self._time = time

    async def create_organization(self, task: OrganizationTask, epoch: int) -> None:
        before, shape = task.state, self._names.shape
        outcome = await self._send(
            task, lambda: self._pipedrive.create_organization(shape, task.name, task.account), epoch
        )
        self._create_ended(task, before, outcome, epoch)
        if isinstance(outcome, Created):
            created = "{user}: organization {organization_id} created"
            self._log.info(created, event="organization_created", user=task.name, organization_id=outcome.id)
            await self._first_creates.created("organization", outcome.id, task.name, shape.template)
            organization = Organization(Done(outcome.id), rules.SINCE_EVER)
            await self._store.save(self._progress.organization_seen(task, organization))
        else:
            await self._apply(task, outcome, before, shape)

    async def create_deal(self, action: CreateDeal, epoch: int) -> None:
        task, organization_id = action.task, action.organization_id
        before, shape = task.state, self._names.shape
        gist, user = task.entry.gist, task.parent.name
        outcome = await self._send(task, lambda: self._pipedrive.create_deal(shape, gist, user, organization_id), epoch)
        in_doubt = isinstance(outcome, RefusedForGood) and outcome.organization_in_doubt
        if in_doubt and await self._reconciliation.organization_is_gone(
            task, organization_id, was_sent=rules.was_sent(before)
        ):
            return
        self._create_ended(task, before, outcome, epoch)
        if isinstance(outcome, Created):
            await self._first_creates.created("deal", outcome.id, task.gist_id, shape.template)
        await self._apply(task, outcome, before, shape)
        if isinstance(outcome, Created):
            self._progress.deal_done(task.entry, outcome.id, CREATED)

    async def _send(self, task: Task, create: Callable[[], Awaitable[Outcome]], epoch: int) -> Outcome | NotSent:
        """Make ``sent`` durable, then send the request, unless creation was paused meanwhile or that took too long.

        The commit also shows that outcomes can be stored, so it is made even for what is ``sent`` already.
        """
        before, begun = task.state, self._time.monotonic()
        self.not_yet_sent += 1
        try:
            await self._progress.send(task)
        finally:
            self.not_yet_sent -= 1
        now = self._time.monotonic()
        if epoch != self._breaker.epoch or not self._breaker.admits(task, now) or not rules.is_fresh(now - begun):
            return NotSent()
        try:
            return await self._post(task, create)
        except Stopping:
            await self._progress.transition(task, Step(before))
            raise
        except Unsent:
            return NotSent(RETRY_FIRST_S)

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
            self._log.failure("{what}: the create failed", event="create_failed", what=task.key)
            outcome = Unknown(f"the create failed ({type(e).__name__})")
        finally:
            if miss is not None and nothing_created and parent.state == organization:
                task.missed(miss)
        self._progress.exchange_ended(task)
        return outcome

    def _create_ended(self, task: Task, before: State, outcome: Outcome | NotSent, epoch: int) -> None:
        if isinstance(outcome, NotSent):
            return
        over = self._breaker.create_ended(task, before, outcome, epoch, self._time.monotonic())
        if over is not None:
            self._progress.retry_one(over, but=task)

    async def _apply(self, task: Task, outcome: Outcome | NotSent, before: State, shape: DealShape) -> None:
        match outcome:
            case RefusedForGood(reason) if (wait := self._names.refused(task, before, shape)) is not None:
                doubted = "{what}: {reason}; what the template names is looked up again before that counts"
                self._log.info(doubted, event="names_doubted", what=task.key, reason=reason, **task.about)
                await self._progress.transition(task, Step(before, wait))
                return
            case RefusedForGood(reason):
                quarantined = "{what} is quarantined for a day: {reason}"
                self._log.info(quarantined, event="deal_refused", what=task.key, reason=reason, **task.about)
            case Unknown(reason):
                lost = "{what}: {reason}; looked for in {wait_s:g} s"
                about = {"what": task.key, **task.about}
                self._log.warn(lost, event="answer_lost", reason=reason, wait_s=self._progress.settle, **about)
        step = rules.next_step(outcome, before, self._time.wall(), settle=self._progress.settle)
        await self._progress.transition(task, step)
