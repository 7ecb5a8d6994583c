"""What a run of the duel writes into the documents: a row for each tool, whatever it found out."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.support.judge import Verdict
from duel.contestants import CONTESTANTS
from duel.scenarios import QUICK, SCENARIOS
from duel.speed import Speed
from duel.support import report
from duel.support.chart import chart
from duel.support.results import NOTHING_WRONG, Result, Run

TITLES = {NOTHING_WRONG: "calm"} | {scenario: QUICK.title(scenario) for scenario in SCENARIOS}


def result(name: str, doubles: int, missing: int, speed: Speed) -> Result:
    """The same in each scenario but the first, in which nothing was made twice."""
    verdicts = {scenario: Verdict(100, doubles, missing, 1) for scenario in SCENARIOS}
    verdicts |= {NOTHING_WRONG: Verdict(10)}
    return Result(name, verdicts=verdicts, speed=speed, written=doubles, brought=1_000)


def a_run() -> Run:
    results = [
        result("ours", 0, 0, Speed(Verdict(), 200.0, 1.5, 60.0)),
        result("theirs", 3, 2, Speed(Verdict(), 9.0, 1.25, 30.0)),
    ]
    return Run(TITLES, [*results, Result("absent", "as it is nowhere")], "A quick run")


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_every_tool_has_a_row_with_each_scenario_and_their_sum() -> None:
    rows = [cells(row) for row in report.figures(a_run()) if row.startswith("| ")]
    doubles, missing, costs = rows[:4], rows[4:8], rows[8:]
    assert doubles[0] == ["records made twice", *TITLES.values(), "in all"]
    assert doubles[1] == ["ours", *["0"] * len(TITLES), "0"]
    assert doubles[2] == ["theirs", "0", *["3"] * len(SCENARIOS), f"{3 * len(SCENARIOS)}"]
    assert missing[2] == ["theirs", "0", *["2"] * len(SCENARIOS), f"{2 * len(SCENARIOS)}"]
    assert doubles[3] == missing[3] == ["absent", *[""] * len(TITLES), "not measured"]
    assert costs[3] == ["absent", *[""] * len(report.COSTS)]


def test_the_best_of_each_column_stands_out_whoever_has_it() -> None:
    rows = {cells(row)[0]: cells(row)[1:] for row in report.figures(a_run()) if row.startswith("| ")}
    assert rows["ours"] == ["**200**", "1.5", "60", "**7**", "**0**", "**1,000**"]
    assert rows["theirs"] == ["9", "**1.25**", "**30**", "**7**", "3", "**1,000**"]


def test_the_figures_take_the_place_of_those_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, marker in (("DOCUMENT", "figures"), ("README", "duel")):
        path = tmp_path / marker
        path.write_text(f"Before.\n<!-- {marker}: by the command -->\nold\n<!-- end of {marker} -->\nAfter.\n", "utf-8")
        monkeypatch.setattr(report, name, path)
    monkeypatch.setattr(report, "CHART", tmp_path / "duel.svg")
    report.keep(a_run())
    document, readme = ((tmp_path / name).read_text(encoding="utf-8") for name in ("figures", "duel"))
    figures = "\n".join(report.figures(a_run()))
    assert document == f"Before.\n<!-- figures: by the command -->\n{figures}\n<!-- end of figures -->\nAfter.\n"
    assert report.summary(a_run()) in " ".join(readme.split())
    assert "old" not in document + readme


def test_the_picture_is_well_formed_and_names_every_tool_and_scenario() -> None:
    picture = ElementTree.fromstring(chart(a_run()))  # noqa: S314  # we have written it ourselves
    texts = {element.text for element in picture.iter() if element.text}
    assert {"ours", "theirs", "absent", *TITLES} <= texts
    assert {"0 twice, 0 missing", f"{3 * len(SCENARIOS)} twice, {2 * len(SCENARIOS)} missing", "not measured"} <= texts


def test_the_document_has_a_row_for_every_tool_in_each_table() -> None:
    rows = [cells(row)[0] for row in report.DOCUMENT.read_text(encoding="utf-8").splitlines() if row.startswith("| ")]
    described, told = rows[rows.index("tool") :], rows[: rows.index("scenario")]
    for kind in CONTESTANTS:
        assert (told.count(kind.name), described.count(kind.name)) == (3, 1), kind.name


def test_the_document_describes_every_scenario() -> None:
    rows = [cells(row)[0] for row in report.DOCUMENT.read_text(encoding="utf-8").splitlines() if row.startswith("| ")]
    assert rows[rows.index("scenario") + 1 : rows.index("tool")] == list(TITLES)
