"""All schedules of a world: those with one deviation, then those with two, and so on; each extends one with fewer.

Where a daemon dies, nothing of it is left but what the world holds. So of all schedules that come to the same state
there, with as few deviations, only the first is run.
"""

import gc
from collections.abc import Iterator

from tests.exploration.choices import Schedule, States
from tests.exploration.exploration import Result, run


def extend(world: str, schedule: Schedule, states: States) -> Iterator[Result]:
    """Run those with one deviation more than this one. It is run again itself, which shows where something else may
    happen: so nobody has to remember that of thousands of schedules."""
    for extension in run(world, schedule, states=states).extensions:
        yield run(world, extension)
    gc.collect()


class Explorer:
    """Explores one world in this process. ``schedules``: how many were run."""

    def __init__(self, world: str) -> None:
        self._world = world
        self.schedules = 0

    def first_violated(self, deviations: int) -> Result | None:
        """Of those with up to so many deviations."""
        states, results = States(), iter([run(self._world, ())])
        for _ in range(deviations + 1):
            schedules = []
            for result in results:
                self.schedules += 1
                if result.violations:
                    return result
                schedules.append(result.schedule)
            results = (result for each in schedules for result in extend(self._world, each, states))
        return None
