"""A digest of a world in which no daemon runs: of all that decides what follows when one is started."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence, Set
from hashlib import blake2b
from itertools import chain
from random import Random

from msgspec import Struct

from pipetest.sandbox.service import Service
from tests.exploration.small_world import SmallWorld
from tests.simulation.storage_faults import NEW
from tests.support.simulated_disk import Names

UNASKED: Mapping[type, Set[str]] = {Service: {"calls", "statuses", "injected", "faults"}}
"""Attributes that are left out: in a run, nobody asks what they say."""

PLAIN = frozenset((type(None), bool, int, float, str, bytes, bytearray))


class StateDigest:
    """The world is digested anew only when it was asked something: nobody changes it meanwhile."""

    def __init__(self, environment: SmallWorld) -> None:
        self._world = environment.world
        self._calls, self._world_digest = -1, b""

    def of(self, starts_at: float, journal: Sequence[Names], *others: object) -> bytes:
        """The moment, the disk, GitHub and Pipedrive, and ``others``.

        What is in the memory of a process that has died is nothing any more. A ``.new`` on the disk is left out: a
        start does not read it, and the next commit writes it anew.
        """
        calls = self._world.github.calls.total() + self._world.pipedrive.calls.total()
        if calls != self._calls:
            self._calls, self._world_digest = calls, _digest(self._world)
        folders = [{suffix: inode for suffix, inode in names.items() if suffix != NEW} for names in journal]
        return _digest((starts_at, folders, self._world_digest, others))


def _digest(value: object) -> bytes:
    parts: list[str] = []
    _take_apart(value, parts, {})
    return blake2b("\n".join(parts).encode(), digest_size=16).digest()


def _take_apart(value: object, parts: list[str], known: dict[int, int]) -> None:
    """Into all that it holds, in a fixed order; what comes again, by its number."""
    if type(value) in PLAIN:
        parts.append(repr(value))
    elif callable(value):
        parts.append(getattr(value, "__qualname__", ""))
    elif id(value) in known:
        parts.append(f"again {known[id(value)]}")
    else:
        known[id(value)] = len(known)
        parts.append(type(value).__qualname__)
        for part in _held(value):
            _take_apart(part, parts, known)
        parts.append("end")


def _held(value: object) -> Iterable[object]:
    match value:
        case dict():
            return chain.from_iterable(value.items())
        case list() | tuple() | deque():
            return value
        case Set():
            return sorted(value, key=repr)
        case Random():
            return (hash(value.getstate()[1]),)  # a tuple of numbers: the same in every process
        case Struct():
            return (getattr(value, name) for name in value.__struct_fields__)
        case _:
            left_out = UNASKED.get(type(value), ())
            return (held for name, held in vars(value).items() if name not in left_out)
