"""A priority queue of what to look at next, with one hint for an item, however often it is put. Pure."""

from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T", bound=Hashable)

SPARE = 64
"""Outdated entries are taken out once there are this many more of them than hints: so that costs little for each."""


class _Entry(NamedTuple, Generic[T]):
    order: float
    number: int
    item: T


class Hints(Generic[T]):
    """Items by their order: the smallest comes first, and of equal ones the one that was put first. Of each item the
    latest entry counts; the heap may hold earlier ones."""

    def __init__(self) -> None:
        self._heap: list[_Entry[T]] = []
        self._latest: dict[T, _Entry[T]] = {}
        self._numbers = count()

    def __len__(self) -> int:
        """How many entries there are, outdated ones included."""
        return len(self._heap)

    def put(self, item: T, order: float) -> None:
        """From now on the item has this order."""
        latest = self._latest.get(item)
        if latest is not None and latest.order == order:
            return
        self._latest[item] = entry = _Entry(order, next(self._numbers), item)
        heappush(self._heap, entry)
        if len(self._heap) > 2 * len(self._latest) + SPARE:
            self._heap = list(self._latest.values())
            heapify(self._heap)

    def discard(self, item: T) -> None:
        self._latest.pop(item, None)

    def first(self) -> float | None:
        """The smallest order; None where there is no hint."""
        while self._heap and self._latest.get(self._heap[0].item) is not self._heap[0]:
            heappop(self._heap)
        return self._heap[0].order if self._heap else None

    def pop(self) -> T:
        """The first item; there has to be one."""
        self.first()
        item = heappop(self._heap).item
        del self._latest[item]
        return item
