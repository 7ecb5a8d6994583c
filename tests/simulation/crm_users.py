"""The people at Pipedrive: they win, lose, archive and delete deals, delete organizations, and see to the ceiling of
open deals."""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

from pipetest.domain.model import key
from pipetest.sandbox.pipedrive.bodies import NewDeal, NewOrganization
from pipetest.sandbox.pipedrive.crm import Record
from tests.simulation.clock import DAY_S, HOUR_S
from tests.simulation.environment import Environment
from tests.simulation.run_plan import MOVES, STAMPS, TEMPLATES, UNSEEN
from tests.simulation.storage_faults import CURRENT

OTHER_ORGANIZATIONS = 1200
"""In a large CRM; a search then costs less than a list of them."""


_ID = re.compile("[0-9a-f]{32}")


def gist_of(deal: Record) -> str:
    """The gist that a deal of pipetest's was made for, whatever people made of its title."""
    return _gist_of(deal.fields["title"], deal.fields["custom_fields"])


def gist_in(title: str) -> str:
    """What a title tells of the gist."""
    ids = _ID.findall(title.lower())
    return ids[-1] if ids else max(title.split(), key=len).lower()


def _gist_of(title: str, custom_fields: Mapping[str, Any]) -> str:
    stamps = (text for text in custom_fields.values() if isinstance(text, str) and _ID.fullmatch(text))
    return next(stamps, None) or gist_in(title)


