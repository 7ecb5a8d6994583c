"""Looks every few minutes whether the visits that went well have found all there was: later passes would hide it."""

from collections.abc import Callable, Collection, Iterator

from pipetest.domain.model import key
from pipetest.sandbox.github.accounts import Account
from tests.simulation.environment import Environment
from tests.simulation.instance import Instance
from tests.support.results import result_of

INSPECTED_S = 600.0


class ScanChecks:
    """``late`` are gists that were secret at first: they may wait for the daily pass."""

    def __init__(
        self,
        environment: Environment,
        late: Collection[str],
        life: Callable[[], Instance],
        object_to: Callable[[str], None],
    ) -> None:
        self._environment = environment
        self._late = late
        self._life = life
        self._object = object_to
        if not environment.has("clock"):  # which visit belongs to which scan is told by the clock on the wall
            environment.events.every(INSPECTED_S, self._inspect)

    def _inspect(self) -> None:
        life = self._life()
        scan = life.scanner.status()
        if not life.process.alive or scan.under_way or scan.started_at is None:
            return
        for account in self._well_read(life, scan.started_at):
            due = [gist.id for gist in account.listing() if gist.created_at < scan.started_at]
            for gist in sorted({*due}.difference(result_of(life.tables.known_gists(due)), self._late)):
                self._object(f"gist {gist} of {account.login} was not found when its author was visited")

    def _well_read(self, life: Instance, scan_started_at: float) -> Iterator[Account]:
        """Who was read in this scan, and is still who they were."""
        users = {key(user.name): user for user in result_of(life.tables.users())}
        for user in life.scanner.users():
            account = self._environment.world.accounts.by_login(user.name)
            well = user.error is None and (user.succeeded_at or 0.0) >= scan_started_at
            if well and account is not None and users[key(user.name)].owner_id in (None, account.id):
                yield account
