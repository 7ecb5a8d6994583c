"""What has to be true once the faults have stopped and the world has settled."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from pipetest.domain.model import key
from pipetest.sandbox.pipedrive.crm import Row
from tests.simulation.crm_users import CrmUsers
from tests.simulation.environment import Environment
from tests.simulation.github_users import GitHubUsers
from tests.simulation.operators import Operators
from tests.simulation.storage_faults import CURRENT


class FinalChecks:
    def __init__(
        self, environment: Environment, github_users: GitHubUsers, crm_users: CrmUsers, operators: Operators
    ) -> None:
        self._environment = environment
        self._crm = environment.world.crm
        self._crm_users = crm_users
        self._operators = operators
        self._published = github_users.published
        self._last = github_users.last
        database = json.loads(environment.disk.files[CURRENT])
        self._users = {key(row["username"]): row for row in database["users"].values()}
        self._gists = [row for _, row in sorted(database["gists"].items(), key=lambda pair: int(pair[0]))]
        self._deals = _grouped(self._crm.deals.values(), lambda row: row.fields["title"])
        self._organizations = _grouped(self._crm.organizations.values(), lambda row: key(row.fields["name"]))

    def violations(self) -> Iterator[str]:
        yield from self._missing()
        yield from self._unheard_of()
        yield from self._organizations_twice_or_never()
        yield from self._deals_twice_or_never()
        yield from self._ledger_unlike_crm()
        yield from self._unfinished()

    # --- the feed -----------------------------------------------------------------------------------------------------

    def _missing(self) -> Iterator[str]:
        recorded = {row["gist"] for row in self._gists}
        for user in self._read():
            account = self._environment.world.accounts.by_login(user)
            for gist in account.listing() if account else ():
                if gist.id not in recorded:
                    yield f"gist {gist.id} of {user} is not in the feed"

    def _unheard_of(self) -> Iterator[str]:
        if len({row["gist"] for row in self._gists}) < len(self._gists):
            yield "a gist is in the feed twice"
        for row in self._gists:
            if row["gist"] not in self._published.get(key(row["user"]), ()):
                yield f"gist {row['gist']} of {row['user']} was never public"

    def _read(self) -> Iterator[str]:
        """The users whose lists pipetest reads by now: queried, and not somebody else's than at first."""
        for user in self._operators.users:
            account = self._environment.world.accounts.by_login(user)
            owner = self._users.get(key(user), {}).get("owner_id")
            if account is not None and owner in (None, account.id):
                yield user

    def _settled(self) -> Iterator[str]:
        """Those of them of whom pipetest has needed the organization lately: a deleted one is made anew on need."""
        return (user for user in self._read() if user in self._last)

    # --- organizations ------------------------------------------------------------------------------------------------

    def _organizations_twice_or_never(self) -> Iterator[str]:
        for user, rows in self._organizations.items():
            if user not in self._published:
                continue
            ours = [row for row in rows if row.id not in self._crm_users.organizations]
            deleted = sum(row.deleted_at is not None for row in rows)
            if len(ours) > deleted + (len(ours) == len(rows)):
                yield f"{user} has got {len(ours)} organizations, {deleted} of which people deleted"
        for user in self._settled():
            living = [row for row in self._organizations.get(key(user), ()) if row.deleted_at is None]
            if not living:
                yield f"{user} has no organization"

    # --- deals --------------------------------------------------------------------------------------------------------

    def _deals_twice_or_never(self) -> Iterator[str]:
        for row in self._gists:
            if row["gist"] not in self._deals:
                yield f"gist {row['gist']} of {row['user']} has no deal"
        for gist, deals in self._deals.items():
            if len(deals) > 1 and not self._forgivable(gist, deals):
                made = [(row.fields["id"], row.fields["org_id"], row.readable_at) for row in deals]
                yield f"gist {gist} has {len(deals)} deals: {made}"

    def _forgivable(self, gist: str, deals: Collection[Row]) -> bool:
        """Without a database that knows of it, a deal in an organization that people deleted is out of sight, and so is
        one on the waiting list."""
        if self._operators.machine.mishaps and gist in self._crm_users.imported:
            return len(deals) == 2
        places = Counter(row.fields["org_id"] for row in deals)
        return max(places.values()) == 1 and sum(map(self._out_of_sight, deals)) >= len(deals) - 1

    def _out_of_sight(self, deal: Row) -> bool:
        """Made by others, or before the database came to harm, in an organization that is deleted."""
        unknown_until = max(self._operators.machine.mishaps, default=0.0) + self._environment.plan.settle
        unknown = deal.readable_at <= unknown_until or deal.id in self._crm_users.deals
        return unknown and self._crm.organizations[deal.fields["org_id"]].deleted_at is not None

    # --- the ledger ---------------------------------------------------------------------------------------------------

    def _ledger_unlike_crm(self) -> Iterator[str]:
        for row in self._gists:
            deal = self._crm.deals.get(row["deal"].get("id"))
            if deal is None or deal.fields["title"] != row["gist"]:
                yield f"the ledger says {row['deal']} of gist {row['gist']}"
            elif key(self._crm.organizations[deal.fields["org_id"]].fields["name"]) != key(row["user"]):
                yield f"the deal of gist {row['gist']} is in somebody else's organization"
        for user in self._settled():
            state = self._users.get(key(user), {}).get("organization", {})
            organization = self._crm.organizations.get(state.get("id"))
            if organization is None or key(organization.fields["name"]) != key(user) or organization.deleted_at:
                yield f"the ledger says {state} of the organization of {user}"

    def _unfinished(self) -> Iterator[str]:
        life = self._operators.life
        if not life.leads:
            yield "no daemon works"
        counts = {state.__name__: count for state, count in life.creator.queue.counts.items() if count}
        if counts:
            yield f"in the backlog: {counts}"


def _grouped(rows: Iterable[Row], by: Any) -> Mapping[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(by(row), []).append(row)
    return groups
