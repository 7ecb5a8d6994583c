"""Checks every few minutes that scans which went well have found every gist: later passes would hide that one was
missed."""

from collections.abc import Callable, Iterator, Sequence, Set
from math import inf

from msgspec import Struct

from pipetest.domain.model import key
from pipetest.sandbox.github.accounts import HostedAccount
from pipetest.scanner.scanner import Scanner
from tests.simulation.clock import DAY_S, HOUR_S
from tests.simulation.environment import Environment
from tests.simulation.github_users import GitHubUsers
from tests.simulation.instance import Instance
from tests.simulation.run_log import RunLog
from tests.simulation.run_plan import HINTS
from tests.support.results import result_of

CHECK_EVERY_S = 600.0

READ_WITHIN_S = 2 * HOUR_S
"""A list of users is read in less time."""


class Listed(Struct, frozen=True):
    """Who was scanned by this scanner, at that moment."""

    scanner: Scanner | None
    users: Set[str]
    at: float


class ScanChecks:
    """Gists that were secret at first, and in runs with wrong hints all of them, may wait for the daily pass to the
    end. ``replaced_at``: when an older database took the place of the daemon's."""

    def __init__(
        self,
        environment: Environment,
        github_users: GitHubUsers,
        leader: Callable[[], Instance],
        run_log: RunLog,
        replaced_at: Sequence[float],
    ) -> None:
        self._clock = environment.clock
        self._replaced_at = replaced_at
        self._accounts = environment.world.accounts
        self._github_users = github_users
        self._wrong_hints = environment.has(HINTS) and environment.plan.wrong_hints
        self._leader = leader
        self._run_log = run_log
        self._with_names: set[Scanner] = set()
        self._listed = Listed(None, set(), inf)
        if not environment.has("clock"):  # the wall clock says which pass belongs to which scan
            environment.events.every(CHECK_EVERY_S, self._check)

    def _check(self) -> None:
        instance = self._leader()
        self._check_list(instance)
        scan = instance.scanner.status()
        if not instance.process.alive or scan.under_way or scan.started_at is None:
            return
        may_wait = self._github_users.published_later
        for account, until in self._well_read(instance, scan.started_at):
            due = [gist.id for gist in account.listing() if gist.created_at < until]
            for gist in sorted({*due}.difference(result_of(instance.content.known_gists(due)), may_wait)):
                self._run_log.violation(f"gist {gist} of {account.login} was not found although its list was read")

    def _check_list(self, instance: Instance) -> None:
        """The list is never empty for a day. A scanner of a new term has yet to read it. An older database may tell
        that it was empty a day ago, and no more that it was not since."""
        self._check_listed(instance.scanner)
        if any(at > self._clock.seconds() - DAY_S for at in self._replaced_at):
            return
        if instance.scanner.users.names:
            self._with_names.add(instance.scanner)
        elif instance.scanner in self._with_names:
            self._run_log.violation("nobody is scanned although the list of users was empty for less than a day")

    def _check_listed(self, scanner: Scanner) -> None:
        """Whoever was scanned, and is on the list without a break since long before, is still scanned."""
        before, now = self._listed, self._clock.seconds()
        self._listed = Listed(scanner, {self._github_users.known_as(name) for name in scanner.users.names}, now)
        for user in sorted(before.users - self._listed.users) if before.scanner is scanner else ():
            if self._github_users.followed_since(user) < before.at - READ_WITHIN_S:
                self._run_log.violation(f"{user} is not scanned any more, and has never left the list")

    def _well_read(self, instance: Instance, scan_started_at: float) -> Iterator[tuple[HostedAccount, float]]:
        """Whose list was read well in this scan, and who still have their name; what they have written until then is
        known."""
        users = {key(user.name): user for user in result_of(instance.content.users())}
        for user in instance.scanner.users.most():
            account = self._accounts.by_login(user.name)
            went_well = user.error is None and (user.succeeded_at or 0.0) >= scan_started_at
            if went_well and account is not None:
                stored = users[key(user.recorded_as or user.name)]
                if stored.owner_id in (None, account.id):
                    yield account, (stored.read_to_end_at or 0.0) if self._wrong_hints else scan_started_at
