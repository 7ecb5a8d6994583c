"""What an audit finds: feed and outbox, compared with what the list of all deals tells. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from sys import intern

from msgspec import Struct

from pipetest.domain.model import Done, Entry, Found, key
from pipetest.domain.status import Audit, AuditFinding
from pipetest.outbox.recognition import gist_of, ids_in, ids_in_title

MOST_NAMED = 100
"""Of each kind of finding; of more, only how many there are."""

MOST_OTHERS = 10
"""So many further deals of one gist are named."""

KINDS = ("missing", "duplicate", "moved", "renamed", "unknown")


class _Judged(Struct, frozen=True, gc=False):
    """A gist that is done, and its deal where that is known."""

    gist_id: str
    user: str
    deal_id: int | None


class _Seen(Struct, frozen=True, gc=False):
    """A deal of a judged gist, as Pipedrive showed it last. ``titled``: its title tells the gist."""

    gist: str
    organization_id: int | None
    deleted: bool
    titled: bool


class Comparison:
    """Is told first which gists are done, then page by page which deals there are; a deal may come several times, and
    then the last one counts. ``organizations`` are those of users by :func:`~pipetest.domain.model.key`.
    ``titles_tell``: deals get titles that tell their gist, so one that doesn't was renamed.

    It holds of each gist and of each deal its ids, and little else.
    """

    def __init__(self, organizations: Mapping[str, int], *, titles_tell: bool) -> None:
        self.newest = 0
        self._organizations = organizations
        self._titles_tell = titles_tell
        self._judged: dict[str, _Judged] = {}  # in the feed's order
        self._gist_by_deal: dict[int, str] = {}
        self._seen: dict[int, _Seen] = {}
        self._unknown: dict[int, str] = {}

    def expect(self, entries: Iterable[Entry]) -> None:
        """These are done, and were so a settle time before the first page is read."""
        for entry in entries:
            if isinstance(entry.deal, Done):
                gist, deal_id = intern(key(entry.gist.id)), entry.deal.id
                self._judged[gist] = _Judged(intern(entry.gist.id), intern(entry.user), deal_id)
                if deal_id is not None:
                    self._gist_by_deal[deal_id] = gist

    def add(self, deals: Iterable[Found]) -> Mapping[int, str]:
        """Take in a page. Returns the living deals on it that are of gists which are not judged, each with its gist:
        whether the feed lacks those gists, the store knows."""
        others: dict[int, str] = {}
        for deal in deals:
            self.newest = max(self.newest, deal.id)
            self._seen.pop(deal.id, None)
            self._unknown.pop(deal.id, None)
            others.pop(deal.id, None)
            gist = self._gist_of(deal)
            if gist in self._judged:
                titled = gist in ids_in_title(deal)
                self._seen[deal.id] = _Seen(gist, deal.organization_id, deal.deleted, titled)
            elif gist is not None and not deal.deleted:
                others[deal.id] = gist
        return others

    def feed_lacks(self, deals: Mapping[int, str]) -> None:
        """These deals are of gists that the feed does not hold."""
        self._unknown.update(deals)

    def _gist_of(self, deal: Found) -> str | None:
        """The gist, as far as any is recognised: what the outbox knows counts before what the deal tells."""
        return self._gist_by_deal.get(deal.id) or gist_of(deal) or self._short_id_in(deal)

    def _short_id_in(self, deal: Found) -> str | None:
        """A short id counts only in its user's organization."""
        ids = (gist for gist in ids_in(deal) if gist in self._judged)
        return next((gist for gist in ids if self._is_at_home(self._judged[gist].user, deal.organization_id)), None)

    def _is_at_home(self, user: str, organization_id: int | None) -> bool:
        return organization_id is not None and self._organizations.get(key(user)) == organization_id

    # --- what follows from it -----------------------------------------------------------------------------------------

    def result(self, at: float, tokens: int, before: Audit | None) -> Audit:
        """``before`` is the audit before this one, if there was one."""
        findings = _Findings()
        deals = defaultdict[str, list[int]](list)
        for deal_id in sorted(self._seen):
            deals[self._seen[deal_id].gist].append(deal_id)
        for gist, judged in self._judged.items():
            self._judge(judged, deals.get(gist, ()), findings)
        for gist, deal_id in {gist: deal for deal, gist in sorted(self._unknown.items(), reverse=True)}.items():
            findings.add("unknown", AuditFinding(gist=gist, deal=deal_id))
        return Audit(
            at=at,
            tokens=tokens,
            gists=len(self._judged),
            counts=findings.counts,
            newly_missing=_newly_missing(findings, before),
            **findings.named,
        )

    def _judge(self, judged: _Judged, deals: Sequence[int], findings: "_Findings") -> None:
        if not deals:
            findings.add("missing", _finding(judged, judged.deal_id))
            return
        living = [deal for deal in deals if not self._seen[deal].deleted]
        if not living:
            return
        deal = judged.deal_id if judged.deal_id in living else living[0]
        if len(living) > 1:
            findings.add("duplicate", _finding(judged, deal, [other for other in living if other != deal]))
        home = self._organizations.get(key(judged.user))
        if home not in (None, self._seen[deal].organization_id):
            findings.add("moved", _finding(judged, deal))
        if self._titles_tell and not self._seen[deal].titled:
            findings.add("renamed", _finding(judged, deal))


class _Findings:
    """Counted by kind, and the first of each kind named."""

    def __init__(self) -> None:
        self.counts = Counter[str](dict.fromkeys(KINDS, 0))
        self.named: dict[str, list[AuditFinding]] = {kind: [] for kind in KINDS}

    def add(self, kind: str, finding: AuditFinding) -> None:
        self.counts[kind] += 1
        if len(self.named[kind]) < MOST_NAMED:
            self.named[kind].append(finding)


def _finding(judged: _Judged, deal: int | None, others: Sequence[int] = ()) -> AuditFinding:
    return AuditFinding(gist=judged.gist_id, deal=deal, user=judged.user, others=others[:MOST_OTHERS])


def _newly_missing(now: _Findings, before: Audit | None) -> int:
    """How many of those missing the audit before did not report; the fewest it can be, as not all are named."""
    if before is None:
        return now.counts["missing"]
    reported = {finding.gist for finding in before.missing}
    named = sum(finding.gist not in reported for finding in now.named["missing"])
    return max(named, now.counts["missing"] - before.counts["missing"])
