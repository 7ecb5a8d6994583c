"""Deals that were found in Pipedrive, in memory, until their gists are recorded."""

from collections.abc import Iterable, Mapping

from pipetest.store.tinydb.format import FoundDealRow


class FoundDeals:
    """Deals in Pipedrive of gists that the feed lacks, each with its document id. What is kept and taken here is ahead
    of the file: it changes when a commit is asked for, not once that is durable."""

    def __init__(self, rows: Iterable[tuple[int, FoundDealRow]]) -> None:
        self._rows = {row.gist: (doc_id, row.deal_id) for doc_id, row in rows}
        self._last_doc_id = max((doc_id for doc_id, _ in self._rows.values()), default=0)

    def keep(self, deals: Mapping[str, int]) -> Mapping[int, FoundDealRow]:
        """Keep these, but for gists whose deal is kept already. Returns the rows to store, by document id."""
        kept = {}
        for gist, deal_id in deals.items():
            if gist not in self._rows:
                self._last_doc_id += 1
                self._rows[gist] = (self._last_doc_id, deal_id)
                kept[self._last_doc_id] = FoundDealRow(gist, deal_id)
        return kept

    def __contains__(self, gist: str) -> bool:
        return gist in self._rows

    def take(self, gist: str) -> tuple[int, int] | None:
        """Keep this gist's deal no longer. Returns its document id and its id; None where there is none."""
        return self._rows.pop(gist, None)
