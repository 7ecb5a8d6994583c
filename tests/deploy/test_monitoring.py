"""Dashboard and alerts use metrics that exist. ``promtool`` tries the rules themselves, in try_monitoring.py."""

import json
import re
from pathlib import Path

import pytest

from tests.support.deploy.exposition import exposed

MONITORING = Path(__file__).parents[2] / "deploy" / "monitoring"
DASHBOARD = MONITORING / "grafana" / "pipetest.json"


@pytest.mark.parametrize("name", ["alerts.yml", "alerts.test.yml", "grafana/pipetest.json"])
def test_every_metric_that_is_used_exists(name: str) -> None:
    used = set(re.findall(r"\b(?:pipetest|process)_[a-z_]+", (MONITORING / name).read_text(encoding="utf-8")))
    assert used
    assert used <= set(re.findall(r"^([a-z_]+)", exposed(), re.MULTILINE))


@pytest.mark.parametrize("name", ["alerts.yml", "alerts.test.yml", "grafana/pipetest.json"])
def test_every_state_and_quota_that_is_used_exists(name: str) -> None:
    text = (MONITORING / name).read_text(encoding="utf-8").replace('\\"', '"')
    used = set(re.findall(r'(?:state|quota)!?=~?"([^"]+)"', text))
    known = set(re.findall(r'(?:state|quota)="([^"]+)"', exposed()))
    assert used
    assert {value for values in used for value in values.split("|")} <= known


def test_the_dashboards_panels_lie_beside_one_another() -> None:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_the_dashboard_shows_each_problem_while_it_lasts() -> None:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    (problems,) = (panel for panel in panels if panel["title"] == "Problems")
    (target,) = problems["targets"]
    assert target["expr"] == "max by (id, severity) (pipetest_problem)"
    assert target["legendFormat"] == "{{severity}}: {{id}}"
