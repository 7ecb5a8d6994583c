"""One piece of the creator's work, from the question to Pipedrive to the stored outcome.

What an outcome means is decided in :mod:`pipetest.outbox.rules` and :mod:`pipetest.outbox.breaker`; here it is asked,
stored and said.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

from attrs import define, field
from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from pipetest.domain.backoff import RETRY_FIRST_S
from pipetest.domain.errors import Denied, RateLimited, Refused, ServiceError, Stopping, Transient, Unsent, Unstored
from pipetest.domain.interfaces import Pipedrive, Store, Time
from pipetest.domain.model import (
    AccountRefuses,
    Change,
    Created,
    DealChange,
    Done,
    Found,
    NotNow,
    Organization,
    OrganizationChange,
    Outcome,
    RefusedForGood,
    Sent,
    State,
    Unknown,
)
from pipetest.outbox import rules
from pipetest.outbox.breaker import IN_A_ROW, CircuitBreaker
from pipetest.outbox.progress import Progress
from pipetest.outbox.queue import (
    Action,
    CreateDeal,
    CreateOrganization,
    DealTask,
    FindOrganizations,
    Miss,
    OrganizationTask,
    ReconcileDeals,
    Task,
    TaskQueue,
)

NEVER = float("inf")


@define(eq=False)
class Worker:
    """Performs pieces. ``settle`` is in seconds; in a ``dry_run`` it says what it would create.

    ``outcomes`` counts the ends of all exchanges by kind, for people to see; ``preparing`` are creates whose
    request has yet to leave. ``done`` is told each gist's id and its deal's.
    """

    _backlog: TaskQueue
    breaker: CircuitBreaker
    _pipedrive: Pipedrive
    _store: Store
    _time: Time
    _done: Callable[[str, int], None]
    _settle: float = field(kw_only=True)
    _dry_run: bool = field(kw_only=True)
    outcomes: Counter[str] = field(init=False, factory=Counter)
    preparing: int = field(init=False, default=0)
    records: Progress = field(init=False)

    _log: ClassVar = Logger()

    def __attrs_post_init__(self) -> None:
        self.records = Progress(self._backlog, self._store, self._time, self._settle)

    async def perform(self, piece: Action) -> None:
        """Do it, and leave its items due when they can go on; raises nothing that can be expected."""
        turn = self.breaker.gate.turn
        try:
            await self._do(piece, turn)
        except (Stopping, Unstored, CancelledError):
            self.records.put_off(piece.items, NEVER)
            self._log.debug("left as it is: the daemon stops")
        except Denied as e:
            self.outcomes[Denied.__name__] += 1
            self.breaker.look_refused(e, turn)
        except ServiceError as e:
            self._look_failed(piece, e, turn)
        else:
            if not isinstance(piece, CreateDeal | CreateOrganization):
                self.breaker.look_answered()

    async def _do(self, piece: Action, turn: int) -> None:
        match piece:
            case FindOrganizations(desks):
                await self._look_for_organizations(desks)
            case ReconcileDeals():
                await self._look_for_deals(piece)
            case _ if self._dry_run:
                self.say_wanted(piece.items[0])
            case CreateOrganization(desk):
                await self._make_organization(desk, turn)
            case CreateDeal():
                await self._make_deal(piece, turn)

    # --- looking ------------------------------------------------------------------------------------------------------

    async def _look_for_organizations(self, desks: Sequence[OrganizationTask]) -> None:
        absent = self._absent_now()
        found = await self._pipedrive.organizations([desk.name for desk in desks])
        changes: list[Change] = []
        for desk in desks:
            desk.attempts = 0
            records = found.get(desk.name.lower(), ())
            if not records:
                desk.absent = absent
                continue
            self._log.info(
                "{user}: organization {organization_id} is in Pipedrive already",
                user=desk.name,
                organization_id=records[0].id,
            )
            self._say_surplus("organization", desk.name, [record.id for record in records[1:]])
            changes.append(self.records.housed(desk, Organization(Done(records[0].id))))
        if changes:
            await self._store.save(*changes)

    async def _look_for_deals(self, piece: ReconcileDeals) -> None:
        desk, absent, begun_at = piece.desk, self._absent_now(), self._time.wall()
        found = await self._deals_in(piece.organization_id)
        waiting = {c.entry.gist.id: c for c in desk.deals.values() if not c.busy or c in piece.looked_for}
        matches = rules.match(waiting, found)
        changes: list[Change] = [DealChange(gist_id, Done(deal_id)) for gist_id, deal_id in matches.adopted.items()]
        there = desk.state == Done(piece.organization_id)  # it may have been given up meanwhile
        if there and desk.organization.reconciled_at is None:
            self._backlog.house(desk, Organization(desk.state, rules.reconciled_at(begun_at, found)))
            if not self._dry_run:  # while it runs dry others may create here, which a stored mark would deny
                changes.append(OrganizationChange(desk.name, desk.organization))
        for case in desk.deals.values():
            case.reconciled = case.reconciled and case.entry.gist.id in waiting
        for item in piece.items:
            item.attempts = 0
            if there and isinstance(item, DealTask):
                item.absent, item.reconciled = absent, True
        for gist_id, deal_id in matches.adopted.items():  # at once, before anybody else takes it on
            self._backlog.move(waiting[gist_id], Done(deal_id))
            self._say_done(waiting[gist_id], deal_id, "is in Pipedrive already, as deal")
            self._say_surplus("deal", gist_id, matches.surplus.get(gist_id, ()))
        if changes:
            await self._store.save(*changes)

    async def _deals_in(self, organization_id: int) -> Sequence[Found]:
        """The organization's deals; none when it turns out to be gone, and its list is refused again and again."""
        for _ in range(IN_A_ROW):
            try:
                return await self._pipedrive.deals(organization_id)
            except Refused as e:
                if e.status not in (400, 404) or await self._pipedrive.organization_exists(organization_id):
                    raise
        return ()

    def _look_failed(self, piece: Action, error: ServiceError, turn: int) -> None:
        self.outcomes[type(error).__name__] += 1
        self.breaker.look_failed(error, turn)
        self.records.put_off(piece.items, error.wait if isinstance(error, Transient) else None)
        if not isinstance(error, RateLimited) and all(item.attempts >= IN_A_ROW for item in piece.items):
            self.breaker.looks_fail([item.key for item in piece.items])
        level = self._log.info if isinstance(error, Transient) else self._log.error
        level("{reason}; asked again later", reason=str(error))

    # --- creating -----------------------------------------------------------------------------------------------------

    async def _make_organization(self, desk: OrganizationTask, turn: int) -> None:
        before = desk.state
        outcome = await self._send(desk, lambda: self._pipedrive.create_organization(desk.name), turn)
        if outcome is None:
            return
        self.breaker.create_ended(desk.key, outcome, turn)
        if isinstance(outcome, Created):
            self._log.info("{user}: organization {organization_id} created", user=desk.name, organization_id=outcome.id)
            await self._store.save(self.records.housed(desk, Organization(Done(outcome.id), rules.SINCE_EVER)))
        else:
            await self._settle_for(desk, outcome, before)

    async def _make_deal(self, piece: CreateDeal, turn: int) -> None:
        case, desk = piece.case, piece.case.parent
        create, before = self._pipedrive.create_deal, case.state
        outcome = await self._send(case, lambda: create(case.entry.gist.id, piece.organization_id), turn)
        if outcome is None:
            return
        if isinstance(outcome, RefusedForGood) and outcome.organization_in_doubt:
            if not await self._pipedrive.organization_exists(piece.organization_id):
                await self._missed(case, piece.organization_id)
                return
            desk.seen = self.records.now()
        self.breaker.create_ended(case.key, outcome, turn)
        await self._settle_for(case, outcome, before)
        if isinstance(outcome, Created):
            self._say_done(case, outcome.id, "is deal")

    async def _send(self, item: Task, create: Callable[[], Awaitable[Outcome]], turn: int) -> Outcome | None:
        """``sent``, durable, then the request; None when creation paused in between, that took too long, or the request
        could not leave.

        The commit is also the check that outcomes can be stored, so it is made even for what is ``sent`` already.
        """
        before, begun = item.state, self.records.now()
        self.preparing += 1
        try:
            await self.records.move(item, Sent())
        finally:
            self.preparing -= 1
        if turn != self.breaker.gate.turn or self.records.now() > begun + rules.FRESH_S:
            await self.records.move(item, before)
            return None
        try:
            return await self._posted(item, create)
        except Unsent as e:
            await self.records.move(item, before)
            if isinstance(e, Stopping):
                raise
            item.due = self.records.now() + RETRY_FIRST_S
            return None

    async def _posted(self, item: Task, create: Callable[[], Awaitable[Outcome]]) -> Outcome:
        absent, item.absent = item.absent, None  # a look before this request says nothing of it
        desk = item.parent if isinstance(item, DealTask) else item
        outcome, organization = None, desk.state
        try:
            outcome = await create()
        finally:
            nothing_made = outcome is None or isinstance(outcome, NotNow | RefusedForGood)
            if nothing_made and desk.state == organization:
                item.absent = absent
        # Should a further question stay unanswered, or the answer be lost: it can surface for so long from now on.
        item.due = self.records.now() + self._settle
        self.outcomes[type(outcome).__name__] += 1
        return outcome

    async def _settle_for(self, item: Task, outcome: Outcome, before: State) -> None:
        state = rules.next_state(outcome, before, self._time.wall())
        match outcome:
            case RefusedForGood(reason):
                quarantined = "{what} is quarantined for a day: {reason}"
                self._log.error(quarantined, what=item.key, reason=reason, **item.about)
            case Unknown(reason):
                lost = "{what}: {reason}; looked for in {wait_s:g} s"
                self._log.warn(lost, what=item.key, reason=reason, wait_s=self._settle, **item.about)
        await self.records.move(item, state)
        if isinstance(outcome, NotNow | AccountRefuses):
            item.due = self.records.now()  # the gate makes it wait, and the answer was no lost one

    async def _missed(self, case: DealTask, organization_id: int) -> None:
        """Pipedrive refused the deal, and does not show its organization: that is looked up by name anew. Not while it
        is too young to be seen; nor before every other deal that may be in it was looked for there, as deals outlive
        their organization. This one stays ``sent``: whatever takes the organization's place may hold it already."""
        desk, now = case.parent, self.records.now()
        case.due = now
        if desk.state != Done(organization_id):
            return  # another gist has found that out already
        unseen = [
            other for other in desk.deals.values() if other is not case and self._backlog.needs_search(other, now)
        ]
        for other in unseen:
            other.due = now + self._settle  # it may have come just before the organization went
        if unseen or not rules.is_deleted(desk.seen, now, settle=self._settle):
            case.due = desk.due = (now if unseen else desk.seen) + self._settle
            return
        gone = "{user}: organization {organization_id} is gone from Pipedrive"
        self._log.warn(gone, user=desk.name, organization_id=organization_id)
        await self._store.save(self.records.housed(desk, Organization()))

    def _absent_now(self) -> Miss:
        """What a look that begins now does not find."""
        return Miss(self.records.now(), self.breaker.gate.turn)

    # --- saying -------------------------------------------------------------------------------------------------------

    def _say_surplus(self, kind: str, name: str, ids: Sequence[int]) -> None:
        if ids:
            self._log.warn(
                "Pipedrive holds more than one {kind} named {name}: {surplus} left alone",
                kind=kind,
                name=name,
                surplus=list(ids),
            )

    def _say_done(self, case: DealTask, deal_id: int, how: str) -> None:
        gist = case.entry.gist.id
        self._done(gist, deal_id)
        self._log.info(
            "{user}: gist {gist} {how} {deal_id}", user=case.parent.name, gist=gist, how=how, deal_id=deal_id
        )

    def say_wanted(self, item: Task) -> None:
        """The dry run ends here for ``item``, and for the gists that only wait for their organization."""
        item.due = NEVER
        self._log.info("dry run: {what} would be created", what=item.key, **item.about)
        if isinstance(item, OrganizationTask):
            for case in item.deals.values():
                self.say_wanted(case)
