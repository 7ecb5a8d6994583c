"""Searches Pipedrive for what may be there without our knowledge, and adopts it; says which organization is gone."""

from collections.abc import Awaitable, Mapping, Sequence

from twisted.logger import Logger

from pipetest.domain.errors import Denied, RateLimited, Refused, ServiceError
from pipetest.domain.interfaces import Pipedrive, Store, Time
from pipetest.domain.model import Change, DealChange, Done, Found, Organization, key
from pipetest.outbox import rules
from pipetest.outbox.actions import ReconcileDeals
from pipetest.outbox.breaker import CircuitBreaker
from pipetest.outbox.intake import Intake
from pipetest.outbox.pause import FAILURE_THRESHOLD
from pipetest.outbox.progress import FOUND, Progress
from pipetest.outbox.recognition import Matches, holds_more_than_half, holds_most, match
from pipetest.outbox.registry import TaskRegistry
from pipetest.outbox.start_reconciliation import StartReconciliation
from pipetest.outbox.tasks import DealTask, Miss, OrganizationTask
from pipetest.outbox.whole_list import Recognised

ASKED = 100
"""So many of a user's known deals tell where they live: as many as one request can ask for."""


class SearchFailed(Exception):
    """A question about one organization alone failed with this ``error``; those after it have not been asked about."""

    def __init__(self, task: OrganizationTask, error: ServiceError) -> None:
        super().__init__(str(error))
        self.task = task
        self.error = error


