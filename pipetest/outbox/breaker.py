"""A circuit breaker over all creates: whether they go out freely, one at a time, or not at all; and one more for each
kind of record. Pure; moments are monotonic seconds."""

from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from pipetest.domain.errors import Denied, RateLimited, ServiceError, Unanswered
from pipetest.domain.model import (
    AccountRefuses,
    Created,
    NotAllowed,
    NotNow,
    Outcome,
    Quarantined,
    RefusedForGood,
    State,
    Unknown,
)
from pipetest.outbox.pause import FAILURE_THRESHOLD, Pause, counts, misfit_pause, paused
from pipetest.outbox.tasks import KINDS, Kind, OrganizationTask, Task

NOT_NOW_S = 2.0
"""Where a 429 names no wait: Pipedrive's burst window."""


class Cause(Struct, frozen=True):
    """What the refusals of several records have in common. Without a ``status`` it is not known."""

    status: int
    code: str


class KindBreaker:
    """Whether records of one kind may be created: organizations, or deals. A 403 is about them.

    An organization that meets one is put off alone. Once two have met one since the last success, the whole kind is
    paused; and at once where the account has as many open deals as it may (a cap), which concerns all of them.
    ``probe`` is the key of the record that met the cap, the only one that is tried meanwhile, as each that is tried may
    end up on Pipedrive's waiting list.
    """

    def __init__(self) -> None:
        self.pause: Pause | None = None
        self.probe: str | None = None
        self._met: dict[OrganizationTask, str] = {}

    def allows(self, now: float) -> bool:
        """Whether a create of this kind may leave."""
        return self.pause is None or now >= self.pause.not_before

    def refusal(self, waiting: Iterable[OrganizationTask]) -> str | None:
        """Why none of the organizations that wait for a record of the kind gets one; None while some may, or none
        waits."""
        if self.pause is None and not self._met:
            return None
        reasons = [self._met.get(organization) for organization in waiting]
        if self.pause is not None:
            return self.pause.reason if reasons else None
        return reasons[0] if reasons and all(reasons) else None

    def not_allowed(self, task: Task, outcome: NotAllowed, now: float) -> None:
        if not outcome.capped:
            self._met[task.organization_task] = outcome.reason
            task.organization_task.put_off(outcome.reason, now)
        if counts(self.pause, now) and (outcome.capped or self.pause is not None or len(self._met) > 1):
            self.pause = paused(self.pause, outcome.reason, now, lasting=outcome.capped)
            self.probe = (self.probe or task.key) if outcome.capped else None

    def failed(self, now: float) -> None:
        """A create of the kind was refused, or lost, for another reason: that does not show that this one is over."""
        if self.pause is not None and counts(self.pause, now):
            self.pause = paused(self.pause, self.pause.reason, now, lasting=self.probe is not None)

    def succeeded(self, now: float) -> None:
        """A create of the kind has succeeded. One that was under way when the cap was met says nothing about it."""
        if self.probe is None or counts(self.pause, now):
            self._end()

    def found(self, task: Task) -> None:
        """Pipedrive holds this record: where it is the probe that met the cap, people have made room."""
        if task.key == self.probe:
            self._end()

    def release_probe(self, keys: Collection[str]) -> None:
        """These cannot be tried now: no other record need wait for them."""
        if self.probe in keys:
            self.probe = None

    def _end(self) -> None:
        """Whoever met the same refusal may try at once, one record each."""
        if self.pause is not None:
            for organization in self._met:
                organization.try_now()
        self.pause = self.probe = None
        self._met.clear()


