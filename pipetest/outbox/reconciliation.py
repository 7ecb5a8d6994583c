"""Searches Pipedrive for what may be there without our knowledge, and adopts it; says which organization is gone."""

from collections.abc import Mapping, Sequence

from twisted.logger import Logger

from pipetest.domain.errors import Refused
from pipetest.domain.interfaces import Pipedrive, Store, Time
from pipetest.domain.model import Change, DealChange, Done, Found, Organization, key
from pipetest.outbox import rules
from pipetest.outbox.breaker import FAILURE_THRESHOLD, CircuitBreaker
from pipetest.outbox.progress import FOUND, Progress
from pipetest.outbox.queue import ReconcileDeals, TaskQueue
from pipetest.outbox.recognition import Matches, holds_most, match
from pipetest.outbox.tasks import DealTask, Miss, OrganizationTask


class Reconciliation:
    """Adopts what it finds. ``settle`` is in seconds.

    In a ``dry_run`` it stores no organization as reconciled: beside a dry run others may create deals there.
    """

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
        dry_run: bool,
    ) -> None:
        self._queue = queue
        self._breaker = breaker
        self._progress = progress
        self._pipedrive = pipedrive
        self._store = store
        self._time = time
        self._settle = settle
        self._dry_run = dry_run

    async def find_organizations(self, tasks: Sequence[OrganizationTask]) -> None:
        """Adopt the organizations that are in Pipedrive already. Those of which there are several come last, as their
        deals tell which it is."""
        miss = self._miss_from_now()
        found = await self._pipedrive.organizations([task.name for task in tasks])
        changes: list[Change] = []
        for task in tasks:
            task.answered()
            match found.get(key(task.name), ()):
                case []:
                    task.missed(miss)
                case [record]:
                    changes.append(self._organization_found(task, record.id))
        if changes:
            await self._store.save(*changes)
        for task in tasks:
            if len(several := found.get(key(task.name), ())) > 1:
                await self._choose_organization(task, [record.id for record in several])

    async def _choose_organization(self, task: OrganizationTask, ids: Sequence[int]) -> None:
        """Adopt the one that holds most of the user's deals; and their deals, in whichever they are."""
        deals = {organization_id: await self._deals_in(organization_id) for organization_id in ids}
        gists = {deal.gist_id: deal for deal in task.deals.values() if not deal.in_progress}
        chosen = holds_most(deals, gists)
        self._warn_of_surplus("organization", task.name, [other for other in ids if other != chosen])
        matches = match(gists, [deal for listed in deals.values() for deal in listed])
        changes: list[Change] = [DealChange(gist_id, Done(deal_id)) for gist_id, deal_id in matches.adopted.items()]
        changes.append(self._organization_found(task, chosen))
        self._adopt(gists, matches)
        await self._store.save(*changes)

    def _organization_found(self, task: OrganizationTask, organization_id: int) -> Change:
        """It is the user's from now on; returns the change, yet to be stored."""
        there = "{user}: organization {organization_id} is in Pipedrive already"
        self._log.info(there, event="organization_found", user=task.name, organization_id=organization_id)
        return self._progress.organization_seen(task, Organization(Done(organization_id)))

    async def reconcile_deals(self, action: ReconcileDeals) -> None:
        """List the organization's deals, and adopt those of its gists."""
        parent, miss, begun_at = action.parent, self._miss_from_now(), self._time.wall()
        found = await self._deals_in(action.organization_id)
        judged = {d.gist_id: d for d in parent.deals.values() if not d.in_progress or d in action.deals}
        matches = match(judged, found)
        changes: list[Change] = [DealChange(gist_id, Done(deal_id)) for gist_id, deal_id in matches.adopted.items()]
        still_ours = parent.state == Done(action.organization_id)  # it may have been given up meanwhile
        if still_ours and parent.organization.reconciled_at is None:
            self._queue.set_organization(parent, Organization(parent.state, rules.reconciled_at(begun_at, found)))
            if not self._dry_run:
                changes.append(parent.change)
        for deal in parent.deals.values():
            if deal.gist_id not in judged:
                deal.unreconciled()
        for task in action.tasks:
            task.answered()
        for deal in action.deals if still_ours else ():
            deal.searched(miss)
        self._adopt(judged, matches)
        if changes:
            await self._store.save(*changes)

    async def organization_is_gone(self, task: DealTask, organization_id: int) -> bool:
        """Pipedrive has refused to create the deal in it: is it at fault? If so, it is given up, so that it is searched
        for by name, or else created anew.

        Not while it is so young that it may just not be listed yet. Nor before every other deal that may be in it was
        searched for there, as deals outlive their organization. This deal stays ``sent``: whatever takes the
        organization's place may hold it already.
        """
        parent = task.parent
        if await self._pipedrive.organization_exists(organization_id):
            parent.seen(self._time.monotonic())
            return False
        now = self._time.monotonic()
        self._progress.schedule([task])
        if parent.state != Done(organization_id):
            return True  # another gist has found that out already
        unseen = [
            other for other in parent.deals.values() if other is not task and self._queue.needs_search(other, now)
        ]
        wait = self._settle if unseen else rules.wait_until_deleted(parent.last_seen, now, settle=self._settle)
        if wait > 0.0:
            self._progress.schedule([task, *unseen, parent], wait)  # one may have been created just before it went
            return True
        gone = "{user}: organization {organization_id} was deleted in Pipedrive"
        self._log.warn(gone, event="organization_deleted", user=parent.name, organization_id=organization_id)
        await self._store.save(self._progress.organization_seen(parent, Organization()))
        return True

    async def _deals_in(self, organization_id: int) -> Sequence[Found]:
        """The organization's deals; none if it turns out to be gone and its list is refused again and again."""
        for _ in range(FAILURE_THRESHOLD):
            try:
                return await self._pipedrive.deals(organization_id)
            except Refused as e:
                if e.status not in (400, 404) or await self._pipedrive.organization_exists(organization_id):
                    raise
        return ()

    def _adopt(self, deals: Mapping[str, DealTask], matches: Matches) -> None:
        """Take over what was found at once, before it is stored, so that nobody else begins to create it."""
        for gist_id, deal_id in matches.adopted.items():
            self._queue.set_state(deals[gist_id], Done(deal_id))
            self._progress.deal_done(deals[gist_id], deal_id, FOUND)
            self._warn_of_surplus("deal", gist_id, matches.surplus.get(gist_id, ()))

    def _warn_of_surplus(self, kind: str, name: str, ids: Sequence[int]) -> None:
        if ids:
            self._log.warn(
                "Pipedrive holds more than one {kind} named {name}: {surplus} left alone",
                event="surplus_found",
                kind=kind,
                name=name,
                surplus=list(ids),
            )

    def _miss_from_now(self) -> Miss:
        """What a search that begins now says of everything it does not find."""
        return Miss(self._time.monotonic(), self._breaker.epoch)
