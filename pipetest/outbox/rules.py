"""The rules of "once", pure: what the outcome of a create means, and what a record needs next.

A record goes from ``wanted`` to ``sent`` to ``done``, or to ``quarantined``. ``sent`` is durable before a create
request leaves, so no request of a record in another state can be on its way. Here ``now`` is monotonic seconds and
``now_at`` seconds since the epoch.
"""

from msgspec import Struct

from pipetest.domain.model import (
    AccountRefuses,
    Created,
    Done,
    NotAllowed,
    NotNow,
    Organization,
    Outcome,
    Quarantined,
    RefusedForGood,
    Sent,
    State,
    Unknown,
)

QUARANTINE_S = 24 * 3600.0
"""A quarantined record is tried again once a day: people fix what was refused, and nobody tells us."""

FRESH_S = 600.0
"""A search that found nothing, or a decision to create, counts for this long: meanwhile people may import deals from
Pipedrive's waiting list."""

CLOCKS_DIFFER_S = 300.0
"""GitHub's clock and ours differ by no more than this."""

SINCE_EVER = 0.0
"""``reconciled_at`` of an organization that pipetest created: it never held a deal that the outbox does not know."""


class NotSent(Struct, frozen=True):
    """The create did not leave: nothing was made, and nothing will be. It can be tried again after ``wait`` seconds."""

    wait: float = 0.0


class Step(Struct, frozen=True):
    """A record comes to this state, and can go on after so many seconds."""

    state: State
    wait: float = 0.0


def next_step(outcome: Outcome | NotSent, before: State, now_at: float, *, settle: float) -> Step:
    """Where a record goes from a create that ended like this; ``before`` is its state before that create.

    A refusal says nothing about earlier requests: what was ``sent`` before it may still have been created. Where the
    circuit breaker sets a wait, none is set here.
    """
    match outcome:
        case Created(id):
            return Step(Done(id))
        case NotSent(wait):
            return Step(before, wait)
        case NotNow() | AccountRefuses() | NotAllowed(capped=False):
            return Step(before)
        case RefusedForGood(reason, status=status, code=code):
            return Step(Quarantined(reason, now_at, was_sent(before), status, code), QUARANTINE_S)
        case NotAllowed():
            return Step(Sent())  # it may be on Pipedrive's waiting list: it is searched for first
        case Unknown():
            return Step(Sent(), settle)  # it may surface for so long, and is searched for then


def wait_after_start(state: State, now_at: float, *, settle: float) -> float:
    """Seconds until a record that was just loaded can go on."""
    match state:
        case Sent():
            return settle
        case Quarantined(since_at=since_at):
            # Where the clock is behind ``since_at`` it was wrong then or is wrong now: a day from now will do.
            return min(max(0.0, since_at + QUARANTINE_S - now_at), QUARANTINE_S)
        case _:
            return 0.0


def was_sent(state: State) -> bool:
    """Whether it may be in Pipedrive, or surface there, without our knowledge."""
    return isinstance(state, Sent) or (isinstance(state, Quarantined) and state.sent)


def is_fresh(age: float) -> bool:
    """Whether a search that began ``age`` seconds ago still counts."""
    return age <= FRESH_S


def needs_search(state: State, miss_age: float, *, reconciled: bool) -> bool:
    """Whether Pipedrive has to be searched for a deal before it may be created.

    ``miss_age`` is how many seconds ago the last search began that did not find it, infinite without one;
    ``reconciled``: only creates that this database knows of can have made it.
    """
    return (was_sent(state) or not reconciled) and not is_fresh(miss_age)


def reconciled_at(begun_at: float, *made_at: float) -> float:
    """Since when no deal is unknown, after a search that began at ``begun_at`` and found deals made at these moments.

    ``begun_at`` is by our clock, which may be far behind just after a start; Pipedrive tells when each deal was made,
    and no gist is written after its deal is made.
    """
    return max([begun_at, *made_at])


def is_reconciled(created_at: float, reconciled_at: float | None, *, listed: bool) -> bool:
    """Whether a gist that is recorded now need not be searched for in an organization that was reconciled before.

    It need not if it was written since, or if the list of all deals was read and would have shown its deal
    (``listed``). Any other may have been recorded before, and its deal made, by a process whose last commits are
    missing in a database that was restored.
    """
    return reconciled_at is not None and (listed or created_at >= reconciled_at + CLOCKS_DIFFER_S)


def may_be_forgotten(state: State | None, *, is_known: bool) -> bool:
    """Whether a deal that is newer than all known ones shows that this is an older database: no create that it knows of
    can have made it. ``state`` is that of its gist, None if that is done or the feed lacks it; ``is_known``: another
    deal of the gist is known here, so this one is a copy."""
    return not is_known and (state is None or not was_sent(state))


def ready_organization(organization: Organization) -> int | None:
    """The id of an organization in which deals may be created: it is known, and it is reconciled."""
    match organization:
        case Organization(Done(int(id)), reconciled_at=float()):
            return id
        case _:
            return None


def wait_until_deleted(last_seen: float, now: float, *, settle: float) -> float:
    """Seconds until an organization that Pipedrive does not show any more counts as deleted.

    One created or seen less than a settle time ago may just not be listed yet: Pipedrive's reads lag its writes.
    """
    return max(0.0, last_seen + settle - now)
