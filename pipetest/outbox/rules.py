"""What an organization or a deal needs next: the rules of "once", pure.

One record moves ``wanted`` → ``sent`` → ``done``, or to ``quarantined``. ``sent`` is durable before a create request
leaves, so a record that is anything else cannot be on its way. Here ``now`` is monotonic seconds and ``now_at`` seconds
since the epoch.
"""

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from pipetest.domain.model import (
    AccountRefuses,
    Created,
    Done,
    Found,
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
"""A quarantined record is tried again once a day: people mend what refused it, and nobody tells us."""

FRESH_S = 600.0
"""A look counts for so long: between it and the create, people may import what sat on Pipedrive's waiting list."""

CLOCKS_DIFFER_S = 300.0
"""GitHub's clock and ours are no further apart."""

SINCE_EVER = 0.0
"""The mark of an organization that pipetest made itself: it never held a deal that the ledger didn't know."""


def next_state(outcome: Outcome, before: State, now_at: float) -> State:
    """The state of a record whose create request ended so; ``before`` is what it was before that request.

    A refusal tells nothing of earlier requests: what may have been carried out before still may have been.
    """
    match outcome:
        case Created(id):
            return Done(id)
        case NotNow() | AccountRefuses(capped=False):
            return before
        case RefusedForGood(reason):
            return Quarantined(reason, now_at, was_sent(before))
        case AccountRefuses() | Unknown():
            # A capped deal may sit on Pipedrive's waiting list, an unknown one may surface: both are looked for first.
            return Sent()


def due_in(state: State, now_at: float, *, settle: float) -> float:
    """Seconds until a record that has just been loaded, or has just come into ``state``, can go on."""
    match state:
        case Sent():
            return settle
        case Quarantined(since_at=since_at):
            # Where the clock is behind what it was then, it was wrong once: a day from now will do.
            return min(max(0.0, since_at + QUARANTINE_S - now_at), QUARANTINE_S)
        case _:
            return 0.0


def was_sent(state: State) -> bool:
    """Whether it may be in Pipedrive, or surface there, without our knowledge."""
    return isinstance(state, Sent) or (isinstance(state, Quarantined) and state.sent)


def needs_search(state: State, absent_for: float, *, reconciled: bool) -> bool:
    """Whether a deal has to be looked for in Pipedrive before it may be posted. ``absent_for`` is how many seconds ago
    the last look began that did not find it, infinite without one; ``reconciled`` whether the organization's mark
    speaks for it."""
    return (was_sent(state) or not reconciled) and absent_for > FRESH_S


def reconciled_at(begun_at: float, found: Sequence[Found]) -> float:
    """The mark of a look that began at ``begun_at`` by our clock, which may be far behind just after a start. No gist
    was written after its deal was made, and when the ``found`` ones were, Pipedrive tells."""
    return max([begun_at, *(deal.made_at for deal in found)])


def is_reconciled(created_at: float, reconciled_at: float | None) -> bool:
    """Whether a mark speaks for a gist recorded after it was made: for one written since. An older one may have been
    recorded, and made a deal, in a life that a restored database knows nothing of."""
    return reconciled_at is not None and created_at >= reconciled_at + CLOCKS_DIFFER_S


def ready_organization(organization: Organization) -> int | None:
    """The id of an organization in which deals may be created: known, and holding none the ledger doesn't know."""
    match organization:
        case Organization(Done(int(id)), reconciled_at=float()):
            return id
        case _:
            return None


class Matches(Struct, frozen=True):
    """What was found for each wanted name: the smallest id is adopted, the others are only reported."""

    adopted: Mapping[str, int]
    surplus: Mapping[str, Sequence[int]]


def match(names: Collection[str], found: Sequence[Found]) -> Matches:
    """Pick the record to adopt for each of ``names`` among what Pipedrive holds."""
    ids: dict[str, list[int]] = {}
    for record in found:
        if record.name in names:
            ids.setdefault(record.name, []).append(record.id)
    return Matches(
        adopted={name: min(several) for name, several in ids.items()},
        surplus={name: sorted(several)[1:] for name, several in ids.items() if len(several) > 1},
    )


def is_deleted(seen: float, now: float, *, settle: float) -> bool:
    """Whether an organization that Pipedrive does not show (last seen at ``seen``, monotonic) was deleted.

    A younger one may just not have surfaced yet: reads lag writes.
    """
    return now >= seen + settle
