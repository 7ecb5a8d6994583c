"""How fast a contestant works off what waits when nothing goes wrong, and what that takes."""

from time import monotonic

from msgspec import Struct

from benchmarks.support.judge import Verdict
from duel.support.trial import Trial

GISTS_EACH = 30
"""As many as the older service ever reads of a user."""

LATENCY_S = 0.05
LONGEST_S = 600.0
WATCH_S = 0.05


class Speed(Struct, frozen=True):
    """Deals are counted from the first one on, so that no start counts; processor time and memory from the start of its
    process. Memory is that of its largest process."""

    verdict: Verdict = Verdict()
    deals_per_s: float = 0.0
    cpu_s_per_1000: float = 0.0
    peak_mib: float = 0.0


def measure(trial: Trial, gists: int) -> Speed:
    trial.world.write_gists(gists)
    trial.start()
    began_at = monotonic()
    first = first_at = 0.0
    while (missing := trial.world.verdict().missing) and monotonic() - began_at < LONGEST_S:
        if not first and missing < gists:
            first, first_at = gists - missing, monotonic()
        trial.run_for(WATCH_S)
    ended_at = monotonic()
    trial.stop()
    deals_per_s = (gists - missing - first) / (ended_at - first_at) if first else 0.0
    verdict = trial.world.verdict()
    return Speed(verdict, deals_per_s, 1000 * trial.usage.cpu_s / gists, trial.usage.peak_mib)
