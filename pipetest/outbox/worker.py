"""Runs one action: from the question to Pipedrive to the stored outcome."""

from collections.abc import Sequence

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from pipetest.domain.errors import Denied, RateLimited, ServiceError, Stopping, Transient, Unavailable, Unstored
from pipetest.domain.interfaces import Time
from pipetest.outbox.actions import (
    Action,
    CreateDeal,
    CreateOrganization,
    FindOrganizations,
    LookUpNames,
    ReadBack,
    ReconcileDeals,
    ReconcileStore,
)
from pipetest.outbox.breaker import CircuitBreaker
from pipetest.outbox.delivery import Delivery
from pipetest.outbox.first_creates import FirstCreates
from pipetest.outbox.pause import FAILURE_THRESHOLD
from pipetest.outbox.prerequisites import AnyTask
from pipetest.outbox.progress import Progress
from pipetest.outbox.reconciliation import Reconciliation, SearchFailed
from pipetest.outbox.start_reconciliation import StartReconciliation
from pipetest.outbox.tasks import NEVER
from pipetest.outbox.template_names import TemplateNames


class Worker:
    """Runs actions, several at once. In a ``dry_run`` it only tells what would be created."""

    _log = Logger()

    def __init__(
        self,
        breaker: CircuitBreaker,
        progress: Progress,
        names: TemplateNames,
        start_reconciliation: StartReconciliation,
        reconciliation: Reconciliation,
        first_creates: FirstCreates,
        delivery: Delivery,
        time: Time,
        *,
        dry_run: bool,
    ) -> None:
        self._breaker = breaker
        self._progress = progress
        self._names = names
        self._start_reconciliation = start_reconciliation
        self._reconciliation = reconciliation
        self._first_creates = first_creates
        self._delivery = delivery
        self._time = time
        self._dry_run = dry_run

    async def run(self, action: Action) -> None:
        """Raises nothing that can be expected."""
        epoch = self._breaker.epoch
        try:
            await self._carry_out(action, epoch)
        except (Stopping, Unstored, CancelledError):
            self._progress.postpone(action.tasks, NEVER)
            self._log.debug("left as it is: the daemon stops")
        except ServiceError as e:
            self._search_failed(action.tasks, e, epoch)
        except SearchFailed as e:  # the others go on at once
            self._search_failed([e.task], e.error, epoch)
        except Unavailable as e:  # of which the store tells itself
            self._progress.postpone(action.tasks)
            self._log.debug("{reason}; asked again later", reason=str(e))
        else:
            if not isinstance(action, CreateOrganization | CreateDeal):
                self._breaker.search_answered()

    async def _carry_out(self, action: Action, epoch: int) -> None:
        match action:
            case FindOrganizations(tasks):
                await self._reconciliation.find_organizations(tasks)
            case ReconcileDeals():
                await self._reconciliation.reconcile_deals(action)
            case ReadBack(task):
                await self._first_creates.read_back(task)
            case ReconcileStore(task):
                await self._start_reconciliation.run()
                task.answered()
            case LookUpNames(task):
                await self._names.look_up()
                task.answered()
            case CreateOrganization() | CreateDeal():
                await self._create(action, epoch)

    async def _create(self, action: CreateOrganization | CreateDeal, epoch: int) -> None:
        if self._dry_run:
            self._progress.would_be_created(action.task)
        elif isinstance(action, CreateOrganization):
            await self._delivery.create_organization(action.task, epoch)
        else:
            await self._delivery.create_deal(action, epoch)

    def _search_failed(self, tasks: Sequence[AnyTask], error: ServiceError, epoch: int) -> None:
        self._breaker.search_failed(error, epoch, self._time.monotonic())
        if isinstance(error, Denied):
            return  # the breaker makes it wait
        failure = None if isinstance(error, RateLimited) else error.reason
        self._progress.postpone(tasks, error.wait if isinstance(error, Transient) else None, failure)
        attempts = min(task.attempts for task in tasks)
        if failure is not None and attempts >= FAILURE_THRESHOLD:
            self._breaker.cannot_search([task.key for task in tasks])
        self._log.debug(
            "{what} cannot be looked for in Pipedrive: {reason}; retrying in {wait_s:.0f} s",
            what=tasks[0].key,
            reason=error.reason,
            wait_s=min(task.due for task in tasks) - self._time.monotonic(),
        )
