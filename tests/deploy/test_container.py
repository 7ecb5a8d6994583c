"""Dockerfile, compose.yaml and what they mount, without an engine. try_image.py tries them on real containers."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import yaml  # type: ignore[import-untyped]

from benchmarks.__main__ import AS_SHIPPED

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "deploy" / "monitoring" / "grafana"
GUIDE = (ROOT / "docs" / "deploy-container.md").read_text(encoding="utf-8")


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


COMPOSED = load(ROOT / "compose.yaml")
SERVICES = COMPOSED["services"]


def mounts(service: str) -> Iterator[tuple[str, PurePosixPath]]:
    """What is mounted, and where."""
    for volume in SERVICES[service].get("volumes", []):
        source, target, *_ = volume.split(":")
        yield source, PurePosixPath(target)


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    found = subprocess.run([hadolint, ROOT / "Dockerfile"], text=True, capture_output=True, check=False)
    assert (found.stdout + found.stderr, found.returncode) == ("", 0)


def test_without_a_profile_there_is_pipetest_alone_and_the_guide_names_each_profile() -> None:
    assert [name for name, service in SERVICES.items() if "profiles" not in service] == ["pipetest"]
    profiles = {profile for service in SERVICES.values() for profile in service.get("profiles", [])}
    assert set(re.findall(r"--profile (\w+)", GUIDE)) == profiles


def test_whatever_is_mounted_exists() -> None:
    sources = [source for service in SERVICES for source, _ in mounts(service)]
    files = {source for source in sources if source.startswith("./")}
    assert files
    assert not {source for source in files if not (ROOT / source).is_file()}
    assert set(sources) - files == set(COMPOSED["volumes"])


def test_grafana_looks_for_its_dashboard_where_it_is_mounted() -> None:
    (dashboard,) = [target for source, target in mounts("grafana") if source.endswith("/pipetest.json")]
    (provider,) = load(GRAFANA / "dashboards.yml")["providers"]
    assert provider["options"]["path"] == str(dashboard.parent)
    assert SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == str(dashboard)


def test_a_service_asks_only_services_that_exist() -> None:
    (source,) = load(GRAFANA / "datasource.yml")["datasources"]
    assert urlsplit(source["url"]).hostname in SERVICES
    (job,) = load(ROOT / "deploy" / "monitoring" / "prometheus.yml")["scrape_configs"]
    assert {target.partition(":")[0] for each in job["static_configs"] for target in each["targets"]} == {"pipetest"}


def test_the_database_in_the_guide_is_the_one_that_is_composed() -> None:
    (url,) = re.findall(r"PIPETEST_DATABASE_URL=(postgresql:\S+)", GUIDE)
    guided = urlsplit(url)
    owner = SERVICES[guided.hostname]["environment"]["POSTGRES_USER"]  # whose name the database has
    assert (guided.username, guided.path) == (owner, f"/{owner}")


def test_every_port_is_open_to_this_machine_alone_and_every_service_has_a_memory_limit() -> None:
    assert all(port.startswith("127.0.0.1:") for service in SERVICES.values() for port in service.get("ports", []))
    assert all("mem_limit" in service for service in SERVICES.values())


def test_nobody_can_log_in_to_grafana() -> None:
    environment = SERVICES["grafana"]["environment"]
    assert environment["GF_AUTH_BASIC_ENABLED"] == "false"
    assert environment["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"


def test_no_image_is_pulled_without_a_version() -> None:
    assert SERVICES["pipetest"]["pull_policy"] == "build"
    pulled = [service["image"] for service in SERVICES.values() if "build" not in service]
    assert all(re.fullmatch(r"[a-z/]+:v?[0-9][0-9.]*", image) for image in pulled)


def test_image_and_unit_give_memory_back_as_where_it_is_measured() -> None:
    for name, value in AS_SHIPPED.items():
        assert f"\n    {name}={value} \\\n" in (ROOT / "Dockerfile").read_text(encoding="utf-8")
        assert f"\nEnvironment={name}={value}\n" in (ROOT / "systemd" / "pipetest.service").read_text(encoding="utf-8")


def test_the_units_memory_is_limited() -> None:
    assert "\nMemoryMax=1G\n" in (ROOT / "systemd" / "pipetest.service").read_text(encoding="utf-8")
