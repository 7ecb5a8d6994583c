"""The shape of the code: what import-linter cannot say."""

import ast
from functools import cache
from pathlib import Path

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
