"""The figures of a run as docs/duel.md and README.md tell them: none of them is typed by hand."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from textwrap import fill

from msgspec import Struct

from benchmarks.support.document import replace_part
from benchmarks.support.judge import Verdict
from duel.support.chart import chart
from duel.support.results import Result, Run
from pipetest.domain.text import number_of

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "duel.md"
CHART = ROOT / "docs" / "duel.svg"
README = ROOT / "README.md"


class Cost(Struct, frozen=True):
    """What one column tells of a result; ``most_is_best`` where more is better."""

    title: str
    of: Callable[[Result], float]
    most_is_best: bool = False


COSTS = (
    Cost("deals per second", lambda result: result.speed.deals_per_s, most_is_best=True),
    Cost("CPU seconds per 1,000 deals", lambda result: result.speed.cpu_s_per_1000),
    Cost("peak memory, MiB", lambda result: result.speed.peak_mib),
    Cost("requests refused (429)", lambda result: result.total.refused),
    Cost("lines you write", lambda result: result.written),
    Cost("lines you run", lambda result: result.brought),
)


def keep(run: Run) -> None:
    """Write the tables into docs/duel.md, the picture beside it, and the result into the first screen of README.md."""
    CHART.write_text(chart(run), encoding="utf-8")
    replace_part(DOCUMENT, "figures", "\n".join(figures(run)) + "\n")
    replace_part(README, "duel", fill(summary(run), 120, break_long_words=False, break_on_hyphens=False) + "\n")


def figures(run: Run) -> Iterator[str]:
    yield f"{run.heading}."
    yield ""
    yield "![Records made twice, by tool and scenario](duel.svg)"
    yield ""
    yield from _table("records made twice", run, lambda verdict: verdict.doubles)
    yield from _table("gists without a deal", run, lambda verdict: verdict.missing)
    yield from _costs(run)
    yield from (f"Not measured: {result.name}, {result.unmeasured}." for result in run.results if result.unmeasured)
    yield from (f"Failed: {result.name}, {', '.join(result.failed)}." for result in run.results if result.failed)


def summary(run: Run) -> str:
    """The result in one line."""
    ours, *others = run.results
    rivals = [result.total.doubles for result in others if not result.unmeasured]
    return (
        f"Beside what one would take instead, under the same faults and kills, pipetest made"
        f" {number_of(ours.total.doubles, 'record')} twice and missed {number_of(ours.total.missing, 'gist')}, the"
        f" others made {min(rivals, default=0):,} to {max(rivals, default=0):,} twice: [docs/duel.md](docs/duel.md)."
    )


def _table(what: str, run: Run, of: Callable[[Verdict], int]) -> Iterator[str]:
    yield _row([what, *run.titles.values(), "in all"])
    yield "|---|" + "---|" * (len(run.titles) + 1)
    for result in run.results:
        told = [f"{of(result.verdicts[title]):,}" if title in result.verdicts else "" for title in run.titles]
        yield _row([result.name, *told, "not measured" if result.unmeasured else f"{of(result.total):,}"])
    yield ""


def _costs(run: Run) -> Iterator[str]:
    """The best of each column in bold."""
    yield _row(["what it takes", *(cost.title for cost in COSTS)])
    yield "|---|" + "---|" * len(COSTS)
    for result in run.results:
        yield _row([result.name, *(_cost(cost, result, run.results) for cost in COSTS)])
    yield ""


def _cost(cost: Cost, result: Result, results: Iterable[Result]) -> str:
    if result.unmeasured:
        return ""
    value, values = cost.of(result), [cost.of(other) for other in results if not other.unmeasured]
    text = f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
    return f"**{text}**" if value == (max(values) if cost.most_is_best else min(values)) else text


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
