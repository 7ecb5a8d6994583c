"""Any history of changes, visits, restarts, crashes and full disks leaves the store as a dictionary would be."""

from collections import Counter
from collections.abc import Awaitable, Callable
from errno import ENOSPC
from random import Random
from typing import Any

from attrs import define, field
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace
from twisted.internet.defer import Deferred

from pipetest.domain.model import (
    Change,
    DealChange,
    Done,
    Entry,
    Gist,
    Organization,
    OrganizationChange,
    PassResult,
    Quarantined,
    Sent,
    User,
    Wanted,
    key,
)
from pipetest.store.tinydb.group_commit import LAZY_S, RETRY_LONGEST_S
from tests.support.simulated_disk import SimDisk, Step, error, no_fault
from tests.support.store.machine import Machine, begun, now

NAMES = st.sampled_from(["ada", "Ada", "bob", "eve"])
GISTS = st.sampled_from([Gist(f"gist {number}", float(number)) for number in range(30)])
SESSIONS = st.sampled_from(["s1", "s2", "s3"])
STATES = st.one_of(
    st.just(Wanted()), st.just(Sent()), st.builds(Done, st.integers(1, 9)), st.just(Quarantined("too long", 1.5))
)
READINGS = st.builds(
    PassResult,
    NAMES,
    st.none() | st.integers(1, 3),
    st.none() | st.sampled_from(['"a"', '"b"']),
    st.lists(GISTS, max_size=5),
    st.none() | st.integers(1, 100).map(float),
)


@define
class Expected:
    """The state as plain dictionaries. ``sessions``: position and last visit."""

    users: dict[str, User] = field(factory=dict)
    entries: dict[str, Entry] = field(factory=dict)
    notes: dict[str, int] = field(factory=dict)
    unmarked: bool = True
    sessions: dict[str, tuple[int, float]] = field(factory=dict)
    sessions_on_disk: dict[str, tuple[int, float]] = field(factory=dict)

    def record(self, reading: PassResult) -> None:
        user = self.users.get(key(reading.user), User(reading.user))
        self.users[key(reading.user)] = User(
            reading.user,
            user.owner_id if reading.owner_id is None else reading.owner_id,
            reading.etag,
            user.read_to_end_at if reading.read_to_end_at is None else reading.read_to_end_at,
            user.organization,
        )
        for gist in reading.gists:
            self.entries.setdefault(gist.id, Entry(len(self.entries) + 1, gist, reading.user))

    def save(self, changes: list[Change]) -> None:
        for change in changes:
            match change:
                case DealChange(gist_id, state):
                    entry = self.entries[gist_id]
                    if not isinstance(entry.deal, Done):
                        self.entries[gist_id] = replace(entry, deal=state)
                case OrganizationChange(name, organization):
                    self.users[key(name)] = replace(self.users[key(name)], organization=organization)

    def committed(self) -> None:
        self.sessions_on_disk = dict(self.sessions)


