"""What a soak does to the process, and what it tells of it."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import fmean, stdev
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from benchmarks.soak import report, samples
from benchmarks.soak.chart import PANELS, chart
from benchmarks.soak.disturbances import IN_OUTAGES_ALONE, OUTAGES, by_chance
from benchmarks.soak.report import SoakResult, figures
from benchmarks.soak.samples import End, Sample, SampleFile, Setup
from benchmarks.soak.trend import trend
from pipetest.sandbox.faults import FAULTS

# --- the trend --------------------------------------------------------------------------------------------------------


def test_the_trend_of_a_straight_line_is_the_line_without_error() -> None:
    found = trend([(x, 3.0 + 0.5 * x) for x in range(10)])
    assert (found.start, found.slope, found.error) == pytest.approx((3.0, 0.5, 0.0))
    assert found.at(100.0) == pytest.approx(53.0)


def test_the_error_of_independent_measurements_is_that_of_least_squares() -> None:
    found = trend([(0.0, 1.0), (1.0, -1.0), (2.0, -1.0), (3.0, 1.0)])
    assert found.slope == pytest.approx(0.0)
    assert found.error == pytest.approx((4.0 / (4 - 2) / 5.0) ** 0.5)


def test_the_error_is_how_far_slopes_really_scatter_where_each_measurement_resembles_the_one_before() -> None:
    found = [trend(autoregressive(Random(seed), 400, 0.8)) for seed in range(100)]
    assert fmean(one.error for one in found) == pytest.approx(stdev(one.slope for one in found), rel=0.25)


def autoregressive(random: Random, count: int, correlation: float) -> Sequence[tuple[float, float]]:
    y, points = 0.0, []
    for x in range(count):
        y = correlation * y + random.gauss(0.0, 1.0)
        points.append((float(x), y))
    return points


# --- the figures ------------------------------------------------------------------------------------------------------

MINUTES = 80.0
EVERY_S = 15.0
SETUP = Setup("a machine", MINUTES, 100.0, 10, 18.0, 4.0)
END = End(1_000, 0, 2, 30.0, 0.5, {"GitHub 503": 3, "Pipedrive late-504": 1})


def sample(number: int) -> Sample:
    """Memory grows by 2 MiB an hour; the log by a MiB a minute; the database by a KiB with each gist, one a sample."""
    elapsed_s = number * EVERY_S
    return Sample(
        elapsed_s=elapsed_s,
        rss_mib=60.0 + 2.0 * elapsed_s / 3600,
        descriptors=30 if number == 7 else 20,
        log_bytes=int(elapsed_s / 60 * 1024**2),
        database_bytes=number * 1024,
        deals=max(0, number - 1),
        gists=number,
        faults=number,
        refused=0,
        visits=3 * number,
        failed_visits=0,
        cpu_s=elapsed_s / 50,
        outage=OUTAGES[0].name if 10 <= number < 14 else "",
    )


SAMPLES = [sample(number) for number in range(int(MINUTES * 60 / EVERY_S) + 1)]


def rows(soak: SoakResult) -> dict[str, str]:
    cells = [row.strip("| ").split(" | ") for row in figures(soak) if row.startswith("| ")]
    return {cell[0]: cell[1] for cell in cells}


def test_the_figures_are_those_of_the_samples() -> None:
    told = rows(SoakResult(SETUP, SAMPLES, END))
    assert told["slope of memory after the warm-up, with its standard error, MiB an hour"] == "+2.00 ± 0.00"
    assert told["slope of memory after the warm-up at the normal pace, MiB a day"] == "+0.480 ± 0.000"
    each = "slope of memory after the warm-up for each of the 280 gists that were new meanwhile, KiB"
    assert told[each] == f"{2 * 70 / 60 * 1024 / 280:.2f}"
    assert told["open descriptors at the start, and at most"] == "20, 30"
    assert told["log at this pace, MiB a day"] == "1440.0"
    assert told["log at the normal pace, a hundredth of it, KiB a day"] == "14,746"
    assert told["the same for each gist at the end, bytes"] == "1,024"
    assert told["CPU, % of a core"] == "2.0"
    assert told["outages that came, of all"] == f"1 of {len(OUTAGES)}"
    assert told["records made twice; gists without a deal"] == "**0; 2**"
    assert told["kinds of faults by chance that came, of all"].startswith("2 of ")


def test_what_happens_before_the_warm_up_and_after_the_faults_is_no_trend() -> None:
    high = replace(SAMPLES[5], rss_mib=500.0), replace(SAMPLES[-1], rss_mib=500.0, elapsed_s=MINUTES * 60 + 1)
    told = rows(SoakResult(SETUP, [*SAMPLES[:5], high[0], *SAMPLES[6:], high[1]], END))
    assert told["slope of memory after the warm-up, with its standard error, MiB an hour"] == "+2.00 ± 0.00"


def test_a_step_in_the_middle_of_the_run_is_no_trend_of_its_late_part() -> None:
    stepped = [replace(one, rss_mib=one.rss_mib + (one.elapsed_s >= MINUTES * 30)) for one in SAMPLES]
    told = rows(SoakResult(SETUP, stepped, END))
    assert told["slope of memory after the first audit, with its standard error, MiB an hour"] == "+2.00 ± 0.00"
    assert told["slope of memory after the warm-up, with its standard error, MiB an hour"] != "+2.00 ± 0.00"


def test_an_interrupted_run_says_so_and_nothing_of_its_end(tmp_path: Path) -> None:
    file = SampleFile(tmp_path / "samples.jsonl")
    file.append(SETUP)
    for one in SAMPLES[:200]:
        file.append(one)
    soak = SoakResult.of(list(samples.read(tmp_path / "samples.jsonl")))
    assert (soak.setup, soak.samples, soak.end) == (SETUP, SAMPLES[:200], None)
    told = rows(soak)
    assert "interrupted" in told
    assert not any("made twice" in name for name in told)


def test_the_table_takes_the_place_of_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = tmp_path / "reliability.md"
    document.write_text("Before.\n<!-- soak: by the command -->\nold\n<!-- end of soak -->\nAfter.\n", "utf-8")
    monkeypatch.setattr(report, "DOCUMENT", document)
    monkeypatch.setattr(report, "CHART", tmp_path / "soak.svg")
    soak = SoakResult(SETUP, SAMPLES, END)
    report.keep(soak)
    lines = "\n".join(figures(soak))
    assert document.read_text("utf-8") == (
        f"Before.\n<!-- soak: by the command -->\n{lines}\n<!-- end of soak -->\nAfter.\n"
    )


def test_the_picture_has_a_curve_for_each_measure_the_trend_and_the_outages() -> None:
    soak = SoakResult(SETUP, SAMPLES, END)
    picture = ElementTree.fromstring(chart(SAMPLES, soak.memory, soak.warm_s, soak.heading))  # noqa: S314  # our own
    curves = [element for element in picture.iter() if element.tag.endswith("polyline")]
    assert len(curves) == sum(len(panel.curves) for panel in PANELS) + 1
    assert all(len(curve.attrib["points"].split()) == len(SAMPLES) for curve in curves[:-1])
    assert len(curves[-1].attrib["points"].split()) == 2
    titles = [element.text for element in picture.iter() if element.tag.endswith("}title")]
    assert titles == [OUTAGES[0].name] * len(PANELS)


# --- the disturbances -------------------------------------------------------------------------------------------------


def test_every_fault_of_the_sandbox_comes() -> None:
    in_outages = {fault["fault"] for outage in OUTAGES for fault in outage.faults}
    assert {fault["fault"] for fault in by_chance()} == set(FAULTS) - set(IN_OUTAGES_ALONE)
    assert set(IN_OUTAGES_ALONE) <= in_outages <= set(FAULTS)
