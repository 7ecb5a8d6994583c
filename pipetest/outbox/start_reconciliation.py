"""What comes before the first create after a start: learning what Pipedrive holds and this store does not know.

An unreconciled store has to learn all of it. Any other compares itself with Pipedrive: deals that are newer than all
that it knows show that it is an older database, put back without a word, and then it is unreconciled as well.
"""

from collections.abc import Callable, Mapping
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace
from twisted.logger import Logger

from pipetest.domain.errors import Denied, Transient
from pipetest.domain.interfaces import DealList, Pipedrive, Store, Time
from pipetest.domain.model import Done
from pipetest.outbox import rules
from pipetest.outbox.breaker import CircuitBreaker
from pipetest.outbox.intake import Intake
from pipetest.outbox.prerequisites import StoreTask
from pipetest.outbox.progress import FOUND, Progress
from pipetest.outbox.queue import TaskQueue
from pipetest.outbox.recognition import gist_of
from pipetest.outbox.registry import TaskRegistry
from pipetest.outbox.whole_list import MOST_REPORTED, Recognised, reads_whole_list

LISTED = "listed"
"""The store's name for what is known of the company's deals."""

ADOPTED_AT_ONCE = 1_000
"""Deals that are adopted in one commit: to adopt a hundred thousand at once would hold up the reactor."""


class Listed(Struct, frozen=True):
    """Deals up to the id ``newest`` were looked at, and show no older database any more. ``whole_at`` is, in a
    reconciled store, what :attr:`pipetest.outbox.registry.TaskRegistry.listed_at` is."""

    newest: int = 0
    whole_at: float | None = None