class CircuitBreaker:
    """Closed, it lets creates through. Half-open, it lets one through at a time, with waits. Open, while the account
    refuses every create, it lets one probe from time to time.

    Once ``epoch`` has changed, the outcome of an earlier create counts no more, nor does an earlier search; and a
    create that has not left yet does not leave. Nothing starts before ``not_before``. ``refusal`` is why the account
    refuses every create; ``misfit`` what of the template doesn't fit; ``kinds`` are the breakers of each kind of
    record.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.kinds: Mapping[Kind, KindBreaker] = {kind: KindBreaker() for kind in KINDS}
        self._held_until = 0.0
        self._open: Pause | None = None
        self._half_open: Pause | None = None
        self._misfit: Pause | None = None
        self._after_look_up = False  # nothing was created since: the first create goes alone
        self._search_refused = False  # the account refused a search, so one that is answered shows that this is over
        self._unknown_in_a_row = 0
        self._refused_in_a_row: set[OrganizationTask] = set()
        self._cause: Cause | None = None  # of the last refusal for good

    @property
    def refusal(self) -> str | None:
        return None if self._open is None else self._open.reason

    @property
    def misfit(self) -> str | None:
        return None if self._misfit is None else self._misfit.reason

    @property
    def half_open(self) -> bool:
        return self._half_open is not None

    @property
    def retries_refused(self) -> bool:
        """Whether to try what is in quarantine, where nothing else shows that a row of failures is over."""
        return self._half_open is not None and self._half_open.retries_refused

    @property
    def closed(self) -> bool:
        return self._open is None and self._half_open is None and self._misfit is None and not self._after_look_up

    @property
    def not_before(self) -> float:
        pauses = (pause for pause in (self._open, self._half_open, self._misfit) if pause is not None)
        return max([self._held_until, *(pause.not_before for pause in pauses)])

    @property
    def pauses(self) -> Mapping[Kind, Pause]:
        """Of the kinds that are paused."""
        return {kind: breaker.pause for kind, breaker in self.kinds.items() if breaker.pause is not None}

    def allows(self, under_way: int, now: float) -> bool:
        """Whether one more action may start, whichever it is."""
        return now >= self.not_before and (self.closed or under_way == 0)

    def admits(self, task: Task, now: float) -> bool:
        """Whether a create of this record, begun a moment ago, may still leave."""
        pause = task.organization_task.pause
        return self.kinds[task.kind].allows(now) and (pause is None or now >= pause.not_before)

    # --- what changes it ----------------------------------------------------------------------------------------------

    def new_epoch(self) -> None:
        """Let nothing count that was under way before."""
        self.epoch += 1

    def hold_until(self, moment: float) -> None:
        """Let nothing start before this moment."""
        self._held_until = max(self._held_until, moment)

    def template_misfits(self, reason: str, now: float) -> None:
        """Nothing is created before a look-up finds that the template fits."""
        self._misfit = misfit_pause(self._misfit, reason, now)
        self.new_epoch()

    def template_fits(self) -> None:
        """So the look-up says; whether it is so, the first create shows."""
        self._misfit, self._after_look_up = None, True
        self.new_epoch()

    def no_names(self) -> None:
        """The template names nothing that could be missing."""
        self._misfit = None

    def look_up_now(self) -> None:
        """What does not fit may have been changed."""
        if self._misfit is not None:
            self._misfit = replace(self._misfit, not_before=0.0)

    def cannot_search(self, keys: Collection[str]) -> None:
        """A record that cannot even be searched for is no probe: all others would wait for it."""
        for kind in self.kinds.values():
            kind.release_probe(keys)

    def found(self, task: Task) -> None:
        """The record was found in Pipedrive, or created there."""
        self.kinds[task.kind].found(task)

    def search_answered(self) -> None:
        if self._search_refused:
            self._close()

    def search_failed(self, error: ServiceError, epoch: int, now: float) -> None:
        """A search that is refused, or told to wait, or whose answer is lost, has the consequences of such a create."""
        match error:
            case Denied() if epoch == self.epoch:
                search_refused = self._search_refused or self._open is None
                self._refuse(AccountRefuses(error.reason, lasting=error.lasting), now)
                self._search_refused = search_refused
            case RateLimited():
                self._told_to_wait(error.wait, now)
            case Unanswered() if epoch == self.epoch:
                self._lost(now)

    def create_ended(self, task: Task, before: State, outcome: Outcome, epoch: int, now: float) -> Cause | None:
        """The create of a record that was in state ``before``, begun in ``epoch``, ended at ``now``.

        Returns what refused records for good, where that may be over: others in quarantine for it may be tried.
        """
        kind = self.kinds[task.kind]
        if isinstance(outcome, Created):
            return self._succeeded(task, before, epoch, now)
        if isinstance(outcome, NotNow):
            self._told_to_wait(outcome.wait, now)
            return None
        pause = kind.pause
        if isinstance(outcome, NotAllowed):
            kind.not_allowed(task, outcome, now)
        elif not isinstance(outcome, AccountRefuses):
            kind.failed(now)
        if isinstance(outcome, RefusedForGood):
            self._count_refusal(task, before, outcome, now)
        if epoch == self.epoch:  # else it began before the last change, and says nothing about what is so now
            self._failed(task, before, outcome, now)
        if kind.pause != pause:
            self.new_epoch()
        return None

    # --- inside -------------------------------------------------------------------------------------------------------

    def _told_to_wait(self, wait: float | None, now: float) -> None:
        self.hold_until(now + (NOT_NOW_S if wait is None else wait))

    def _succeeded(self, task: Task, before: State, epoch: int, now: float) -> Cause | None:
        organization, kind = task.organization_task, self.kinds[task.kind]
        is_current, cause = epoch == self.epoch, None
        if isinstance(before, Quarantined):
            cause = Cause(before.status, before.code)
        elif organization.pause is not None or self.half_open:
            cause = self._cause
        organization.resume()
        if kind.pause is not None:
            self.new_epoch()
        kind.succeeded(now)
        if is_current:
            self._unknown_in_a_row = 0
            self._refused_in_a_row.clear()
            if not self.closed:
                self._close()
        return cause

    def _count_refusal(self, task: Task, before: State, outcome: RefusedForGood, now: float) -> None:
        """For the organization. A record from quarantine says nothing new, unless a pause lets no other be tried."""
        self._cause = Cause(outcome.status, outcome.code)
        organization = task.organization_task
        if task.kind == "deal" and (organization.pause is not None or not _was_refused(task, before)):
            organization.deal_refused(outcome.reason, now)

    def _failed(self, task: Task, before: State, outcome: Outcome, now: float) -> None:
        match outcome:
            case AccountRefuses():
                self._refuse(outcome, now)
            case Unknown():
                self._lost(now)
            case NotAllowed() | RefusedForGood():
                if self._open is not None:  # a record was judged, so the account does not refuse everything
                    self._close()
                self._unknown_in_a_row = 0
                if isinstance(outcome, RefusedForGood) and not _was_refused(task, before):
                    self._refused_in_a_row.add(task.organization_task)
                self._slow_down(now)

    def _lost(self, now: float) -> None:
        self._unknown_in_a_row += 1
        self._refused_in_a_row.clear()
        self._slow_down(now)

    def _slow_down(self, now: float) -> None:
        if self._open is not None:
            self._open = paused(self._open, self._open.reason, now)
        elif self.half_open or max(self._unknown_in_a_row, len(self._refused_in_a_row)) >= FAILURE_THRESHOLD:
            self._half_open = paused(self._half_open, "several failures in a row", now)
        else:
            return
        self.new_epoch()

    def _refuse(self, refusal: AccountRefuses, now: float) -> None:
        before = self._open
        self._close()
        self._open = paused(before, refusal.reason, now, lasting=refusal.lasting)

    def _close(self) -> None:
        self.new_epoch()
        self._open = self._half_open = None
        self._search_refused = self._after_look_up = False
        self._unknown_in_a_row = 0
        self._refused_in_a_row.clear()


def _was_refused(task: Task, before: State) -> bool:
    """Whether the record was refused before, so that one more refusal says nothing new."""
    return isinstance(before, Quarantined) or task.refused_with is not None