class CrmUsers:
    """``organizations`` and ``deals``: ids of those that they made before pipetest came. ``imported``: the gists
    of which they brought in deals from the waiting list."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._random = environment.random
        self._crm = environment.world.crm
        self.organizations: set[int] = set()
        self.deals: set[int] = set()
        self.imported: set[str] = set()
        for number in range(OTHER_ORGANIZATIONS if environment.plan.many_organizations else 0):
            self._crm.add_organization(NewOrganization(f"other {number}"), environment.clock.seconds() - DAY_S)
        if environment.has(UNSEEN):
            random = Random(f"unseen {environment.plan.seed}")
            environment.clock.callLater(0.0, self._withhold_permission, random)
        for hazard, mean_s, act in (
            ("deals", 2 * HOUR_S, self._change_deal),
            ("titles", 2 * HOUR_S, self._rename_deal),
            (STAMPS, HOUR_S, self._rewrite_title),
            ("organizations", DAY_S, self._delete_organization),
            ("organizations", HOUR_S / 4, self._take_away_organization),
            ("cap", DAY_S, self._reach_ceiling),
            (MOVES, HOUR_S, self._move),
        ):
            if environment.has(hazard):
                environment.events.every(mean_s, partial(self._act, act))

    def add_earlier_records(self, published: dict[str, dict[str, float]]) -> None:
        """Some users and gists are in the CRM before pipetest comes."""
        environment, random, before = self._environment, self._random, self._environment.clock.seconds() - DAY_S
        for user in self._environment.plan.users:
            if random.random() < 0.3:
                continue
            name = random.choice((user, user.upper(), user.lower()))
            if environment.has("titles") and environment.chance(0.5):
                self.organizations.add(self._crm.add_organization(NewOrganization(user), before).id)
            organization = self._crm.add_organization(NewOrganization(name), before)
            self.organizations.add(organization.id)
            for gist in published.get(key(user), ()):
                if random.random() < 0.5:
                    self.deals.add(self._crm.add_deal(NewDeal(gist, organization.id), before).id)
                    if random.random() < 0.5:
                        self._change_deal()

    def lift_ceiling_for_good(self) -> None:
        """What still waits under it is dropped."""
        self._lift_ceiling()
        self._crm.waiting_list.clear()

    def _act(self, act: Callable[[], None]) -> None:
        """They see everything that was carried out by now."""
        self._environment.world.apply_late_calls()
        act()

    def _withhold_permission(self, random: Random) -> None:
        """For some hours the key's user does not see what it creates. With templates, the deals alone: where
        another one comes, an unseen organization counts as deleted as soon as a deal in it is refused."""
        crm, anything = self._crm, ((True, False), (False, True), (True, True))
        hides = ((False, True),) if self._environment.has(TEMPLATES) else anything
        crm.hides_new_organizations, crm.hides_new_deals = random.choice(hides)
        self._environment.clock.callLater(random.uniform(1.0, 12.0) * HOUR_S, self._give_permission, random)

    def _give_permission(self, random: Random) -> None:
        """Sometimes people have renamed and deleted an organization before the key's user sees it."""
        crm = self._crm
        hidden = [
            row.id
            for row in crm.organizations.values()
            if row.hidden and row.deleted_at is None and not crm.deals_of.get(row.id)
        ]
        if hidden and random.random() < 0.4:
            crm.rename_organization(hidden[0], "A customer")
            crm.delete_organization(hidden[0])
        crm.show_all()

    # --- records ------------------------------------------------------------------------------------------------------

    def _change_deal(self) -> None:
        crm = self._crm
        if deals := [row.id for row in crm.deals.values() if row.deleted_at is None]:
            deal = self._random.choice(deals)
            self._random.choice((crm.win_deal, crm.lose_deal, crm.archive_deal, crm.delete_deal))(deal)

    def _rename_deal(self) -> None:
        """Still naming the gist, in their own way."""
        crm = self._crm
        if crm.deals:
            row = self._random.choice(list(crm.deals.values()))
            gist = gist_of(row)
            title = self._random.choice(("Call them about {}", "{} (Anna)", " {}", "f00d {}")).format(gist.upper())
            crm.rename_deal(row.id, title)

    def _rewrite_title(self) -> None:
        """As they like where a stamp tells the gist; else another gist is named before this one."""
        random, crm = self._random, self._crm
        if gists := [row for row in crm.deals.values() if _ID.fullmatch(gist_of(row))]:
            row, other = random.choice(gists), gist_of(random.choice(gists))
            if any(row.fields["custom_fields"].values()):
                title = random.choice(("Call Anna", f"Maps {random.getrandbits(128):032x}", other))
            else:
                title = f"{other} {gist_of(row)}"
            crm.rename_deal(row.id, title)

    def _take_away_organization(self) -> None:
        """One that may hold a deal of which nobody knows yet: it is deleted, or merged into another one."""
        random, crm = self._random, self._crm
        living = [row.id for row in crm.organizations.values() if row.deleted_at is None]
        if not (in_doubt := self._in_doubt([one for one in living if crm.deals_of.get(one)])):
            return
        organization = random.choice(in_doubt)
        others = random.sample([other for other in living if other != organization], len(living) - 1)
        if not self._environment.has(MOVES) or not others:
            crm.delete_organization(organization)
            return
        if len(others) > 1 and random.random() < 0.7:
            self._move_known_deals(organization, others[1])
        crm.merge_organizations(organization, others[0])

    def _move_known_deals(self, organization: int, other: int) -> None:
        """Those that the database tells of."""
        known = {row["deal"].get("id") for row in self._gists_in_database() if row["deal"]["type"] == "done"}
        for deal in [deal.id for deal in self._crm.deals_of.get(organization, ()) if deal.id in known]:
            self._crm.move_deal(deal, other)

    def _delete_organization(self) -> None:
        if living := [row.id for row in self._crm.organizations.values() if row.deleted_at is None]:
            self._crm.delete_organization(self._random.choice(living))

    def _move(self) -> None:
        """Deals to other organizations, all of an organization's by a merge, or its name; and they make deals of their
        own. They move no single deal of which nobody knows yet that it was made."""
        random, crm = self._random, self._crm
        living = [row.id for row in crm.organizations.values() if row.deleted_at is None]
        known = self._known_deals()
        holding = [organization for organization in living if crm.deals_of.get(organization)]
        match random.choice(("move", "merge", "rename", "make")):
            case "move" if known and living:
                crm.move_deal(random.choice(known), random.choice(living))
            case "merge" if holding and len(living) > 1:
                self._merge(random.choice(self._in_doubt(holding) or holding), living, known)
            case "rename" if living:
                organization = random.choice(living)
                crm.rename_organization(organization, f"{crm.organizations[organization].fields['name']} Ltd")
            case "make" if living:
                title = random.choice((f"Order {random.getrandbits(40)}", f"Maps {random.getrandbits(128):032x}"))
                crm.add_deal(NewDeal(title, random.choice(living)), self._environment.clock.seconds())

    def _merge(self, merged: int, living: Sequence[int], known: Collection[int]) -> None:
        """Sometimes its known deals go elsewhere before."""
        random, crm = self._random, self._crm
        others = [other for other in living if other != merged]
        if random.random() < 0.5:
            elsewhere = random.choice(others)
            for deal in [deal.id for deal in crm.deals_of[merged] if deal.id in known]:
                crm.move_deal(deal, elsewhere)
        crm.merge_organizations(merged, random.choice(others))

    def _in_doubt(self, organizations: Sequence[int]) -> Sequence[int]:
        """Those that hold a deal of which the database cannot tell yet whether it was made."""
        in_doubt, deals_of = self._gists_in_doubt(), self._crm.deals_of
        return [
            organization
            for organization in organizations
            if any(gist_of(deal) in in_doubt for deal in deals_of[organization])
        ]

    def _known_deals(self) -> Sequence[int]:
        """Those made half a day ago or earlier, and not of a gist of which the database cannot tell yet whether its
        deal was made: while nothing can be searched for, that lasts."""
        made_until, in_doubt = self._environment.clock.seconds() - 12 * HOUR_S, self._gists_in_doubt()
        return [
            row.id for row in self._crm.deals.values() if row.readable_at < made_until and gist_of(row) not in in_doubt
        ]

    def _gists_in_doubt(self) -> Collection[str]:
        gists = self._gists_in_database()
        return {row["gist"] for row in gists if row["deal"]["type"] == "sent" or row["deal"].get("sent")}

    def _gists_in_database(self) -> Collection[Mapping[str, Any]]:
        """None where it is lost or damaged: then all deals are listed, and found wherever they are."""
        try:
            gists = json.loads(self._environment.disk.files.get(CURRENT, b"")).get("gists", {})
        except ValueError:
            return ()
        return list(gists.values())

    # --- the ceiling --------------------------------------------------------------------------------------------------

    def _reach_ceiling(self) -> None:
        """For some hours no more deals can be open. Before that ends, what waits is brought in or dropped."""
        random, clock = self._random, self._environment.clock
        self._crm.open_deals = random.randint(0, 3)
        lifted_in_s = random.uniform(2.0, 12.0) * HOUR_S
        clock.callLater(random.uniform(0.0, lifted_in_s - HOUR_S), self._act, self._clear_waiting_list)
        clock.callLater(lifted_in_s, self._lift_ceiling)

    def _lift_ceiling(self) -> None:
        self._crm.open_deals = None

    def _clear_waiting_list(self) -> None:
        """Whoever brings deals in, visible to everybody at once, does it once for each gist, not where there is such
        a deal already, and not into a deleted organization, which takes none."""
        crm = self._crm
        known = {gist_of(row) for row in crm.deals.values()}
        gists = {_gist_of(new.title, new.custom_fields or {}): new for new in crm.waiting_list}
        waiting = {gist: new for gist, new in gists.items() if gist not in known and self._is_alive(new.org_id)}
        if not self._environment.chance(0.5):
            waiting = {}
        crm.waiting_list = list(waiting.values())
        self.imported.update(waiting)
        lag, crm.list_lag = crm.list_lag, 0.0
        crm.import_waiting_list()
        crm.list_lag = lag

    def _is_alive(self, organization: int | None) -> bool:
        return organization is not None and self._crm.organizations[organization].deleted_at is None
