"""Any history of changes, visits, restarts, crashes and full disks leaves the store as a dictionary would be."""

from collections import Counter
from collections.abc import Awaitable, Callable
from errno import ENOSPC
from random import Random
from typing import Any

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
from tests.support.results import result_of
from tests.support.simulated_disk import SimDisk, Step, error, no_fault
from tests.support.store.machine import Machine, begun

NAMES = st.sampled_from(["ada", "Ada", "bob", "eve"])
GISTS = st.sampled_from([Gist(f"gist {number}", float(number)) for number in range(30)])
SESSIONS = st.sampled_from(["s1", "s2", "s3"])
STATES = st.one_of(
    st.just(Wanted()), st.just(Sent()), st.builds(Done, st.integers(1, 9)), st.just(Quarantined("too long", 1.5))
)
PASS_RESULTS = st.builds(
    PassResult,
    NAMES,
    st.none() | st.integers(1, 3),
    st.none() | st.sampled_from(['"a"', '"b"']),
    st.lists(GISTS, max_size=5),
    st.none() | st.integers(1, 100).map(float),
)


class Expected:
    """The state as plain dictionaries. ``sessions``: position and last visit."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.entries: dict[str, Entry] = {}
        self.found_deals: dict[str, int] = {}
        self.values: dict[str, int] = {}
        self.unreconciled = True
        self.sessions: dict[str, tuple[int, float]] = {}
        self.sessions_on_disk: dict[str, tuple[int, float]] = {}

    def add_gists(self, result: PassResult) -> None:
        user = self.users.get(key(result.user), User(result.user))
        self.users[key(result.user)] = User(
            result.user,
            user.owner_id if result.owner_id is None else result.owner_id,
            result.etag,
            user.read_to_end_at if result.read_to_end_at is None else result.read_to_end_at,
            user.organization,
        )
        for gist in result.gists:
            if gist.id not in self.entries:
                found = self.found_deals.pop(gist.id, None)
                deal = Wanted() if found is None else Done(found)
                self.entries[gist.id] = Entry(len(self.entries) + 1, gist, result.user, deal)

    def adopt(self, deals: dict[str, int]) -> None:
        for gist_id, deal_id in deals.items():
            if gist_id not in self.entries:
                self.found_deals.setdefault(gist_id, deal_id)
            elif not isinstance((entry := self.entries[gist_id]).deal, Done):
                self.entries[gist_id] = replace(entry, deal=Done(deal_id))

    def save(self, changes: list[Change]) -> None:
        for change in changes:
            match change:
                case DealChange(gist_id, state):
                    entry = self.entries[gist_id]
                    if isinstance(state, Done) or not isinstance(entry.deal, Done):
                        self.entries[gist_id] = replace(entry, deal=state)
                case OrganizationChange(name, organization):
                    self.users[key(name)] = replace(self.users[key(name)], organization=organization)

    def put_value(self, name: str, value: int) -> None:
        self.values[name] = value

    def mark_reconciled(self) -> None:
        self.unreconciled = False

    def committed(self) -> None:
        self.sessions_on_disk = dict(self.sessions)

    def crashed(self) -> None:
        self.sessions = dict(self.sessions_on_disk)


class Histories(RuleBasedStateMachine):
    """``waiting``: changes asked for while the disk is full; ``progress``: that of a session is to be written."""

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
        self.acknowledge()

    def acknowledge(self) -> None:
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

    def start_again(self) -> None:
        self.waiting.clear()
        self.full = self.progress = False
        self.machine.disk.fault = no_fault
        self.expected.crashed()
        self.store = self.machine.start()

    # --- changes ------------------------------------------------------------------------------------------------------

    @rule(result=PASS_RESULTS)
    def add_gists(self, result: PassResult) -> None:
        self.ask(self.store.add_gists(result), lambda: self.expected.add_gists(result))

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
    def put_value(self, name: str, value: int) -> None:
        self.ask(self.store.put_value(name, value), lambda: self.expected.put_value(name, value))

    @rule(deals=st.dictionaries(GISTS.map(lambda gist: gist.id), st.integers(1, 9), max_size=3))
    def adopt(self, deals: dict[str, int]) -> None:
        self.ask(self.store.adopt(deals), lambda: self.expected.adopt(deals))

    @rule()
    def mark_reconciled(self) -> None:
        self.ask(self.store.mark_reconciled(), self.expected.mark_reconciled)

    # --- visitors -----------------------------------------------------------------------------------------------------

    @rule(session_id=SESSIONS, position=st.integers(0, 9))
    def advance_session(self, session_id: str, position: int) -> None:
        self.time += 1.0
        shown, _ = self.expected.sessions.get(session_id, (-1, 0.0))
        self.progress = self.progress or position > shown
        self.expected.sessions[session_id] = (max(shown, position), self.time)
        result_of(self.store.advance_session(session_id, position, self.time))

    @rule(session_id=SESSIONS)
    def resume_session(self, session_id: str) -> None:
        self.time += 1.0
        shown, _ = self.expected.sessions.get(session_id, (None, 0.0))
        assert result_of(self.store.resume_session(session_id, self.time)).shown == shown
        if shown is not None:
            self.expected.sessions[session_id] = (shown, self.time)

    @rule(ago=st.integers(0, 5))
    def expire_sessions(self, ago: int) -> None:
        live = {name: session for name, session in self.expected.sessions.items() if session[1] >= self.time - ago}
        gone = len(self.expected.sessions) - len(live)
        assert result_of(self.store.expire_sessions(self.time - ago)) == gone
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
        self.acknowledge()
        if self.progress:
            self.commit()

    @rule()
    def restart(self) -> None:
        closed = begun(self.store.close())
        assert closed.called
        if not self.full:
            self.expected.committed()
        self.start_again()

    @rule(power=st.booleans())
    def crash(self, power: bool) -> None:
        if power:
            self.machine.disk.cut_power()
        self.machine.disk.kill()
        self.start_again()

    # --- what must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def the_store_tells_what_is_expected(self) -> None:
        entries = list(self.expected.entries.values())
        assert result_of(self.store.users()) == list(self.expected.users.values())
        assert result_of(self.store.open_entries()) == [entry for entry in entries if not isinstance(entry.deal, Done)]
        assert result_of(self.store.feed(0, 1000)) == [entry.gist.id for entry in entries]
        assert result_of(self.store.feed_length()) == len(entries)
        done = {entry.deal.id or 0 for entry in entries if isinstance(entry.deal, Done)}
        if not self.waiting:
            assert {*result_of(self.store.newest_deals(["ada"], 99)).get("ada", [])} <= done
        known = result_of(self.store.known_gists([f"gist {n}" for n in range(30)]))
        assert sorted(known) == sorted(self.expected.entries)
        assert result_of(self.store.gist_counts()) == Counter(key(entry.user) for entry in entries)
        values = [result_of(self.store.get_value(name, object)) for name in "ab"]
        assert values == [self.expected.values.get(name) for name in "ab"]
        assert self.store.unreconciled == self.expected.unreconciled
        assert bool(self.waiting) <= (self.store.problem is not None) <= self.full


TestHistories = Histories.TestCase
