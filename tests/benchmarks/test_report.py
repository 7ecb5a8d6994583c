"""What a run of the benchmarks writes into docs/performance.md."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import __main__ as bench
from benchmarks.support import report
from benchmarks.support.report import HEAD, Figure, machine
from benchmarks.support.tools import need

FIGURES = [Figure("speed", 24.3, 25), Figure("memory", 10, 20, at_most=True), Figure("commits", 1_200)]


@pytest.mark.parametrize("measured", ["Not measured yet.", "Measured on an abacus."])
def test_figures_take_the_place_of_those_before_and_a_missed_aim_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measured: str
) -> None:
    document = tmp_path / "performance.md"
    other = "| figure | 1.0.0 |\n|---|---|\n| speed | 20 |\n\n"
    document.write_text(f"{other}{measured}\n\n{HEAD}| old | 1 |  |\n\nThe end.\n", encoding="utf-8")
    monkeypatch.setattr(report, "DOCUMENT", document)
    report.keep(FIGURES, all_run=True)
    rows = "| speed | 24.3 | at least 25: **missed** |\n| memory | 10 | at most 20 |\n| commits | 1,200 |  |\n"
    assert document.read_text(encoding="utf-8") == f"{other}Measured on {machine()}.\n\n{HEAD}{rows}\nThe end.\n"
    assert report.kept() == {"speed": 24.3, "memory": 10, "commits": 1_200}


def test_the_figures_of_one_benchmark_leave_those_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = tmp_path / "performance.md"
    document.write_text(f"Not measured yet.\n\n{HEAD}\nThe end.\n", encoding="utf-8")
    monkeypatch.setattr(report, "DOCUMENT", document)
    report.keep(FIGURES, all_run=True)
    report.keep([Figure("memory", 30, 20, at_most=True), Figure("threads", 3)], all_run=False)
    rows = (
        "| speed | 24.3 | at least 25: **missed** |\n"
        "| memory | 30 | at most 20: **missed** |\n"
        "| commits | 1,200 |  |\n"
        "| threads | 3 |  |\n"
    )
    assert document.read_text(encoding="utf-8") == f"Measured on {machine()}.\n\n{HEAD}{rows}\nThe end.\n"


def test_a_benchmark_whose_tool_is_missing_is_left_out_and_the_others_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_tool() -> Iterator[Figure]:
        need("abacus")
        yield Figure("beads", 10)

    document = tmp_path / "performance.md"
    document.write_text(f"Not measured yet.\n\n{HEAD}", encoding="utf-8")
    monkeypatch.setattr(report, "DOCUMENT", document)
    monkeypatch.setattr(bench, "BENCHMARKS", {"without_tool": without_tool, "other": lambda: iter(FIGURES[1:])})
    assert bench.main("--keep") == 0
    assert "without_tool …\n  left out: needs abacus (Debian: apt-get install abacus)\n" in capsys.readouterr().out
    assert report.kept() == {"memory": 10, "commits": 1_200}
