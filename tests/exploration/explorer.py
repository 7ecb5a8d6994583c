"""All schedules of a world: those with one deviation, then those with two, and so on; each extends one with fewer.

Where a daemon dies, nothing of it is left but what the world holds. So of all schedules that come to the same state
there, with as few deviations, only the first is run.
"""

import gc
from collections.abc import Iterator, Sequence

from tests.exploration.choices import Extension, States
from tests.exploration.exploration import Result, run

COLLECT_EVERY = 100
"""Runs after which the garbage is collected that they leave."""


def run_all(world: str, extensions: Sequence[Extension], states: States | None) -> Iterator[Result]:
    """With ``states``, each tells how it is extended."""
    for number, extension in enumerate(extensions):
        yield run(world, extension.schedule, states=states)
        if number % COLLECT_EVERY == 0:
            gc.collect()


class Explorer:
    """Explores one world in this process, by one deviation more at a time. ``schedules``: how many were run."""

    def __init__(self, world: str) -> None:
        self.world = world
        self.schedules = 0
        self._states = States()
        self._extensions = [Extension((), None)]

    def first_violated(self, *, extends: bool = True) -> Result | None:
        """Of the schedules with one deviation more than before: at first, of that with none. Unless it ``extends``
        them, these were the last."""
        extensions, self._extensions = self._extensions, []
        for result in run_all(self.world, extensions, self._states if extends else None):
            self.schedules += 1
            if result.violations:
                return result
            self._extensions += result.extensions
        return None
