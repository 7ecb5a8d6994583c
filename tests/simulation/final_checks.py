"""What must be true in the end, when faults have stopped and everything had time to come right."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from math import inf
from typing import Any

from pipetest.domain.model import key
from pipetest.sandbox.pipedrive.crm import Record
from tests.simulation.crm_users import CrmUsers, gist_of
from tests.simulation.environment import Environment
from tests.simulation.github_users import GitHubUsers
from tests.simulation.invariants import Invariants
from tests.simulation.operators import Operators
from tests.simulation.run_plan import FOLLOWED, MOVES
from tests.simulation.storage_faults import CURRENT

CLOCK_WRONG_S = 60.0
"""The daemon's clock may be wrong by half as much when it notes a moment."""


class FinalChecks:
    """Compares GitHub, the database and Pipedrive."""

    def __init__(
        self,
        environment: Environment,
        github_users: GitHubUsers,
        crm_users: CrmUsers,
        operators: Operators,
        invariants: Invariants,
    ) -> None:
        self._invariants = invariants
        known_as = github_users.known_as
        self._crm = environment.world.crm
        self._settle_s = environment.plan.settle_s
        self._moves = environment.has(MOVES)
        self._followed = environment.has(FOLLOWED)
        self._by_organization = environment.plan.lists_organizations
        self._github_users = github_users
        self._crm_users = crm_users
        self._operators = operators
        database = json.loads(environment.disk.files[CURRENT])
        self._owners = Counter(row["owner_id"] for row in database["users"].values() if row.get("owner_id"))
        self._users = {known_as(row["username"]): row for row in database["users"].values()}
        self._gists = [row for _, row in sorted(database["gists"].items(), key=lambda pair: int(pair[0]))]
        self._deals = _grouped(self._crm.deals.values(), gist_of)
        self._organizations = _grouped(self._crm.organizations.values(), lambda row: known_as(row.fields["name"]))

    def violations(self) -> Iterator[str]:
        yield from self._missing_gists()
        yield from self._strange_gists()
        yield from self._accounts_twice()
        yield from self._organizations_not_once()
        yield from self._wrongly_skipped()
        yield from self._deals_not_once()
        yield from self._outbox_differs_from_crm()
        yield from self._unfinished_work()

    # --- the feed -----------------------------------------------------------------------------------------------------

    def _missing_gists(self) -> Iterator[str]:
        recorded = {row["gist"] for row in self._gists}
        for user in self._users_read():
            account = self._github_users.account(user)
            for gist in account.listing() if account else ():
                if gist.id not in recorded:
                    yield f"gist {gist.id} of {user} is not in the feed"

    def _strange_gists(self) -> Iterator[str]:
        if len({row["gist"] for row in self._gists}) < len(self._gists):
            yield "a gist is in the feed twice"
        for row in self._gists:
            if row["gist"] not in self._github_users.published.get(self._user_of(row), ()):
                yield f"gist {row['gist']} of {row['user']} was never public"

    def _accounts_twice(self) -> Iterator[str]:
        for account, times in self._owners.items():
            if times > 1:
                yield f"account {account} is recorded as {times} users"

    def _user_of(self, row: Mapping[str, Any]) -> str:
        """Whose gist it is, by the first name."""
        return self._github_users.known_as(row["user"])

    def _users_read(self) -> Iterator[str]:
        """The users whose lists are read now: the queried ones, where the name is still that of the same account."""
        for user in self._operators.users:
            account = self._github_users.account(user)
            owner = self._users.get(key(user), {}).get("owner_id")
            if account is not None and owner in (None, account.id):
                yield user

    def _users_with_new_deals(self) -> Iterator[str]:
        """Those whose organization was needed at the end: one that people deleted is created again only then."""
        return (user for user in self._users_read() if user in self._github_users.wrote_last)

    def _users_in_pipedrive(self) -> Iterator[str]:
        """Of those the ones that need an organization: no gist does that is skipped, and of a user who was first
        queried after all had been written, all are."""
        wanted = {self._user_of(row) for row in self._gists if not _is_skipped(row)}
        return (user for user in self._users_with_new_deals() if self._github_users.known_as(user) in wanted)

    def _wrongly_skipped(self) -> Iterator[str]:
        """What was written after GitHub was first asked for a user's list is wanted, whatever the setting, and so is
        what was made public after the first pass. An account that has taken over the name was first queried later."""
        for row in self._gists:
            if not _is_skipped(row):
                continue
            user, first_asked = self._user_of(row), self._invariants.first_asked
            asked_at, asked = first_asked.get(user, (inf, None))  # the database may be an older one
            owner = self._users[user].get("owner_id")
            published_at = self._github_users.published_at.get(row["gist"], -inf)
            is_same = owner == asked
            if published_at > self._invariants.first_recorded.get(owner, inf):
                yield f"gist {row['gist']} of {row['user']} is skipped, although it was made public while we watched"
            elif is_same and row["created_at"] > asked_at + CLOCK_WRONG_S:
                yield f"gist {row['gist']} of {row['user']} is skipped, although it was written while we watched"
            elif row["user"] in self._users_with_new_deals() and self._is_in_organization(row):
                yield f"gist {row['gist']} of {row['user']} is skipped, although it has a deal"

    def _is_in_organization(self, row: Mapping[str, Any]) -> bool:
        """Whether this gist has a deal in its user's organization, all of whose deals were looked at."""
        if self._was_imported_unknown(row["gist"]):
            return False
        state = self._users[self._user_of(row)].get("organization", {})
        return any(deal.fields["org_id"] == state.get("id") for deal in self._deals.get(row["gist"], ()))

    # --- organizations ------------------------------------------------------------------------------------------------

    def _organizations_not_once(self) -> Iterator[str]:
        for user, rows in self._organizations.items():
            if user not in self._github_users.published:
                continue
            ours = [row for row in rows if row.id not in self._crm_users.organizations]
            deleted = sum(row.deleted_at is not None for row in rows)
            if len(ours) > deleted + (self._followed or len(ours) == len(rows)) and not self._may_be_unknown:
                yield f"{user} has got {len(ours)} organizations, {deleted} of which people deleted"
        for user in () if self._moves else self._users_in_pipedrive():
            living = [row for row in self._organizations.get(key(user), ()) if row.deleted_at is None]
            if not living:
                yield f"{user} has no organization"

    @property
    def _may_be_unknown(self) -> bool:
        """Whether an organization may not be found again: made under another name, of an account without deals."""
        return self._followed and bool(self._operators.storage_faults.replaced_at)

    # --- deals --------------------------------------------------------------------------------------------------------

    def _deals_not_once(self) -> Iterator[str]:
        for row in self._gists:
            if row["gist"] not in self._deals and not _is_skipped(row):
                yield f"gist {row['gist']} of {row['user']} has no deal"
        for gist, deals in self._deals.items():
            if len(deals) > 1 and not self._beyond_the_promise(gist, deals):
                created = [(row.fields["id"], row.fields["org_id"], row.readable_at) for row in deals]
                yield f"gist {gist} has {len(deals)} deals: {created}"

    def _beyond_the_promise(self, gist: str, deals: Collection[Record]) -> bool:
        """Without a database that knows of it, a deal cannot be found in an organization that people deleted, where
        deals are listed by organization."""
        if self._was_imported_unknown(gist):
            return len(deals) == 2
        places = Counter(row.fields["org_id"] for row in deals)
        lost = sum(map(self._cannot_be_found, deals))
        return self._by_organization and max(places.values()) == 1 and lost >= len(deals) - 1

    def _was_imported_unknown(self, gist: str) -> bool:
        """Without a database that knows of it, a deal cannot be found on the waiting list."""
        return bool(self._operators.storage_faults.replaced_at) and gist in self._crm_users.imported

    def _cannot_be_found(self, deal: Record) -> bool:
        """In a deleted organization, and made by others or before the database was replaced."""
        unknown_until = max(self._operators.storage_faults.replaced_at, default=0.0) + self._settle_s
        unknown = deal.readable_at <= unknown_until or deal.id in self._crm_users.deals
        return unknown and self._crm.organizations[deal.fields["org_id"]].deleted_at is not None

    # --- the outbox ---------------------------------------------------------------------------------------------------

    def _outbox_differs_from_crm(self) -> Iterator[str]:
        for row in self._gists:
            if _is_skipped(row):
                continue
            deal = self._crm.deals.get(row["deal"].get("id"))
            if deal is None or gist_of(deal) != row["gist"]:
                yield f"the deal of gist {row['gist']} is not the one that the outbox says: {row['deal']}"
            elif not self._moves and self._organization_of(deal) != self._user_of(row):
                yield f"the deal of gist {row['gist']} is in somebody else's organization"
        for user in self._users_in_pipedrive():
            state = self._users.get(key(user), {}).get("organization", {})
            organization = self._crm.organizations.get(state.get("id"))
            named = organization is not None and (self._moves or self._named(organization) == key(user))
            if organization is None or not named or organization.deleted_at:
                yield f"the organization of {user} is not the one that the outbox says: {state}"

    def _organization_of(self, deal: Record) -> str:
        return self._named(self._crm.organizations[deal.fields["org_id"]])

    def _named(self, organization: Record) -> str:
        """As its user, by the first name."""
        return self._github_users.known_as(organization.fields["name"])

    def _unfinished_work(self) -> Iterator[str]:
        leader = self._operators.leader
        if not leader.leads:
            yield "no instance works"
        counts = {state.__name__: count for state, count in leader.outbox.tasks.counts.items() if count}
        if counts:
            yield f"not done yet: {counts}"


def _is_skipped(row: Mapping[str, Any]) -> bool:
    return bool(row["deal"]["type"] == "skipped")


def _grouped(rows: Iterable[Record], by: Any) -> Mapping[str, list[Record]]:
    groups: dict[str, list[Record]] = {}
    for row in rows:
        groups.setdefault(by(row), []).append(row)
    return groups
