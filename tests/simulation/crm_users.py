"""The people at Pipedrive: they win, lose, archive and delete deals, delete organizations, and see to the ceiling."""

from collections.abc import Callable
from functools import partial

from pipetest.domain.model import key
from pipetest.sandbox.pipedrive.crm import NewDeal, NewOrganization
from tests.simulation.environment import Environment
from tests.simulation.run_plan import DAY_S
from tests.simulation.service_faults import HOUR_S

OTHERS = 1200
"""Organizations in a large CRM: a search is cheaper than a list of them."""


class CrmUsers:
    """``organizations`` and ``deals`` are the ids of those that were there before pipetest came; ``imported`` the
    titles of deals that people brought in from the waiting list."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._crm = environment.world.crm
        self.organizations: set[int] = set()
        self.deals: set[int] = set()
        self.imported: set[str] = set()
        for number in range(OTHERS if environment.plan.many else 0):
            self._crm.add_organization(NewOrganization(f"other {number}"), environment.clock.seconds() - DAY_S)
        for hazard, mean_s, act in (
            ("deals", 2 * HOUR_S, self._change_deal),
            ("organizations", DAY_S, self._delete_organization),
            ("cap", DAY_S, self._reach_ceiling),
        ):
            if environment.has(hazard):
                environment.events.every(mean_s, partial(self._act, act))

    def foresee(self, published: dict[str, dict[str, float]]) -> None:
        """Some users and gists are in the CRM already, by whatever hand."""
        random, before = self._environment.random, self._environment.clock.seconds() - DAY_S
        for user in self._environment.plan.users:
            if random.random() < 0.3:
                continue
            name = random.choice((user, user.upper(), user.lower()))
            organization = self._crm.add_organization(NewOrganization(name), before)
            self.organizations.add(organization.id)
            for gist in published.get(key(user), ()):
                if random.random() < 0.5:
                    self.deals.add(self._crm.add_deal(NewDeal(gist, organization.id), before).id)
                    if random.random() < 0.5:
                        self._change_deal()

    def relent(self) -> None:
        """The ceiling is lifted, and who waits there is let go."""
        self._crm.open_deals = None
        self._crm.waiting_list.clear()

    def _act(self, act: Callable[[], None]) -> None:
        """They see all that was carried out by now."""
        self._environment.world.apply_late_calls()
        act()

    # --- what one of them does ----------------------------------------------------------------------------------------

    def _change_deal(self) -> None:
        crm = self._crm
        if deals := [row.id for row in crm.deals.values() if row.deleted_at is None]:
            deal = self._environment.random.choice(deals)
            self._environment.random.choice((crm.win_deal, crm.lose_deal, crm.archive_deal, crm.delete_deal))(deal)

    def _delete_organization(self) -> None:
        if living := [row.id for row in self._crm.organizations.values() if row.deleted_at is None]:
            organization = self._environment.random.choice(living)
            self._crm.delete_organization(organization)

    # --- the ceiling --------------------------------------------------------------------------------------------------

    def _reach_ceiling(self) -> None:
        """No more open deals for some hours. Before it is lifted, what waits is brought in or dropped."""
        random = self._environment.random
        self._crm.open_deals = random.randint(0, 3)
        lifted = random.uniform(2.0, 12.0) * HOUR_S
        self._environment.clock.callLater(random.uniform(0.0, lifted - HOUR_S), self._act, self._see_to_waiting)
        self._environment.clock.callLater(lifted, self._lift)

    def _lift(self) -> None:
        self._crm.open_deals = None

    def _see_to_waiting(self) -> None:
        """Whoever brings deals in, for all to see at once, does it once for each title, not where there is a deal
        already, and not into an organization that is deleted, which takes none."""
        crm = self._crm
        known = {row.fields["title"] for row in crm.deals.values()}
        waiting = {new.title: new for new in crm.waiting_list if new.title not in known and self._takes(new.org_id)}
        crm.waiting_list = list(waiting.values()) if self._environment.chance(0.5) else []
        self.imported.update(new.title for new in crm.waiting_list)
        lag, crm.list_lag = crm.list_lag, 0.0
        crm.import_waiting_list()
        crm.list_lag = lag

    def _takes(self, organization: int | None) -> bool:
        return organization is not None and self._crm.organizations[organization].deleted_at is None
