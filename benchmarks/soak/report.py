"""The figures of a run as docs/reliability.md tells them: none of them is typed by hand."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from benchmarks.soak.chart import chart
from benchmarks.soak.disturbances import OUTAGES, by_chance
from benchmarks.soak.samples import End, Line, Sample, Setup
from benchmarks.soak.trend import Trend, trend
from benchmarks.support.document import replace_part
from benchmarks.support.report import kept

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT = DOCS / "reliability.md"
CHART = DOCS / "soak.svg"

WARM_UP = 0.125
"""The share of the run after which memory is measured: by then what was written before is in Pipedrive, and every kind
of request has been made. Of two hours, a quarter of an hour."""

LATE = 0.625
"""The share of the run after which all threads of the pool have been started as well, as the weekly audit has been run
for the first time. Of two hours, an hour and a quarter."""

FEWEST = 3
"""Samples after the warm-up, for a slope with an error."""

SMALLER = ("1,000 users, 10,000 gists: peak memory, MiB", 10_000)
LARGER = ("10,000 users, 100,000 gists: peak memory, MiB", 100_000)
"""Rows of docs/performance.md, and their gists: between them, what a gist and a tenth of a user take in memory."""

HOUR_S, DAY_S = 3600.0, 24 * 3600.0
MIB, KIB = 1024**2, 1024


class SoakResult(Struct, frozen=True):
    """What a file of samples tells; no ``end``: the run was interrupted."""

    setup: Setup
    samples: Sequence[Sample]
    end: End | None

    @staticmethod
    def of(lines: Sequence[Line]) -> "SoakResult":
        """
        :raises StopIteration: no run has begun.
        """
        return SoakResult(
            next(line for line in lines if isinstance(line, Setup)),
            [line for line in lines if isinstance(line, Sample)],
            next((line for line in lines if isinstance(line, End)), None),
        )

    @property
    def warm_s(self) -> float:
        return self.setup.minutes * 60 * WARM_UP

    @property
    def warm(self) -> Sequence[Sample]:
        """From the end of the warm-up to the end of all faults."""
        return [sample for sample in self.samples if self.warm_s <= sample.elapsed_s <= self.setup.minutes * 60]

    @property
    def late(self) -> Sequence[Sample]:
        return [sample for sample in self.warm if sample.elapsed_s >= self.setup.minutes * 60 * LATE]

    @property
    def memory(self) -> Trend:
        """In MiB per second."""
        return memory_of(self.warm)

    @property
    def heading(self) -> str:
        setup = self.setup
        length = f"{min(setup.minutes, self.samples[-1].elapsed_s / 60):,.0f} minutes"
        return f"{length} at {setup.pace:g} times the normal pace, {setup.users} users, {setup.machine}"


def memory_of(samples: Sequence[Sample]) -> Trend:
    """In MiB per second."""
    return trend([(sample.elapsed_s, sample.rss_mib) for sample in samples])


def keep(soak: SoakResult) -> None:
    """Write the table into docs/reliability.md, and the picture beside it."""
    CHART.write_text(chart(soak.samples, soak.memory, soak.warm_s, soak.heading), encoding="utf-8")
    replace_part(DOCUMENT, "soak", "\n".join(figures(soak)) + "\n")


def figures(soak: SoakResult) -> Iterator[str]:
    yield f"{soak.heading}."
    yield ""
    yield "![Memory, open descriptors, gists and deals over time](soak.svg)"
    yield ""
    yield "| figure | measured |"
    yield "|---|---|"
    for name, value in (*_memory(soak), *_descriptors(soak), *_disk(soak), *_work(soak), *_result(soak)):
        yield f"| {name} | {value} |"


Rows = Iterator[tuple[str, str]]


def _memory(soak: SoakResult) -> Rows:
    first, last = soak.warm[0], soak.warm[-1]
    yield "memory after the warm-up, and at the end of the faults, MiB", f"{first.rss_mib:.1f}, {last.rss_mib:.1f}"
    yield from _slope("after the warm-up", soak.warm, soak.setup.pace)
    if len(soak.late) >= FEWEST:
        yield from _slope("after the first audit", soak.late, soak.setup.pace)
    performance = kept()
    if SMALLER[0] in performance and LARGER[0] in performance:
        grown = (performance[LARGER[0]] - performance[SMALLER[0]]) * KIB / (LARGER[1] - SMALLER[1])
        yield "what a gist takes in memory, by [performance.md](performance.md), KiB", f"{grown:.2f}"


def _slope(when: str, samples: Sequence[Sample], pace: float) -> Rows:
    memory, first, last = memory_of(samples), samples[0], samples[-1]
    per_hour, per_day = HOUR_S, DAY_S / pace
    told = f"{memory.slope * per_hour:+.2f} ± {memory.error * per_hour:.2f}"
    yield f"slope of memory {when}, with its standard error, MiB an hour", told
    told = f"{memory.slope * per_day:+.3f} ± {memory.error * per_day:.3f}"
    yield f"slope of memory {when} at the normal pace, MiB a day", told
    gists = last.gists - first.gists
    if gists:
        each = memory.slope * (last.elapsed_s - first.elapsed_s) * KIB / gists
        yield f"slope of memory {when} for each of the {gists:,} gists that were new meanwhile, KiB", f"{each:.2f}"


def _descriptors(soak: SoakResult) -> Rows:
    most = max(sample.descriptors for sample in soak.samples)
    told = f"{soak.samples[0].descriptors}, {most}"
    yield "open descriptors at the start, and at most", told
    if soak.end is not None:
        yield "open descriptors a minute after all is done", f"{soak.samples[-1].descriptors}"


def _disk(soak: SoakResult) -> Rows:
    first, last = soak.samples[0], soak.samples[-1]
    log = (soak.warm[-1].log_bytes - soak.warm[0].log_bytes) / (soak.warm[-1].elapsed_s - soak.warm[0].elapsed_s)
    yield "log at this pace, MiB a day", f"{log * DAY_S / MIB:.1f}"
    yield "log at the normal pace, a hundredth of it, KiB a day", f"{log * DAY_S / KIB / soak.setup.pace:,.0f}"
    sizes = [sample.database_bytes for sample in soak.samples]
    told = f"{first.database_bytes / KIB:,.0f}, {max(sizes) / KIB:,.0f}, {last.database_bytes / KIB:,.0f}"
    yield "database at the start, at most, and at the end, KiB", told
    yield "the same for each gist at the end, bytes", f"{last.database_bytes / last.gists:,.0f}"


def _work(soak: SoakResult) -> Rows:
    last = soak.samples[-1]
    yield "CPU, % of a core", f"{100 * last.cpu_s / last.elapsed_s:.1f}"
    yield "requests that met a fault; that were refused with 429", f"{last.faults:,}; {last.refused:,}"
    yield "visits; those that got no answer", f"{last.visits:,}; {last.failed_visits:,}"


def _result(soak: SoakResult) -> Rows:
    if soak.end is None:
        yield "interrupted", "after the last sample of the picture"
        return
    of_each = [soak.end.met.get(f"{fault['service']} {fault['fault']}", 0) for fault in by_chance()]
    yield "kinds of faults by chance that came, of all", f"{sum(map(bool, of_each))} of {len(of_each)}"
    outages = {sample.outage for sample in soak.samples} - {""}
    yield "outages that came, of all", f"{len(outages)} of {len(OUTAGES)}"
    yield "seconds from the end of all faults until every gist was a deal", f"{soak.end.worked_off_s:,.0f}"
    yield "gists", f"{soak.end.gists:,}"
    yield "records made twice; gists without a deal", f"**{soak.end.doubles:,}; {soak.end.missing:,}**"
    yield "seconds that the stop took", f"{soak.end.stop_s:.1f}"
