"""Runs one action of the outbox, from the question to Pipedrive to the stored outcome."""

from collections import Counter

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from pipetest.domain.errors import Denied, RateLimited, ServiceError, Stopping, Transient, Unstored
from pipetest.outbox.breaker import CircuitBreaker
from pipetest.outbox.breaker_state import FAILURE_THRESHOLD
from pipetest.outbox.delivery import Delivery
from pipetest.outbox.progress import Progress
from pipetest.outbox.queue import Action, CreateDeal, CreateOrganization, FindOrganizations, ReconcileDeals
from pipetest.outbox.reconciliation import Reconciliation
from pipetest.outbox.tasks import NEVER, OrganizationTask, Task


class Worker:
    """Runs actions; in a ``dry_run`` it only says what it would create. ``failed_searches`` counts the searches that
    failed, by kind of error."""

    _log = Logger()

    def __init__(
        self,
        breaker: CircuitBreaker,
        progress: Progress,
        reconciliation: Reconciliation,
        delivery: Delivery,
        *,
        dry_run: bool,
    ) -> None:
        self.failed_searches: Counter[str] = Counter()
        self._breaker = breaker
        self._progress = progress
        self._reconciliation = reconciliation
        self._delivery = delivery
        self._dry_run = dry_run

    async def run(self, action: Action) -> None:
        """Run it, and leave its tasks due when they can go on; raises nothing that can be expected."""
        epoch = self._breaker.epoch
        try:
            await self._run(action, epoch)
        except (Stopping, Unstored, CancelledError):
            self._progress.postpone(action.tasks, NEVER)
            self._log.debug("left as it is: the daemon stops")
        except Denied as e:
            self.failed_searches[Denied.__name__] += 1
            self._breaker.search_refused(e, epoch)
        except ServiceError as e:
            self._search_failed(action, e, epoch)
        else:
            if not isinstance(action, CreateDeal | CreateOrganization):
                self._breaker.search_answered()

    async def _run(self, action: Action, epoch: int) -> None:
        match action:
            case FindOrganizations(tasks):
                await self._reconciliation.find_organizations(tasks)
            case ReconcileDeals():
                await self._reconciliation.reconcile_deals(action)
            case _ if self._dry_run:
                self.report_dry_run(action.tasks[0])
            case CreateOrganization(task):
                await self._delivery.create_organization(task, epoch)
            case CreateDeal():
                await self._delivery.create_deal(action, epoch)

    def _search_failed(self, action: Action, error: ServiceError, epoch: int) -> None:
        self.failed_searches[type(error).__name__] += 1
        self._breaker.search_failed(error, epoch)
        self._progress.postpone(action.tasks, error.wait if isinstance(error, Transient) else None)
        if not isinstance(error, RateLimited) and all(task.attempts >= FAILURE_THRESHOLD for task in action.tasks):
            self._breaker.cannot_search([task.key for task in action.tasks])
        level = self._log.info if isinstance(error, Transient) else self._log.error
        level("{reason}; asked again later", reason=str(error))

    def report_dry_run(self, task: Task) -> None:
        """A dry run ends here for the task, and for the gists that only wait for their organization."""
        task.schedule(NEVER)
        self._log.info("dry run: {what} would be created", what=task.key, **task.about)
        if isinstance(task, OrganizationTask):
            for deal in task.deals.values():
                self.report_dry_run(deal)
