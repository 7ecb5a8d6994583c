"""Searches for organizations. They know of a record later than lists do; they find deleted ones, too, and do not tell
that they are."""

from collections.abc import Iterable, Iterator
from typing import Any

from pipetest.sandbox.pipedrive.crm import Record
from pipetest.sandbox.pipedrive.requests import Invalid, SearchQuery


def found(query: SearchQuery, rows: Iterable[Record], now: float) -> Iterator[Record]:
    """
    :raises Invalid: the term is too short.
    """
    if len(query.term) < 2 and not query.exact_match:
        raise Invalid("term: length must be at least 2 characters long")
    return (row for row in rows if row.is_searchable(now) and any(_matches(query, text) for text in _texts(query, row)))


def hit(row: Record) -> dict[str, Any]:
    address = row.fields["address"]
    return {
        "id": row.id,
        "type": "organization",
        "name": row.fields["name"],
        "address": address and address["value"],
        "visible_to": row.fields["visible_to"],
        "owner": {"id": row.fields["owner_id"]},
        "custom_fields": [],
        "notes": [],
    }


def _texts(query: SearchQuery, row: Record) -> Iterable[str]:
    if "name" in query.fields:
        yield row.fields["name"]
    if "address" in query.fields and row.fields["address"] is not None:
        yield row.fields["address"]["value"]


def _matches(query: SearchQuery, text: str) -> bool:
    term, text = query.term.casefold(), text.casefold()
    return term == text if query.exact_match else term in text
