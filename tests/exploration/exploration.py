"""One schedule, one run: until all is done, or for too long; and which promises were broken."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from traceback import format_exc
from typing import cast
from unittest.mock import patch

from msgspec import Struct
from twisted.internet.base import DelayedCall
from twisted.logger import globalLogPublisher

from pipetest.domain.model import key
from pipetest.sandbox.github.accounts import HostedAccount
from tests.exploration.choices import Choices, Schedule, States
from tests.exploration.service_choices import ServiceChoices
from tests.exploration.small_world import WORLDS, Small, SmallWorld
from tests.exploration.states import StateDigest
from tests.exploration.supervisor import Supervisor
from tests.simulation.clock import HOUR_S
from tests.simulation.crm_users import CrmUsers
from tests.simulation.final_checks import FinalChecks
from tests.simulation.github_users import GitHubUsers
from tests.simulation.invariants import Invariants
from tests.simulation.operators import Operators
from tests.simulation.run_log import RunLog, WriteLine
from tests.simulation.simulation import SLOWER
from tests.simulation.templates import Templates
from tests.support.results import result_of
from tests.support.simulated_disk import Names

LONGEST_S = 3 * HOUR_S
"""All has to come right within this time."""


CLOSE_S = 0.06
"""What is due within so little of each other may come in either order: a little more than an answer takes."""


class Result(Struct, frozen=True):
    """What came of a schedule. ``deviations``: in words. ``extensions``: as its choices have them. ``end``: with
    states, a digest of what there is in the end."""

    schedule: Schedule
    deviations: Sequence[str]
    violations: Sequence[str]
    extensions: Sequence[Schedule]
    end: bytes


class _GitHubUsers(Struct):
    """Everybody keeps the name."""

    environment: SmallWorld
    published_at: Mapping[str, float] = {}

    @property
    def published(self) -> dict[str, dict[str, float]]:
        return self.environment.published

    @property
    def wrote_last(self) -> Sequence[str]:
        return self.environment.plan.users

    def account(self, user: str) -> HostedAccount | None:
        return self.environment.world.accounts.by_login(user)

    def known_as(self, name: str) -> str:
        return key(name)


class _CrmUsers(Struct):
    """Nobody has made anything."""

    organizations: Sequence[int] = ()
    deals: Sequence[int] = ()
    imported: Sequence[str] = ()


class Exploration:
    """Everything in a run. ``deviations``: those so far, in words."""

    def __init__(self, small: Small, schedule: Schedule, states: States | None, write_line: WriteLine | None) -> None:
        self.choices = Choices(schedule, self._deviates, states)
        self.environment = environment = SmallWorld(small, self.choices)
        self.run_log = RunLog(environment.clock, write_line)
        self.deviations: list[str] = []
        self.services = ServiceChoices(environment)
        self.github_users = cast(GitHubUsers, _GitHubUsers(environment))
        self.invariants = Invariants(environment, self.github_users, Templates(environment), self.run_log)
        self.digest = StateDigest(environment)

    def run(self) -> None:
        supervisor = Supervisor(self.environment, self.invariants, self._state)
        clock = self.environment.clock
        ends_at = clock.seconds() + LONGEST_S
        while not self._is_done(supervisor) and clock.seconds() < ends_at:
            self._order()
            clock.pass_time(clock.calls[0].getTime())
        self.environment.world.apply_late_calls()
        checks = FinalChecks(
            self.environment,
            self.github_users,
            cast(CrmUsers, _CrmUsers()),
            cast(Operators, supervisor),
            self.invariants,
        )
        for violation in checks.violations():
            self.run_log.violation(violation)

    def _order(self) -> None:
        """Of two things that are due at nearly the same moment, either may come first."""
        clock = self.environment.clock
        first, second = clock.calls[0], clock.calls[min(1, len(clock.calls) - 1)]
        is_close = first is not second and second.getTime() - first.getTime() <= CLOSE_S
        if is_close and self.choices.choose(("the second one first",), f"{_name(first)}, {_name(second)}"):
            clock.postpone(first, second.getTime())

    def end_state(self) -> bytes:
        return self._state(self.environment.clock.seconds(), self.environment.disk.journal, self.invariants.feed)

    def _deviates(self, text: str) -> None:
        self.deviations.append(text)
        self.run_log.write("deviation: {}", text)

    def _state(self, starts_at: float, journal: Sequence[Names], feed: Sequence[str]) -> bytes:
        return self.digest.of(starts_at, journal, self.services.settled_at, feed)

    def _is_done(self, supervisor: Supervisor) -> bool:
        leader = supervisor.leader
        if not leader.leads or self.environment.clock.seconds() < max(self.services.settled_at, supervisor.thawed_at):
            return False
        tasks, scan = leader.outbox.tasks, leader.scanner.status()
        waits = tasks.waiting or tasks.organizations_waiting or tasks.quarantined or tasks.firsts
        if waits or not leader.outbox.leaves_room or scan.ended_at is None or scan.under_way:
            return False
        public = {gist for gists in self.environment.world.accounts.public_gists().values() for gist in gists}
        return len(result_of(leader.content.known_gists(public))) == len(public)


def _name(call: DelayedCall) -> str:
    called = call.args[0] if call.args else call.func
    return getattr(called, "__qualname__", repr(called))


def run(world: str, schedule: Schedule, *, states: States | None = None, write_line: WriteLine | None = None) -> Result:
    """The same schedule is the same run. With ``states``, it also tells which schedules extend it."""
    with ExitStack() as patches:
        for name, slower in SLOWER.items():
            patches.enter_context(patch(f"pipetest.{name}", slower))
        # one is slow to find out, the other drawn
        patches.enter_context(patch("pipetest.monitoring.collector.version", lambda _: "that of the tests"))
        patches.enter_context(patch("pipetest.store.tinydb.store.new_identity", lambda: "that of the tests"))
        exploration = Exploration(WORLDS[world], schedule, states, write_line)
        globalLogPublisher.addObserver(exploration.invariants)
        try:
            exploration.run()
        except Exception:
            exploration.run_log.violation(f"what a reactor would have logged: {format_exc()}")
        finally:
            globalLogPublisher.removeObserver(exploration.invariants)
    choices, violations = exploration.choices, exploration.run_log.violations
    return Result(
        schedule,
        exploration.deviations,
        violations,
        choices.extensions,
        b"" if states is None else exploration.end_state(),
    )
