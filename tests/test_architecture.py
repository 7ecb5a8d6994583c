"""The shape of the code: what import-linter cannot say."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from time import process_time

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "pipetest"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem != "__init__")

REACTOR_NAMED_IN = {"pipetest.tap"}


def name_of(path: Path) -> str:
    """``pipetest/store/tinydb/disk.py`` is ``pipetest.store.tinydb.disk``; ``pipetest/web/__init__.py`` is
    ``pipetest.web``."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports(path: Path) -> frozenset[str]:
    """What a module imports, at any depth of its code: ``a.b`` for ``import a.b`` and for ``from a import b``."""
    found: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(found)


def test_the_reactor_is_named_at_the_root_only() -> None:
    named_in = {name_of(path) for path in MODULES if "twisted.internet.reactor" in imports(path)}
    assert named_in == REACTOR_NAMED_IN


LONG = 8_000
LINEAR_S = 0.1
"""For so many characters, a time that grows with their square takes several times as long."""


def patterns() -> set[str]:
    """Every regular expression that is written down in the package."""
    found: set[str] = set()
    for path in MODULES:
        for node in ast.walk(parsed(path)):
            if not isinstance(node, ast.Call):
                continue
            of_re = isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "re"
            arguments = [*node.args[:1], *(k.value for k in node.keywords)] if of_re else []
            arguments += [keyword.value for keyword in node.keywords if keyword.arg == "pattern"]
            for argument in arguments:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str | bytes):
                    value = argument.value
                    found.add(value if isinstance(value, str) else value.decode("latin-1"))
    return found


def attacks(pattern: str) -> Iterator[str]:
    """Long texts that almost match: some of its literal characters, then one of them again and again."""
    literals = re.sub(r"\\.|\[[^\]]*\]|\{[^}]*\}|\(\?P<\w+>|[()?:*+|^$]", "", pattern)
    for unit in {*literals, *' a0\\<>;,="@/'}:
        for end in range(len(literals) + 1):
            yield literals[:end] + unit * LONG + "\x01"


@pytest.mark.parametrize("pattern", sorted(patterns()))
def test_no_regular_expression_backtracks(pattern: str) -> None:
    compiled = re.compile(pattern)
    for attack in attacks(pattern):
        began = process_time()
        compiled.search(attack)
        compiled.fullmatch(attack)
        assert process_time() - began < LINEAR_S, attack[:20]


PLAIN = {"bool", "bytes", "float", "int", "str", "tuple", "State"}
"""Types of values that hold nothing else; a ``State`` is one of several such classes."""


def uncollected() -> dict[str, set[str]]:
    """The classes that the garbage collector leaves out, and what the types of their fields are made of."""
    found: dict[str, set[str]] = {}
    for path in MODULES:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ClassDef) and any(keyword.arg == "gc" for keyword in node.keywords):
                types = [field.annotation for field in node.body if isinstance(field, ast.AnnAssign)]
                found[node.name] = {part.id for each in types for part in ast.walk(each) if isinstance(part, ast.Name)}
    return found


def test_what_the_garbage_collector_leaves_out_is_part_of_no_cycle() -> None:
    """Else it would stay for ever, with all that it holds."""
    classes = uncollected()
    assert not {name for name, held in classes.items() if held - PLAIN - classes.keys()}
