"""The shape of the code: which room may import which, who may name the reactor, and how long things may get."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "pipetest"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem != "__init__")
SOURCES = [*MODULES, *(path for folder in ("tests", "benchmarks", "twisted") for path in (ROOT / folder).rglob("*.py"))]

MODULE_LINES = 300
TEST_LINES = 400
"""There is one file of tests for one module, and it takes more words to show than to do."""

FUNCTION_LINES = 25

# Each room's modules, and the rooms it may import from beside itself.
ROOMS = {
    "words": ("errors model seams status", ""),
    "rules": ("readers settings quota forecast ledger gate backlog", "words"),
    "http": ("http fence replies", "words rules"),
    "governor": ("governor", "words rules"),
    "github": ("github", "words rules http"),
    "pipedrive": ("pipedrive", "words rules http"),
    "store": ("store", "words rules"),
    "work": ("reading scan create perform records gatekeeper heartbeat history keeping", "words rules"),
    "shell": ("services leadership notify logs watch endpoints web", "words work"),
    "sandbox": ("sandbox", "words"),
    "root": (
        "assembly job instances snapshot reloading demonstration tap",
        "words rules http governor github pipedrive store work shell sandbox",
    ),
}
PURE = {"words", "rules"}
PURE_LIBRARIES = {"attrs", "msgspec"}
REACTOR_NAMED_IN = {"pipetest.tap", "pipetest.sandbox.__main__"}


def name_of(path: Path) -> str:
    """``pipetest/store/tiny.py`` is ``pipetest.store.tiny``, ``pipetest/web/__init__.py`` is ``pipetest.web``."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> str:
    part = module.split(".")[1]
    rooms = [room for room, (parts, _) in ROOMS.items() if part in parts.split()]
    assert rooms, f"{module} has no room yet: give it one in ROOMS"
    return rooms[0]


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


def imported_modules(path: Path) -> Iterator[str]:
    """Our own modules among what a module imports."""
    ours = {name_of(module) for module in MODULES}
    for name in imports(path):
        if name in ours:
            yield name
        elif name.rpartition(".")[0] in ours:
            yield name.rpartition(".")[0]


def outer(path: Path) -> set[str]:
    """The packages that a module imports from."""
    return {name.partition(".")[0] for name in imports(path)}


def own_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The lines of a function without its docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    match function.body[0]:
        case ast.Expr(ast.Constant(str(docstring))):
            lines -= docstring.count("\n") + 1
    return lines


def test_imports_run_upward_only() -> None:
    downward = {}
    for path in MODULES:
        room = room_of(name_of(path))
        allowed = {room, *ROOMS[room][1].split()}
        downward[name_of(path)] = {module for module in imported_modules(path) if room_of(module) not in allowed}
    assert not {name: modules for name, modules in downward.items() if modules}


def test_words_and_rules_stand_on_values_alone() -> None:
    libraries = {"pipetest", *PURE_LIBRARIES, *sys.stdlib_module_names}
    pure = (path for path in MODULES if room_of(name_of(path)) in PURE)
    assert not {name_of(path): others for path in pure if (others := outer(path) - libraries)}


def test_no_import_goes_in_a_circle() -> None:
    TopologicalSorter({name_of(path): set(imported_modules(path)) for path in MODULES}).prepare()


def test_the_reactor_is_named_at_the_root_only() -> None:
    named_in = {name_of(path) for path in MODULES if "twisted.internet.reactor" in imports(path)}
    assert named_in <= REACTOR_NAMED_IN


def test_modules_stay_short() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    allowed = {path: MODULE_LINES if path in MODULES else TEST_LINES for path in SOURCES}
    assert not {str(path.relative_to(ROOT)): lines for path, lines in lengths.items() if lines > allowed[path]}


def test_functions_stay_short() -> None:
    lengths = {
        f"{path.relative_to(ROOT)}:{node.name}": own_lines(node)
        for path in SOURCES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert not {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES}
