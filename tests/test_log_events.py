"""Each line that people may read has an event: a name for programs, the same for all of its kind, and documented."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).parent.parent
SHOWN = {"info", "warn", "error", "critical", "failure", "emit"}
FIELDS = {"gists", "traceback"}


class Line(Struct, frozen=True):
    """A call of a logger: its format, None where it is no literal, and the names that its ``event`` may have."""

    place: str
    text: str | None
    events: tuple[str, ...]


def lines() -> Iterator[Line]:
    for path in sorted((ROOT / "pipetest").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and speaks(node.func):
                texts = [str(arg.value) for arg in node.args if isinstance(arg, ast.Constant)]
                named = (keyword.value for keyword in node.keywords if keyword.arg == "event")
                events = tuple(str(name.value) for value in named for name in names(value))
                yield Line(f"{path}:{node.lineno}", texts[0] if texts else None, events)


def speaks(function: ast.expr) -> bool:
    """Whether it is a method of a logger that people may hear."""
    if not isinstance(function, ast.Attribute) or function.attr not in SHOWN:
        return False
    return ast.unparse(function.value).rpartition(".")[2].strip("_").lower() == "log"


def names(value: ast.expr) -> Iterator[ast.Constant]:
    match value:
        case ast.Constant():
            yield value
        case ast.IfExp():
            yield from names(value.body)
            yield from names(value.orelse)


def test_each_line_has_an_event() -> None:
    found = list(lines())
    assert len(found) > 40
    assert [line.place for line in found if not line.events] == []
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", event) for line in found for event in line.events)


def test_one_event_is_one_kind_of_line() -> None:
    meanings: dict[str, set[str | None]] = {}
    for line in lines():
        for event in line.events:
            meanings.setdefault(event, set()).add(line.text)
    assert {event: texts for event, texts in meanings.items() if len(texts) > 1} == {}


def test_a_logger_speaks_where_its_event_can_be_seen() -> None:
    """No method of a logger is passed around: then the tests above would not see what it says."""
    for path in sorted((ROOT / "pipetest").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        methods = [node for node in ast.walk(tree) if isinstance(node, ast.expr) and speaks(node)]
        assert [f"{path}:{node.lineno}" for node in methods if id(node) not in called] == []


def test_every_event_is_documented_and_none_that_does_not_exist() -> None:
    monitoring = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    table = monitoring.partition("| event |")[2].partition("\n## ")[0]
    told = set(re.findall(r"`([a-z_]+)`", table)) - FIELDS
    assert told == {event for line in lines() for event in line.events} | {"other"}
