"""One seed, one run: days full of faults, days without, and which promises were broken."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from signal import ITIMER_PROF, SIGPROF, setitimer, signal
from traceback import format_exc
from unittest.mock import patch

from msgspec import Struct, field
from twisted.logger import globalLogPublisher

from tests.simulation.audits import Audits
from tests.simulation.clock import HOUR_S
from tests.simulation.crm_users import CrmUsers
from tests.simulation.database_server import FRESH_S, RENEW_EVERY_S
from tests.simulation.environment import Environment
from tests.simulation.final_checks import FinalChecks
from tests.simulation.github_quirks import GitHubQuirks
from tests.simulation.github_users import GitHubUsers
from tests.simulation.graphql_hints import GraphQLHints
from tests.simulation.invariants import Invariants
from tests.simulation.operators import Operators
from tests.simulation.run_log import RunLog, WriteLine
from tests.simulation.run_plan import BY_ORGANIZATION, FOLLOWED, HINTS, LISTS, PARTS, QUIRKS, RunPlan
from tests.simulation.scan_checks import ScanChecks
from tests.simulation.service_faults import ServiceFaults
from tests.simulation.templates import Templates

DAYS = 2.0

CHECKED_AFTER_H = (27.0, 52.0, 77.0)
"""Hours without faults after which all may have come right: the daily pass to the end of each list, and once or twice
more where what was refused for good had to be tried again, or a day's limit had to pass."""


MAX_PAGES = 300
"""More than any list has; to read a thousand that never end takes too long."""

SLOWER: Mapping[str, float] = {
    "monitoring.health.CHECK_EVERY_S": 600.0,
    "monitoring.history.SAVE_EVERY_S": 600.0,
    "ratelimit.persistence.SAVE_EVERY_S": 600.0,
    "leader_election.EVERY_S": RENEW_EVERY_S,
    "store.postgres.writer.FRESH_S": FRESH_S,
}
"""Periods of checks that mostly find nothing to do: as often as in the product, they would take a third of all the
time."""


LONGEST_CPU_S = 100.0
"""Of one processor, for a run: many times what any takes. Longer means that something goes round for ever."""


class Endless(Exception):
    """Something goes round for ever, which on a real machine would stop the reactor."""


class Result(Struct, frozen=True):
    """``days`` are simulated ones, those without faults included."""

    seed: int
    violations: Sequence[str]
    days: float
    requests: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)


class Simulation:
    """Everything and everybody in a run. ``write_line`` is called with each line of its story."""

    def __init__(self, seed: int, days: float = DAYS, write_line: WriteLine | None = None) -> None:
        self.plan = RunPlan.draw(seed, days)
        self.environment = environment = Environment(self.plan)
        self.run_log = RunLog(environment.clock, write_line)
        self.github_users = GitHubUsers(environment)
        self.templates = Templates(environment)
        self.invariants = Invariants(environment, self.github_users, self.templates, self.run_log)
        self.crm_users = CrmUsers(environment)
        if environment.has("adoption"):
            self.crm_users.add_earlier_records(self.github_users.published)
        self.github_quirks = GitHubQuirks(environment, self.github_users.published_later)
        self.service_faults = ServiceFaults(environment, self.github_users.change_list)
        self.hints = GraphQLHints(environment, lambda: self.invariants.feed)
        self.operators = Operators(environment, self.invariants, self.templates, self.run_log)
        self.scan_checks = ScanChecks(
            environment,
            self.github_users,
            lambda: self.operators.leader,
            self.run_log,
            self.operators.storage_faults.replaced_at,
        )

    def pass_days_of_faults(self) -> None:
        clock = self.environment.clock
        clock.pass_time(clock.seconds() + self.plan.faults_last_s)

    def end_faults(self) -> None:
        self.environment.events.stop()
        self.service_faults.end()
        self.github_quirks.end()
        self.crm_users.lift_ceiling_for_good()
        self.templates.end()
        self.operators.leave_alone()
        if self.environment.has(LISTS):
            self.github_users.follow_all()
        self.github_users.write_last()

    def check_promises(self) -> None:
        """They may come true later, but not never; an audit is made of a world in which they are true."""
        clock, began = self.environment.clock, self.environment.clock.seconds()
        violations: Sequence[str] = ()
        for hours in CHECKED_AFTER_H:
            clock.pass_time(began + hours * HOUR_S)
            self.environment.world.apply_late_calls()
            checks = FinalChecks(
                self.environment,
                self.github_users,
                self.crm_users,
                self.operators,
                self.invariants,
            )
            violations = list(checks.violations())
            if not violations:
                break
        for violation in violations or Audits(self.environment, self.operators).violations():
            self.run_log.violation(violation)

    def result(self) -> Result:
        services = (self.environment.world.github, self.environment.world.pipedrive)
        return Result(
            self.plan.seed,
            self.run_log.violations,
            days=self.environment.days_passed,
            requests=Counter({service.name: service.calls.total() for service in services}),
            faults=sum((service.injected for service in services), Counter()),
            ends=self.operators.ends,
        )


def run(seed: int, days: float = DAYS, write_line: WriteLine | None = None) -> Result:
    """The same seed is the same run."""
    with ExitStack() as patches:
        for name, slower in SLOWER.items():
            patches.enter_context(patch(f"pipetest.{name}", slower))
        plan = RunPlan.draw(seed, days)
        if plan.hazards & {QUIRKS, FOLLOWED}:  # as at GitHub, no page holds fewer than are asked for, but the last
            patches.enter_context(patch("pipetest.scanner.page_sizes.PAGE_SIZES", plan.page_sizes))
        if QUIRKS in plan.hazards:
            patches.enter_context(patch("pipetest.scanner.list_reader.MAX_PAGES", MAX_PAGES))
            patches.enter_context(patch("pipetest.scanner.user_lists.MAX_PAGES", MAX_PAGES))
        if PARTS in plan.hazards:
            patches.enter_context(patch("pipetest.scanner.scanner.AT_ONCE", plan.users_at_once))
        if HINTS in plan.hazards:
            patches.enter_context(patch("pipetest.scanner.selection.takes_longer", lambda *_: True))
        if BY_ORGANIZATION in plan.hazards:
            patches.enter_context(patch("pipetest.outbox.start_reconciliation.reads_whole_list", lambda *_: False))
        with _ended_if_endless():
            return _run(Simulation(seed, days, write_line))


@contextmanager
def _ended_if_endless() -> Iterator[None]:
    """Raises again and again: whoever goes round may catch it."""

    def end(*_: object) -> None:
        raise Endless

    before = signal(SIGPROF, end)
    setitimer(ITIMER_PROF, LONGEST_CPU_S, 1.0)
    try:
        yield
    finally:
        setitimer(ITIMER_PROF, 0.0)
        signal(SIGPROF, before)


def _run(simulation: Simulation) -> Result:
    globalLogPublisher.addObserver(simulation.invariants)
    try:
        simulation.pass_days_of_faults()
        simulation.end_faults()
        simulation.check_promises()
    except Exception:
        simulation.run_log.violation(f"what a reactor would have logged: {format_exc()}")
    finally:
        globalLogPublisher.removeObserver(simulation.invariants)
    return simulation.result()
