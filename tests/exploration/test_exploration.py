"""All schedules with one deviation, and the explorer itself; ``make explore`` runs those with more."""

import gc
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator

import pytest
from twisted.logger import LogEvent

from pipetest.outbox.progress import Progress
from pipetest.outbox.tasks import Task
from tests.exploration.choices import Extension, Schedule, States, as_text, from_text
from tests.exploration.exploration import run
from tests.exploration.explorer import Explorer
from tests.exploration.mutations import NOTICED_IN, OUT_OF_REACH
from tests.exploration.small_world import WORLDS
from tests.simulation.mutations import MUTATIONS


@pytest.fixture(autouse=True)
def _killed_instances_are_collected(no_failure_is_logged_unseen: list[LogEvent]) -> Iterator[None]:
    """What killed instances were waiting for ends when it is collected, and logs a failure."""
    yield
    while gc.collect() or no_failure_is_logged_unseen:
        no_failure_is_logged_unseen.clear()


class EveryState(States):
    """None counts as known."""

    def __init__(self) -> None:
        super().__init__()
        self.schedules: dict[bytes, list[Schedule]] = defaultdict(list)

    def are_known(self, extension: Extension) -> bool:
        if extension.state is not None:
            self.schedules[extension.state].append(extension.schedule)
        return False


@pytest.mark.parametrize("world", WORLDS)
def test_one_deviation_breaks_no_promise_wherever_it_happens(world: str) -> None:
    """In a process of its own: to measure coverage takes longer than the runs."""
    command = (sys.executable, "-m", "tests.exploration", "--deviations", "1", "--world", world)
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_what_is_said_of_a_mutation_is_said_of_one_that_there_is() -> None:
    assert {*NOTICED_IN, *OUT_OF_REACH} <= {mutation.name for mutation in MUTATIONS}


def test_schedules_that_lead_to_the_same_state_end_alike() -> None:
    """Which is why only the first of them is run."""
    states = EveryState()
    run("one user", (), states=states)
    alike = [schedules for schedules in states.schedules.values() if len(schedules) > 1]
    assert len(alike) >= 40
    for first, *_, last in alike[::5]:
        ends = {run("one user", schedule, states=EveryState()).end for schedule in (first, last)}
        assert len(ends - {b""}) == 1, f"{as_text(first)} and {as_text(last)} end differently"


def test_broken_code_is_found_and_its_schedule_shows_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(_: Progress, task: Task) -> None: ...

    with monkeypatch.context() as broken:
        broken.setattr(Progress, "send", nothing)
        explorer = Explorer("lists that lag")
        assert explorer.first_violated(0) is None, "what goes well needs no record"
        found = explorer.first_violated(1)
        assert found is not None
        again = run("lists that lag", from_text(as_text(found.schedule)))
    assert again.violations == found.violations
    assert "2 organizations" in found.violations[0]
    assert run("lists that lag", found.schedule).violations == []