class StartReconciliation:
    """``tokens_a_day`` are infinite while nobody tells them. A ``dry_run`` stores nothing."""

    _log = Logger()

    def __init__(
        self,
        tasks: TaskRegistry,
        queue: TaskQueue,
        breaker: CircuitBreaker,
        progress: Progress,
        intake: Intake,
        pipedrive: Pipedrive,
        store: Store,
        time: Time,
        tokens_a_day: Callable[[], float],
        *,
        dry_run: bool,
    ) -> None:
        self._tasks = tasks
        self._queue = queue
        self._breaker = breaker
        self._progress = progress
        self._intake = intake
        self._pipedrive = pipedrive
        self._store = store
        self._time = time
        self._tokens_a_day = tokens_a_day
        self._dry_run = dry_run
        self._task = StoreTask(due=0.0)
        self._settled = 0.0
        self._unreconciled = False
        self._listed = Listed()
        self._deals: DealList | None = None
        self._recognised = Recognised()
        self._began_at = 0.0

    @property
    def activity(self) -> str | None:
        """What it does, for people; None before it has begun, and when it is done."""
        if self._deals is not None:
            return f"all deals in Pipedrive are listed first, {len(self._recognised):,} of gists so far"
        return "newer deals in Pipedrive are looked for first" if self._task.in_progress else None

    async def begin(self) -> None:
        """Nothing is created before :meth:`run` has come to its end. It begins when something could be created."""
        self._settled = self._time.monotonic() + self._progress.settle
        self._unreconciled = self._store.unreconciled
        self._listed = await self._store.get_value(LISTED, Listed) or Listed()
        self._queue.reconcile_first(self._task)
        if self._unreconciled:
            self._listed = Listed()
            self._wait_until_settled()
        elif self._listed.whole_at is not None:
            self._tasks.whole_list_read(self._listed.whole_at)

    async def run(self) -> None:
        """Learn what there is to learn. What fails can be run again: it goes on where it was."""
        if not self._unreconciled:
            await self._compare()
        if self._unreconciled and self._time.monotonic() >= self._settled:
            await self._reconcile()
        if not self._unreconciled:
            self._queue.store_reconciled()

    def _wait_until_settled(self) -> None:
        """Requests of an earlier life that this store knows nothing of may still surface in Pipedrive."""
        wait_s = self._settled - self._time.monotonic()
        if wait_s > 0.0:
            self._breaker.hold_until(self._settled)
            held = "nothing is created for {wait_s:.0f} s: what was sent before may still show up in Pipedrive"
            self._log.info(held, event="creation_held", wait_s=wait_s)

    # --- a reconciled store -------------------------------------------------------------------------------------------

    async def _compare(self) -> None:
        known = max(await self._store.newest_deal(), self._listed.newest)
        newest, recognised = known, dict[str, int]()
        deals = self._pipedrive.newer_deals(known)
        while (found := await deals.next()) is not None:
            for deal in found:
                newest = max(newest, deal.id)
                if (gist_id := gist_of(deal)) is not None:
                    recognised[gist_id] = deal.id
        if forgotten := await self._forgotten(recognised):
            await self._unreconcile(forgotten)
        elif newest != self._listed.newest:
            await self._put(replace(self._listed, newest=newest))

    async def _forgotten(self, recognised: Mapping[str, int]) -> list[int]:
        """Those of these newer deals, by gist, that an earlier life must have made."""
        known = await self._store.known_deals(recognised)
        return [
            deal_id
            for gist_id, deal_id in recognised.items()
            if rules.may_be_forgotten(self._tasks.state_of(gist_id), is_known=gist_id in known)
        ]

    async def list_all_again(self) -> None:
        """A deal may be in an organization in which nobody would look for it: nothing more is created before all deals
        were listed; nothing follows where that is too dear. Returns when it is stored."""
        if not self._unreconciled and self._reads_whole_list(await self._pipedrive.newest_deal()):
            self._log.info("all deals are listed again: some may have been moved", event="deals_listed_again")
            await self._forget_reconciled()
            self._queue.reconcile_first(self._task)

    async def _forget_reconciled(self) -> None:
        if not self._dry_run:
            await self._store.mark_unreconciled()
        self._tasks.nothing_reconciled()
        self._unreconciled = True

    async def _unreconcile(self, forgotten: list[int]) -> None:
        self._log.warn(
            "Pipedrive holds deals that are unknown here ({deals}; the first one is {deal}): this is an older "
            "database, or somebody else made them; nothing is created before it is known which deals there are",
            event="database_older",
            deals=len(forgotten),
            deal=min(forgotten),
        )
        await self._forget_reconciled()
        self._wait_until_settled()

    # --- an unreconciled one ------------------------------------------------------------------------------------------

    async def _reconcile(self) -> None:
        if self._deals is None:
            newest = await self._pipedrive.newest_deal()
            if not self._reads_whole_list(newest):
                too_many = "Pipedrive holds too many deals to list them all: each organization is listed instead"
                self._log.info(too_many, event="organizations_listed")
                await self._reconciled(Listed(newest))
                return
            self._began_at = self._time.wall()
            self._deals, self._recognised = self._pipedrive.all_deals(self._began_at), Recognised()
        await self._list_all(self._deals)
        await self._adopt_all()
        listed_at = rules.reconciled_at(self._began_at, self._recognised.made_at)
        await self._reconciled(Listed(self._recognised.newest, listed_at))
        self._deals, self._recognised = None, Recognised()

    def _reads_whole_list(self, newest_deal: int) -> bool:
        return reads_whole_list(newest_deal, len(self._tasks.organizations()), self._tokens_a_day())

    async def _list_all(self, deals: DealList) -> None:
        try:
            while (found := await deals.next()) is not None:
                self._recognised.add(found)
        except (Transient, Denied):
            raise  # it goes on at this page
        except Exception:
            self._deals = None
            raise

    async def _adopt_all(self) -> None:
        deals = iter(self._recognised.adopted().items())
        while some := dict(islice(deals, ADOPTED_AT_ONCE)):
            if not self._dry_run:
                self._intake.skipped_no_more(await self._store.adopt(some))
            for gist_id, deal_id in some.items():
                if (task := self._tasks.deal(gist_id)) is not None:
                    self._tasks.set_state(task, Done(deal_id))
                    self._progress.deal_done(task.entry, deal_id, FOUND)
        surplus = self._recognised.surplus()
        for gist_id, ids in islice(surplus.items(), MOST_REPORTED):
            self._progress.warn_of_surplus("deal", gist_id, ids)
        if len(surplus) > MOST_REPORTED:
            in_all = "Pipedrive holds more than one deal of {gists} gists in all"
            self._log.warn(in_all, event="surplus_counted", gists=len(surplus))

    async def _reconciled(self, listed: Listed) -> None:
        await self._put(listed)
        if not self._dry_run:
            await self._store.mark_reconciled(listed.whole_at)
            if listed.whole_at is not None:
                self._tasks.whole_list_read(listed.whole_at)
        self._unreconciled = False

    async def _put(self, listed: Listed) -> None:
        self._listed = listed
        if not self._dry_run:
            await self._store.put_value(LISTED, listed)
