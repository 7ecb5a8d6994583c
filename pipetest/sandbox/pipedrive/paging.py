"""Pipedrive's cursors: opaque, and good for the query they came from."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Sequence

import msgspec

from pipetest.sandbox.pipedrive.crm import Record

Position = tuple[int | str, int]
"""Where a row stands in a list: its value of the key that sorts the list, then its id."""


def page(
    rows: Iterable[Record], *, sort_by: str, descending: bool, cursor: str | None, size: int
) -> tuple[Sequence[Record], str | None]:
    """At most ``size`` rows after the cursor's position, and the cursor of the next page.

    :raises ValueError: the cursor is none of ours.
    """

    def position(row: Record) -> Position:
        return row.fields[sort_by], row.fields["id"]

    ordered = sorted(rows, key=position, reverse=descending)
    if cursor is not None:
        after = _decoded(cursor, sort_by)
        ordered = [row for row in ordered if (position(row) < after if descending else position(row) > after)]
    window = ordered[:size]
    return window, _encoded(position(window[-1])) if len(ordered) > size else None


def _encoded(position: Position) -> str:
    return urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def _decoded(cursor: str, sort_by: str) -> Position:
    text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    if sort_by == "id":
        return msgspec.json.decode(text, type=tuple[int, int])
    return msgspec.json.decode(text, type=tuple[str, int])
