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


def first_violated(world: str, deviations: int) -> Result | None:
    """Of all schedules with up to so many deviations, the first that breaks a promise."""
    states = States()
    extensions: Sequence[Extension] = run(world, (), states=states).extensions
    for left in range(deviations, 0, -1):
        following: list[Extension] = []
        for result in run_all(world, extensions, states if left > 1 else None):
            if result.violations:
                return result
            following += result.extensions
        extensions = following
    return None
