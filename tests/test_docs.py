"""What the documents say is so: every setting, route and room is in them, and none that does not exist."""

import re
from collections.abc import Iterator
from pathlib import Path

from pipetest.config.deals import template
from pipetest.config.settings import VARIABLES, Variable
from pipetest.domain.problems import PAUSED
from pipetest.outbox.tasks import KINDS
from pipetest.sandbox.sales import TEMPLATE
from tests.support.deploy.exposition import exposed

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
HTTP = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
REMEDIES = (ROOT / "docs" / "remedies.md").read_text(encoding="utf-8")
MONITORING = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")

NAMES = {name for variable in VARIABLES for name in variable.spellings}
FILES = {f"{name}_FILE" for variable in VARIABLES if variable.has_file for name in variable.spellings}
WEB = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "pipetest" / "web").glob("*.py"))
ROUTES = set(re.findall(r'Route\(\s*"([A-Z]+)",\s*"(/[^"]*)"', WEB))
NOT_READ = re.compile(r"\..*|tests|build|dist|node_modules|__pycache__|.*\.egg-info")


def texts() -> Iterator[tuple[Path, str]]:
    """Everything that people or machines read, the tests apart: these also name settings that do not exist."""
    for path in ROOT.rglob("*"):
        if path.is_file() and not any(NOT_READ.fullmatch(part) for part in path.relative_to(ROOT).parts):
            yield path, path.read_text(encoding="utf-8", errors="ignore")


def row(variable: Variable) -> str:
    default = f"`{variable.default}`" if variable.default else "none, required" if variable.required else "none"
    return f"| `{variable.name}` | {default} | {variable.meaning} |"


def test_the_readme_has_every_setting_as_the_code_has_it() -> None:
    assert not {row(variable) for variable in VARIABLES} - set(README.splitlines())


def test_no_text_names_a_setting_that_does_not_exist() -> None:
    named = {(name, path) for path, text in texts() for name in re.findall(r"PIPETEST_[A-Z_]*[A-Z]\b", text)}
    assert len(named) > len(VARIABLES)
    assert not {(name, path) for name, path in named if name not in NAMES | FILES}


def test_the_readmes_example_of_a_template_is_the_demonstrations() -> None:
    example = README.partition("```toml\n")[2].partition("```")[0]
    assert template(example).value == template(TEMPLATE).value


def test_the_routes_that_are_told_are_those_that_there_are() -> None:
    told = re.findall(r"^\| `([A-Z]+) (/[^`?]*)` \|", HTTP, re.MULTILINE)
    assert {(method, path.replace("{", "<").replace("}", ">")) for method, path in told} == ROUTES


def test_the_log_lines_that_are_explained_are_those_that_are_logged() -> None:
    explained = REMEDIES.partition("| line | what it means")[2].partition("\n\n")[0]
    lines = re.findall(r"^\| `([^`]+)` \|", explained, re.MULTILINE)
    assert lines
    sources = " ".join(path.read_text(encoding="utf-8") for path in (ROOT / "pipetest").rglob("*.py"))
    assert not [line for line in lines for words in line.split("…") if words.strip(" :;") not in sources]


def test_every_metric_is_told_with_its_own_help() -> None:
    told = re.findall(r"^\| `(pipetest_[a-z_]+)` \| (.*) \|$", MONITORING, re.MULTILINE)
    assert told == re.findall(r"^# HELP (pipetest_[a-z_]+) (.*)$", exposed(), re.MULTILINE)


def test_every_problem_is_told_with_its_severity() -> None:
    told = re.findall(r"^\| ((?:`[a-z-]+`(?:, )?)+) \| (error|warning) \|", MONITORING, re.MULTILINE)
    source = (ROOT / "pipetest" / "monitoring" / "problems.py").read_text(encoding="utf-8")
    found = set(re.findall(r'Finding\(\s*"([a-z-]+)",\s*"(error|warning)"', source))
    limits = {("pipedrive-limit", "warning"), ("github-limit", "warning")}  # made of the service's name
    of_kinds = {(f"{kind}s-{what}", "error") for kind in KINDS for what in ("refused", "not-seen")}  # and of the kind's
    expected = found | limits | of_kinds | {(PAUSED, "warning")}
    assert {(kind, severity) for kinds, severity in told for kind in re.findall("[a-z-]+", kinds)} == expected


def test_every_alert_is_told() -> None:
    rules = (ROOT / "deploy" / "monitoring" / "alerts.yml").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(Pipetest\w+)` \|", MONITORING, re.MULTILINE) == re.findall(r"alert: (\w+)", rules)


def test_the_architecture_has_every_room() -> None:
    paths = (path for path in (ROOT / "pipetest").iterdir() if not path.name.startswith("_"))
    rooms = {path.stem if path.suffix == ".py" else f"{path.name}/" for path in paths if path.suffix in {".py", ""}}
    told = ARCHITECTURE.partition("## The packages")[2]
    assert not {room for room in rooms if f"`{room}`" not in told}


def test_what_the_architecture_says_to_read_is_there() -> None:
    where = ARCHITECTURE.partition("## Where to read it")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\S+\.py)` \| (.*) \|$", where, re.MULTILINE)
    assert len(rows) == 25
    for file, text in rows:
        source = (ROOT / "pipetest" / file).read_text(encoding="utf-8")
        beside = [name for name in re.findall("`([^`]+)`", text) if name.endswith(".py")]
        assert all((ROOT / "pipetest" / file).with_name(name).exists() for name in beside), text
        names = [name for name in re.findall(r"`(\w+)`", text) if name != "sent"]
        assert names, file
        assert all(re.search(rf"(def|class) {name}\b", source) for name in names), text


def test_package_image_and_changelog_tell_one_version() -> None:
    setup, image, changelog = ((ROOT / name).read_text("utf-8") for name in ("setup.py", "Dockerfile", "CHANGELOG.md"))
    versions = re.findall(r'\bversion="([0-9.]+)"', setup + image)
    assert versions == re.findall(r"^## \[([0-9.]+)\] - ....-..-..$", changelog, re.MULTILINE)[:1] * 2


def anchors(path: Path) -> set[str]:
    """What GitHub makes of its headings."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_between_the_documents_lead_somewhere() -> None:
    for path in (ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", text) + re.findall(r'<img src="([^"]+)()"', text)
        for link, anchor in links:
            target = path.parent / link if link else path
            assert target.exists(), (path, link)
            assert not anchor or anchor in anchors(target), (path, link, anchor)