class Histories(RuleBasedStateMachine):
    """``waiting``: what was asked for while the disk is full; ``progress``: a session has one to be written."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = Machine(SimDisk(Random(0)))
        self.store = self.machine.start()
        self.expected = Expected()
        self.expected.committed()
        self.waiting: list[tuple[Deferred[Any], Callable[[], None]]] = []
        self.full = self.progress = False
        self.time = 0.0

    def ask(self, change: Awaitable[Any], follow: Callable[[], None]) -> None:
        self.waiting.append((begun(change), follow))
        self.settle()

    def settle(self) -> None:
        """What is acknowledged is expected from now on."""
        assert [ended.called for ended, _ in self.waiting] == [not self.full] * len(self.waiting)
        if not self.full and self.waiting:
            for _, follow in self.waiting:
                follow()
            self.waiting.clear()
            self.commit()

    def commit(self) -> None:
        self.expected.committed()
        self.progress = False

    def next_life(self) -> None:
        self.waiting.clear()
        self.full = self.progress = False
        self.machine.disk.fault = no_fault
        self.expected.sessions = dict(self.expected.sessions_on_disk)
        self.store = self.machine.start()

    # --- changes ------------------------------------------------------------------------------------------------------

    @rule(reading=READINGS)
    def record(self, reading: PassResult) -> None:
        self.ask(self.store.add_gists(reading), lambda: self.expected.record(reading))

    @precondition(lambda self: self.expected.entries)
    @rule(data=st.data(), states=st.lists(STATES, min_size=1, max_size=3))
    def change_deals(self, data: st.DataObject, states: list[Any]) -> None:
        known = st.sampled_from(sorted(self.expected.entries))
        changes: list[Change] = [DealChange(data.draw(known), state) for state in states]
        self.ask(self.store.save(*changes), lambda: self.expected.save(changes))

    @precondition(lambda self: self.expected.users)
    @rule(data=st.data(), organization=st.builds(Organization, STATES, st.sampled_from([None, 0.0, 7.5])))
    def change_organization(self, data: st.DataObject, organization: Organization) -> None:
        changes: list[Change] = [
            OrganizationChange(data.draw(st.sampled_from(sorted(self.expected.users))), organization)
        ]
        self.ask(self.store.save(*changes), lambda: self.expected.save(changes))

    @rule(name=st.sampled_from("ab"), value=st.integers())
    def keep(self, name: str, value: int) -> None:
        self.ask(self.store.put_value(name, value), lambda: self.expected.notes.update({name: value}))

    @rule()
    def settled(self) -> None:
        self.ask(self.store.mark_reconciled(), lambda: setattr(self.expected, "unmarked", False))

    # --- visitors -----------------------------------------------------------------------------------------------------

    @rule(session_id=SESSIONS, position=st.integers(0, 9))
    def show(self, session_id: str, position: int) -> None:
        self.time += 1.0
        shown, _ = self.expected.sessions.get(session_id, (-1, 0.0))
        self.progress = self.progress or position > shown
        self.expected.sessions[session_id] = (max(shown, position), self.time)
        now(self.store.advance_session(session_id, position, self.time))

    @rule(session_id=SESSIONS)
    def visit(self, session_id: str) -> None:
        self.time += 1.0
        shown, _ = self.expected.sessions.get(session_id, (None, 0.0))
        assert now(self.store.resume_session(session_id, self.time)) == shown
        if shown is not None:
            self.expected.sessions[session_id] = (shown, self.time)

    @rule(ago=st.integers(0, 5))
    def forget(self, ago: int) -> None:
        live = {name: session for name, session in self.expected.sessions.items() if session[1] >= self.time - ago}
        gone = len(self.expected.sessions) - len(live)
        assert now(self.store.expire_sessions(self.time - ago)) == gone
        self.progress = self.progress or gone > 0
        self.expected.sessions = live

    @rule()
    def time_passes(self) -> None:
        self.machine.clock.advance(LAZY_S)
        if self.progress and not self.full:
            self.commit()

    # --- the machine --------------------------------------------------------------------------------------------------

    @rule()
    def the_disk_fills(self) -> None:
        def full(step: Step) -> BaseException | None:
            return error(ENOSPC) if step.operation in ("create", "write") else None

        self.full, self.machine.disk.fault = True, full

    @precondition(lambda self: self.full)
    @rule()
    def room_is_made(self) -> None:
        self.full, self.machine.disk.fault = False, no_fault
        self.machine.clock.advance(RETRY_LONGEST_S)
        self.settle()
        if self.progress:
            self.commit()

    @rule()
    def restart(self) -> None:
        closed = begun(self.store.close())
        assert closed.called
        if not self.full:
            self.expected.committed()
        self.next_life()

    @rule(power=st.booleans())
    def crash(self, power: bool) -> None:
        if power:
            self.machine.disk.cut_power()
        self.machine.disk.kill()
        self.next_life()

    # --- what must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def the_store_tells_what_is_expected(self) -> None:
        entries = list(self.expected.entries.values())
        assert now(self.store.users()) == list(self.expected.users.values())
        assert now(self.store.open_entries()) == [entry for entry in entries if not isinstance(entry.deal, Done)]
        assert now(self.store.feed(0, 1000)) == [entry.gist.id for entry in entries]
        assert now(self.store.feed_length()) == len(entries)
        assert sorted(now(self.store.known_gists([f"gist {n}" for n in range(30)]))) == sorted(self.expected.entries)
        assert now(self.store.gist_counts()) == Counter(key(entry.user) for entry in entries)
        assert [now(self.store.get_value(name)) for name in "ab"] == [self.expected.notes.get(name) for name in "ab"]
        assert self.store.unreconciled == self.expected.unmarked
        assert bool(self.waiting) <= (self.store.trouble is not None) <= self.full


TestHistories = Histories.TestCase
