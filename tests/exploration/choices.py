"""What happens in a run is a series of choices. A schedule says where something else happens than mostly does."""

from collections.abc import Callable, Sequence

from msgspec import Struct

Schedule = tuple[tuple[int, int], ...]
"""Its deviations: the number of a choice, counted from 0 as a run comes to them, and of the alternative taken there,
counted from 1. At every other choice happens what mostly does."""


def as_text(schedule: Schedule) -> str:
    return ",".join(f"{number}:{alternative}" for number, alternative in schedule)


def from_text(text: str) -> Schedule:
    """
    :raises ValueError: it is no schedule.
    """
    pairs = [pair.split(":") for pair in text.split(",") if pair]
    return tuple((int(number), int(alternative)) for number, alternative in pairs)


class Extension(Struct, frozen=True):
    """A schedule with one deviation more than another. ``state``: a digest of what it leads to, where nothing else
    decides what follows."""

    schedule: Schedule
    state: bytes | None


class States:
    """The states that schedules lead to, and which one led to each first. ``met_again``: how often another one did."""

    def __init__(self) -> None:
        self.met_again = 0
        self._first: dict[bytes, Schedule] = {}

    def __len__(self) -> int:
        return len(self._first)

    def are_known(self, extension: Extension) -> bool:
        """Whether another schedule, with as few deviations, leads to where this one does: then nothing new follows."""
        if extension.state is None:
            return False
        first = self._first.setdefault(extension.state, extension.schedule)
        if len(first) > len(extension.schedule):
            first = self._first[extension.state] = extension.schedule
        is_known = first != extension.schedule
        self.met_again += is_known
        return is_known


class Choices:
    """The choices of one run. ``write_line`` is called with each deviation, in words.

    With ``states``, ``extensions`` are the schedules that extend this one, and lead to a state that is not known.
    """

    def __init__(self, schedule: Schedule, write_line: Callable[[str], object], states: States | None) -> None:
        self._schedule = schedule
        self._chosen = dict(schedule)
        self._last = schedule[-1][0] if schedule else -1
        self._write_line = write_line
        self._states = states
        self._made = 0
        self.extensions: list[Schedule] = []

    def choose(
        self, alternatives: Sequence[str], where: str, leads_to: Callable[[str], bytes | None] = lambda _: None
    ) -> str | None:
        """One of the alternatives, or None: what mostly happens. ``leads_to``: a digest of the state after it."""
        number, self._made = self._made, self._made + 1
        if number > self._last:
            if self._states is not None:
                self._extend(self._states, number, alternatives, leads_to)
            return None
        if number not in self._chosen:
            return None
        chosen = alternatives[self._chosen[number] - 1]
        self._write_line(f"{where}: {chosen}")
        return chosen

    def _extend(
        self, states: States, number: int, alternatives: Sequence[str], leads_to: Callable[[str], bytes | None]
    ) -> None:
        for which, alternative in enumerate(alternatives, 1):
            extension = Extension((*self._schedule, (number, which)), leads_to(alternative))
            if not states.are_known(extension):
                self.extensions.append(extension.schedule)
