"""Metrics and alert rules as Prometheus itself reads them: ``pytest tests/deploy/try_monitoring.py``."""

import os
import shutil
import socket
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.daemon_process import daemon
from tests.support.deploy.exposition import exposed
from tests.support.processes import Process, ask, until

MONITORING = Path(__file__).parents[2] / "deploy" / "monitoring"


@pytest.fixture(scope="session", autouse=True)
def prometheus() -> None:
    if shutil.which("promtool") is None or shutil.which("prometheus") is None:
        pytest.exit("Prometheus and promtool are missing; Debian has both in its package prometheus.", 1)


def promtool(*argv: str, sent: str = "") -> str:
    """Run it in deploy/monitoring; its output. Whatever it objects to fails the test."""
    done = subprocess.run(["promtool", *argv], cwd=MONITORING, input=sent, capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output


def test_prometheus_accepts_configuration_and_rules() -> None:
    assert "rules found" in promtool("check", "config", "prometheus.yml")


def test_each_rule_fires_when_it_should_and_at_no_other_time() -> None:
    assert "SUCCESS" in promtool("test", "rules", "alerts.test.yml")


def test_each_rule_is_tried() -> None:
    alerts = [
        line.split(": ")[1] for line in Path(MONITORING / "alerts.yml").read_text().splitlines() if "- alert:" in line
    ]
    tried = Path(MONITORING / "alerts.test.yml").read_text()
    assert alerts
    assert [alert for alert in alerts if tried.count(f"alertname: {alert}") < 2] == []


def test_the_metrics_are_named_as_prometheus_wants_them() -> None:
    assert promtool("check", "metrics", sent=exposed()) == ""


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def test_prometheus_scrapes_a_running_daemon(tmp_path: Path) -> None:
    target, address = free_address(), free_address()
    text = (MONITORING / "prometheus.yml").read_text(encoding="utf-8").replace("pipetest:8080", target)
    (tmp_path / "prometheus.yml").write_text(text.replace("15s", "1s"), encoding="utf-8")
    shutil.copy(MONITORING / "alerts.yml", tmp_path)
    options = (f"--web.listen-address={address}", "--storage.tsdb.path=data", "--config.file=prometheus.yml")
    with (
        daemon(tmp_path, "--sandbox", LISTEN=f"tcp:{target.partition(':')[2]}:interface=127.0.0.1"),
        Process("prometheus", *options, env=os.environ, cwd=tmp_path) as server,
    ):
        server.line("Server is ready")
        query = f"http://{address}/api/v1/query?query={quote('pipetest_ready')}"
        (sample,) = until(lambda: ask(query).json()["data"]["result"])
        assert sample["value"][1] == "1"
        assert sample["metric"]["job"] == "pipetest"
        assert promtool("check", "metrics", sent=ask(f"http://{target}/metrics").body.decode()) == ""
