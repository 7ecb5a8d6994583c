"""Pipedrive's cursors: opaque, and good for the query they came from."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Sequence

import msgspec

from pipetest.sandbox.pipedrive.crm import Row

Place = tuple[int | str, int]
"""Where a row stands: its value of the key it is sorted by, then its id."""


def page(
    rows: Iterable[Row], *, sort_by: str, falling: bool, cursor: str | None, size: int
) -> tuple[Sequence[Row], str | None]:
    """At most ``size`` rows after the cursor's place, and the cursor of the page after them.

    :raises ValueError: the cursor is none of ours.
    """

    def place(row: Row) -> Place:
        return row.shown[sort_by], row.shown["id"]

    ordered = sorted(rows, key=place, reverse=falling)
    if cursor is not None:
        after = _opened(cursor, sort_by)
        ordered = [row for row in ordered if (place(row) < after if falling else place(row) > after)]
    window = ordered[:size]
    return window, _sealed(place(window[-1])) if len(ordered) > size else None


def _sealed(place: Place) -> str:
    return urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def _opened(cursor: str, sort_by: str) -> Place:
    text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    if sort_by == "id":
        return msgspec.json.decode(text, type=tuple[int, int])
    return msgspec.json.decode(text, type=tuple[str, int])
