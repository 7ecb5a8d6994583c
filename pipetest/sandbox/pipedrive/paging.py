"""Pipedrive's cursors: opaque, and good for the query they came from."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec

T = TypeVar("T")

Position = tuple[int | str, int]
"""Where a row stands in a list: its value of the key that sorts the list, then its id."""


def page(
    rows: Iterable[T], position: Callable[[T], Position], *, descending: bool = False, cursor: str | None, size: int
) -> tuple[Sequence[T], str | None]:
    """At most ``size`` rows after the cursor's position, and the cursor of the next page.

    :raises ValueError: the cursor is none of ours.
    """
    ordered = sorted(rows, key=position, reverse=descending)
    if cursor is not None:
        after = _decoded(cursor)
        try:
            ordered = [row for row in ordered if (position(row) < after if descending else position(row) > after)]
        except TypeError:
            raise ValueError("the cursor is of a list that is sorted by another key") from None
    window = ordered[:size]
    return window, _encoded(position(window[-1])) if len(ordered) > size else None


def _encoded(position: Position) -> str:
    return urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def _decoded(cursor: str) -> Position:
    text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    return msgspec.json.decode(text, type=tuple[int | str, int])