class Reconciliation:
    """Adopts what it finds. In a ``dry_run`` it stores nothing: beside a dry run others may create deals."""

    _log = Logger()

    def __init__(
        self,
        tasks: TaskRegistry,
        breaker: CircuitBreaker,
        progress: Progress,
        intake: Intake,
        start_reconciliation: StartReconciliation,
        pipedrive: Pipedrive,
        store: Store,
        time: Time,
        *,
        dry_run: bool,
    ) -> None:
        self._tasks = tasks
        self._breaker = breaker
        self._progress = progress
        self._intake = intake
        self._start_reconciliation = start_reconciliation
        self._pipedrive = pipedrive
        self._store = store
        self._time = time
        self._dry_run = dry_run
        self._giving_up: set[str] = set()

    async def find_organizations(self, tasks: Sequence[OrganizationTask]) -> None:
        """Adopt the organizations that are in Pipedrive already. Users of whose name there are several, or none though
        deals are known, come last, one by one: more has to be asked about each.

        :raises SearchFailed: that failed for one of them, for a reason that may be its own.
        """
        miss = self._miss_from_now()
        found = await self._pipedrive.organizations([task.name for task in tasks])
        deals = await self._store.newest_deals([task.name for task in tasks if not found.get(key(task.name))], ASKED)
        changes: list[Change] = []
        undecided: list[OrganizationTask] = []
        for task in tasks:
            match found.get(key(task.name), ()):
                case [record]:
                    task.answered()
                    changes.append(self._organization_found(task, record.id))
                case [] if key(task.name) not in deals:
                    task.answered()
                    task.missed(miss)
                case _:
                    undecided.append(task)
        if changes:
            await self._save(*changes)
        for task in undecided:
            several = [record.id for record in found.get(key(task.name), ())]
            if several:
                await self._search_for_one(task, self._choose_organization(task, several))
            else:
                await self._search_for_one(task, self._find_by_deals(task, deals[key(task.name)], miss))

    async def _search_for_one(self, task: OrganizationTask, search: Awaitable[None]) -> None:
        """Where it fails, only this task has to wait, unless the reason concerns every request."""
        try:
            await search
        except (Denied, RateLimited):
            raise
        except ServiceError as e:
            raise SearchFailed(task, e) from e
        task.answered()

    async def _find_by_deals(self, task: OrganizationTask, deals: Sequence[int], miss: Miss) -> None:
        """No organization has the user's name: adopt the one in which the known deals are."""
        if (home := await self._home_of(deals)) is None:
            task.missed(miss)
        else:
            await self._save(self._moved(task, home))

    async def _home_of(self, deals: Sequence[int]) -> int | None:
        """The living organization in which more than half of these deals are, whatever its name is."""
        places = await self._pipedrive.organizations_of(deals)
        home = holds_more_than_half(list(places.values()))
        return home if home is not None and await self._pipedrive.organization_exists(home) else None

    async def _choose_organization(self, task: OrganizationTask, ids: Sequence[int]) -> None:
        """Adopt the one that holds most of the user's deals; and their deals, in whichever they are."""
        deals = {organization_id: await self._deals_in(organization_id) for organization_id in ids}
        gists = {deal.gist_id: deal for deal in task.deals.values() if not deal.in_progress}
        chosen = holds_most(deals, gists)
        self._progress.warn_of_surplus("organization", task.name, [other for other in ids if other != chosen])
        matches = match(gists, [deal for listed in deals.values() for deal in listed])
        changes: list[Change] = [DealChange(gist_id, Done(deal_id)) for gist_id, deal_id in matches.adopted.items()]
        changes.append(self._organization_found(task, chosen))
        self._adopt(gists, matches)
        await self._save(*changes)

    def _moved(self, task: OrganizationTask, organization_id: int) -> Change:
        """It is the user's from now on, as that is where most of the known deals are; returns the change, yet to be
        stored. Deals of other gists may be there as well, so it is reconciled before the first create."""
        there = "{user}: most deals are in organization {organization_id} now, so new ones go there as well"
        self._log.warn(there, event="organization_moved", user=task.name, organization_id=organization_id)
        return self._progress.organization_seen(task, Organization(Done(organization_id)))

    def _organization_found(self, task: OrganizationTask, organization_id: int) -> Change:
        """It is the user's from now on; returns the change, yet to be stored."""
        there = "{user}: organization {organization_id} is in Pipedrive already"
        self._log.info(there, event="organization_found", user=task.name, organization_id=organization_id)
        change = self._progress.organization_seen(task, Organization(Done(organization_id), self._tasks.listed_at))
        task.short_ids_unreconciled()
        return change

    async def reconcile_deals(self, action: ReconcileDeals) -> None:
        """List the organization's deals, and adopt those of its gists."""
        parent, miss, begun_at = action.parent, self._miss_from_now(), self._time.wall()
        found = await self._deals_in(action.organization_id)
        if parent.organization.reconciled_at is None:
            await self._adopt_without_task(found)
        judged = {d.gist_id: d for d in parent.deals.values() if not d.in_progress or d in action.deals}
        matches = match(judged, found)
        changes: list[Change] = [DealChange(gist_id, Done(deal_id)) for gist_id, deal_id in matches.adopted.items()]
        still_ours = parent.state == Done(action.organization_id)  # it may have been given up meanwhile
        if still_ours and parent.organization.reconciled_at is None:
            self._tasks.set_organization(
                parent, Organization(parent.state, rules.reconciled_at(begun_at, *(deal.made_at for deal in found)))
            )
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
            await self._save(*changes)

    async def organization_is_gone(self, task: DealTask, organization_id: int, *, was_sent: bool) -> bool:
        """Whether Pipedrive has refused to create the deal because its organization is gone.

        One that is gone is given up: for the one in which most of the user's deals are now, as after a merge; else it
        is searched for by name, or created anew. That waits until it has not been seen for a settle time, as a new one
        may not be listed yet; and until every other deal that may be in it was searched for there, as deals outlive
        their organization. This deal stays ``sent``: whatever takes the organization's place may hold it already.

        Where it ``was_sent`` before, or others were, people may have merged the organization after they were created in
        it, into any other: then all deals are listed first.
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
            other
            for other in parent.deals.values()
            if other is not task and other.needs_search(now, self._breaker.epoch)
        ]
        wait = (
            self._progress.settle
            if unseen
            else rules.wait_until_deleted(parent.last_seen, now, settle=self._progress.settle)
        )
        if wait:
            self._progress.schedule([task, *unseen, parent], wait)  # one may have been created just before it went
            return True
        if parent.key not in self._giving_up:
            others = (other for other in parent.deals.values() if other is not task)
            in_doubt = was_sent or any(rules.was_sent(other.state) for other in others)
            await self._give_up(parent, organization_id, in_doubt=in_doubt)
        return True

    async def _give_up(self, task: OrganizationTask, organization_id: int, *, in_doubt: bool) -> None:
        """Its gists wait until it is known where they go."""
        self._giving_up.add(task.key)
        self._progress.schedule([task], self._progress.settle)
        try:
            deals = (await self._store.newest_deals([task.name], ASKED)).get(key(task.name))
            home = await self._home_of(deals) if deals else None
            if in_doubt:
                await self._start_reconciliation.list_all_again()
        finally:
            self._giving_up.discard(task.key)
        gone = "{user}: organization {organization_id} was deleted in Pipedrive"
        self._log.warn(gone, event="organization_deleted", user=task.name, organization_id=organization_id)
        change = self._progress.organization_seen(task, Organization()) if home is None else self._moved(task, home)
        await self._save(change)

    async def _deals_in(self, organization_id: int) -> Sequence[Found]:
        """The organization's deals; none if it turns out to be gone and its list is refused again and again."""
        for _ in range(FAILURE_THRESHOLD):
            try:
                return await self._pipedrive.deals(organization_id)
            except Refused as e:
                if e.status not in (400, 404) or await self._pipedrive.organization_exists(organization_id):
                    raise
        return ()

    async def _adopt_without_task(self, found: Sequence[Found]) -> None:
        """Adopt deals of gists that are skipped: they show what was wanted before this database was. Those of gists
        that are yet to be recorded are kept."""
        recognised = Recognised()
        recognised.add(found)
        adopted = {g: deal_id for g, deal_id in recognised.adopted().items() if self._tasks.deal(g) is None}
        if adopted and not self._dry_run:
            self._intake.skipped_no_more(await self._store.adopt(adopted))

    def _adopt(self, deals: Mapping[str, DealTask], matches: Matches) -> None:
        """Take over what was found at once, before it is stored, so that nobody else begins to create it."""
        for gist_id, deal_id in matches.adopted.items():
            self._tasks.set_state(deals[gist_id], Done(deal_id))
            self._progress.deal_done(deals[gist_id].entry, deal_id, FOUND)
            self._progress.warn_of_surplus("deal", gist_id, matches.surplus.get(gist_id, ()))

    async def _save(self, *changes: Change) -> None:
        if not self._dry_run:
            await self._store.save(*changes)

    def _miss_from_now(self) -> Miss:
        """What a search that begins now says of everything it does not find."""
        return Miss(self._time.monotonic(), self._breaker.epoch)
