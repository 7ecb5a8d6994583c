"""All trials of a run: first what is timed, one after the other; then, beside each other, what is only judged."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from traceback import format_exception

from msgspec import Struct

from benchmarks.support.judge import Verdict
from duel import speed
from duel.contestants import Contestant, Pipetest
from duel.scenarios import KILLS, PAGES, SCENARIOS, Sizes
from duel.support.results import Result
from duel.support.trial import STOPPED, Trial
from duel.support.world import world

AT_ONCE = 6
"""They mostly wait."""

Tell = Callable[[str], None]


class Judged(Struct, frozen=True):
    """One trial that is not timed: ``amount`` gists, or kills."""

    contestant: Contestant
    scenario: str
    amount: int
    seed: str

    def verdict(self) -> Verdict:
        scenario = SCENARIOS[self.scenario]
        with trial(self.contestant, scenario.users, scenario.latency, self.seed) as running:
            return scenario.play(running, self.amount)


def run(contestants: Sequence[Contestant], sizes: Sizes, seed: int, tell: Tell) -> Sequence[Result]:
    results = {one.name: Result(one.name, written=one.lines_written, brought=one.lines_brought) for one in contestants}
    for contestant in contestants:
        users = max(1, sizes.speed // speed.GISTS_EACH)
        with trial(contestant, users, speed.LATENCY_S, f"{seed}") as running:
            measured = speed.measure(running, sizes.speed)
        results[contestant.name].set_speed(measured)
        tell(f"{contestant.name}, nothing goes wrong: {measured}")
    with ThreadPoolExecutor(AT_ONCE) as threads:
        running_trials = {threads.submit(judged.verdict): judged for judged in _judged(contestants, sizes, seed)}
        try:
            for future in as_completed(running_trials):
                judged, result = running_trials[future], results[running_trials[future].contestant.name]
                try:
                    result.add(judged.scenario, future.result())
                    tell(f"{result.name}, {judged.scenario}: {future.result()}")
                except Exception as e:  # the others have not been run in vain
                    result.failed.append(judged.scenario)
                    tell(f"{result.name}, {judged.scenario} failed: {''.join(format_exception(e))}")
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            STOPPED.set()
            raise
    return list(results.values())


def _judged(contestants: Sequence[Contestant], sizes: Sizes, seed: int) -> Iterator[Judged]:
    """The longest first. The kills are dealt out among several trials."""
    for scenario in sorted(SCENARIOS, key=[KILLS, PAGES].__contains__, reverse=True):
        for contestant in contestants:
            parts = sizes.kill_parts if scenario == KILLS else 1
            for part in range(parts):
                amount = sizes.amount(scenario, of_ours=isinstance(contestant, Pipetest)) // parts
                yield Judged(contestant, scenario, amount, f"{seed} {contestant.name} {scenario} {part}")


@contextmanager
def trial(contestant: Contestant, users: int, latency: float, seed: str) -> Iterator[Trial]:
    random = Random(seed)
    with (
        TemporaryDirectory(prefix="duel-", ignore_cleanup_errors=True) as folder,
        world(Path(folder), users, latency, random.getrandbits(32)) as services,
    ):
        running = Trial(contestant, services, Path(folder), random)
        try:
            yield running
        finally:
            running.stop()
