"""In the end people do what an audit is to find; it names that, and nothing else."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any

from pipetest.domain.model import key
from pipetest.domain.status import Audit
from pipetest.outbox.audit import MOST_NAMED
from pipetest.sandbox.pipedrive.bodies import NewDeal, NewOrganization
from pipetest.sandbox.pipedrive.crm import PURGED_AFTER_S, Record
from tests.simulation.clock import DAY_S, HOUR_S
from tests.simulation.crm_users import gist_in, gist_of
from tests.simulation.environment import Environment
from tests.simulation.operators import Operators
from tests.simulation.storage_faults import CURRENT

LONGEST_S = 2 * DAY_S
"""A day's limit may have to pass."""

MOST_AUDITS = 3


class Audits:
    """Works on a world in which all has come right."""

    def __init__(self, environment: Environment, operators: Operators) -> None:
        self._clock = environment.clock
        self._crm = environment.world.crm
        self._accounts = environment.world.accounts
        self._disk = environment.disk
        self._operators = operators
        self._random = Random(f"audit {environment.plan.seed}")

    def violations(self) -> Iterator[str]:
        self._change_deals()
        self._make_one_more()
        audit = self._audit()
        if audit is None:
            yield f"the audit has no result: {self._operators.leader.auditor.state}"
            return
        for kind, gists in self._expected().items():
            named = {finding.gist for finding in getattr(audit, kind)}
            all_named = named <= gists and len(named) == min(len(gists), MOST_NAMED)
            if not all_named or audit.counts[kind] != len(gists):
                found = f"the audit finds {audit.counts[kind]} gists {kind}"
                yield f"{found}: {named - gists} too many, and not {gists - named}"

    # --- what people do -----------------------------------------------------------------------------------------------

    def _change_deals(self) -> None:
        """One deal has been gone for long, there is another one of a second gist, a third is moved, or taken out of its
        organization, a fourth is given another title, and somebody makes one of a gist that nobody has read."""
        crm, now = self._crm, self._clock.seconds()
        other = crm.add_organization(NewOrganization("a customer"), now).id
        ours = [(row["gist"], row["deal"]["id"]) for row in self._done() if row["deal"]["id"] in crm.deals]
        self._random.shuffle(ours)
        acts: Sequence[Callable[[str, int], object]] = (
            lambda _, deal: self._purge(deal),
            lambda gist, _: crm.add_deal(NewDeal(f"{gist} (copy)", other), now),
            lambda _, deal: crm.move_deal(deal, self._random.choice((other, None))),
            lambda _, deal: crm.rename_deal(deal, "Website 2026"),
        )
        for act, (gist, deal) in zip(acts, ours, strict=False):
            act(gist, deal)
        crm.add_deal(NewDeal(f"Maps {self._random.getrandbits(128):032x}", other), now)

    def _purge(self, deal: int) -> None:
        self._crm.delete_deal(deal)
        self._crm.deals[deal].deleted_at = self._clock.seconds() - PURGED_AFTER_S

    def _make_one_more(self) -> None:
        """A gist's deal is made just now, and so is hardly to be seen yet."""
        account = next((found for user in self._operators.users if (found := self._accounts.by_login(user))), None)
        if account is None:
            return
        self._accounts.write(account.login, created_at=self._clock.seconds())
        made, until = len(self._crm.deals), self._clock.seconds() + HOUR_S
        self._operators.leader.scanner.scan_now()
        while self._clock.seconds() < until and (len(self._crm.deals) == made or self._waits()):
            self._clock.pass_time(self._clock.seconds() + 1.0)

    def _waits(self) -> bool:
        return self._operators.leader.outbox.tasks.waiting > 0

    def _audit(self) -> Audit | None:
        """The result of one that begins now, or after one that is under way. A change of leader cuts one short."""
        self._finish()
        for _ in range(MOST_AUDITS):
            self._pass_time_while(lambda: not self._operators.leader.leads)
            before = self._operators.leader.auditor.state.last
            self._operators.leader.auditor.audit_now()
            self._finish()
            last = self._operators.leader.auditor.state.last
            if last is not None and (before is None or last.at != before.at):  # another leader has read the one before
                return last
        return None

    def _finish(self) -> None:
        self._pass_time_while(lambda: self._operators.leader.auditor.state.running)

    def _pass_time_while(self, lasts: Callable[[], bool]) -> None:
        until = self._clock.seconds() + LONGEST_S
        while lasts() and self._clock.seconds() < until:
            self._clock.pass_time(self._clock.seconds() + 10.0)

    # --- what there is to find ----------------------------------------------------------------------------------------

    def _database(self) -> Mapping[str, Any]:
        return dict(json.loads(self._disk.files[CURRENT]))

    def _done(self) -> list[Mapping[str, Any]]:
        return [row for row in self._database()["gists"].values() if row["deal"]["type"] == "done"]

    def _expected(self) -> Mapping[str, set[str]]:
        gists, found = self._database()["gists"].values(), defaultdict[str, set[str]](set)
        deals, organizations = self._deals(), self._organizations()
        for row in self._done():
            kinds = _kinds(row["gist"], row["deal"]["id"], organizations[key(row["user"])], deals[row["gist"]])
            for kind in kinds:
                found[kind].add(row["gist"])
        strange = deals.keys() - {row["gist"] for row in gists}
        found["unknown"] = {
            gist for gist in strange if re.fullmatch("[0-9a-f]{32}", gist) and any(map(_lives, deals[gist]))
        }
        return {kind: found[kind] for kind in ("missing", "duplicate", "moved", "renamed", "unknown")}

    def _organizations(self) -> Mapping[str, int | None]:
        users = self._database()["users"].values()
        return {key(row["username"]): row["organization"].get("id") for row in users}

    def _deals(self) -> Mapping[str, list[Record]]:
        """All that Pipedrive still tells of, by gist."""
        known = {row["deal"]["id"]: row["gist"] for row in self._done()}
        deals, purged_at = defaultdict[str, list[Record]](list), self._clock.seconds() - PURGED_AFTER_S
        for deal in self._crm.deals.values():
            if deal.deleted_at is None or deal.deleted_at > purged_at:
                deals[known.get(deal.id, gist_of(deal))].append(deal)
        return deals


def _kinds(gist: str, known: int, organization: int | None, deals: Sequence[Record]) -> Iterator[str]:
    """What there is to say of a gist that has these deals, of which one is ``known`` here."""
    living = [deal for deal in deals if _lives(deal)]
    if not deals:
        yield "missing"
    if len(living) > 1:
        yield "duplicate"
    for ours in [deal for deal in living if deal.id == known] or living[:1]:
        if organization not in (None, ours.fields["org_id"]):
            yield "moved"
        if gist_in(ours.fields["title"]) != gist:
            yield "renamed"


def _lives(deal: Record) -> bool:
    return deal.deleted_at is None
