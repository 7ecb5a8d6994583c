"""Dashboard and alerts speak of metrics that exist. ``promtool`` tries what the rules say, see try_monitoring.py."""

import json
import re
from pathlib import Path

import pytest

from pipetest.domain import status
from pipetest.web.metrics import Exposition

MONITORING = Path(__file__).parents[2] / "deploy" / "monitoring"
DASHBOARD = MONITORING / "grafana" / "pipetest.json"

EVERYTHING = status.Status(
    at=100.0,
    instance=status.Instance(company="acme", version="1", started_at=1.0, gists_url="", deals_url=""),
    scan=status.Scan(started_at=2.0, ended_at=3.0),
    outlook=status.Outlook(done_at=200.0, text="soon"),
    oldest=status.Waiting(id="g", user="u", since_at=5.0),
    quotas=[
        status.Quota(service="Pipedrive", name=name, limit=9.0, left=1.0, used=8.0, reset_at=300.0)
        for name in ("requests in 2 s", "tokens today", "writes today")
    ],
    passes={"recorded": 1},
)


def exposed() -> str:
    return Exposition(lambda: EVERYTHING).text().decode()


@pytest.mark.parametrize("name", ["alerts.yml", "alerts.test.yml", "grafana/pipetest.json"])
def test_every_metric_that_is_asked_for_exists(name: str) -> None:
    asked = set(re.findall(r"\b(?:pipetest|process)_[a-z_]+", (MONITORING / name).read_text(encoding="utf-8")))
    assert asked
    assert asked <= set(re.findall(r"^([a-z_]+)", exposed(), re.MULTILINE))


@pytest.mark.parametrize("name", ["alerts.yml", "alerts.test.yml", "grafana/pipetest.json"])
def test_every_state_and_quota_that_is_asked_for_exists(name: str) -> None:
    text = (MONITORING / name).read_text(encoding="utf-8").replace('\\"', '"')
    asked = set(re.findall(r'(?:state|quota)!?=~?"([^"]+)"', text))
    known = set(re.findall(r'(?:state|quota)="([^"]+)"', exposed()))
    assert asked
    assert {value for values in asked for value in values.split("|")} <= known


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
