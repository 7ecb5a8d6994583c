"""A folder for mutmut to work in: a copy of the code and of the tests of one package."""

import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import chdir
from pathlib import Path
from shutil import copy2, copytree, ignore_patterns, rmtree

from tests.mutants.mutation import Mutant, mutants_of

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "mutants"
LEFT_OUT = ignore_patterns("__pycache__", "node_modules", "*.egg-info")
NEEDED = ("pipetest", "tests", "docs", "benchmarks", "twisted", "README.md", "pyproject.toml", "setup.py")

KILLED = {1, 3, 24, -24, 36, 152, 255}
"""mutmut's codes: a test has failed, pytest itself, or it never came to an end."""

CONFIGURATION = """\
[mutmut]
source_paths = pipetest
only_mutate =
{modules}
do_not_mutate_patterns = _log\\.\\w+\\(
also_copy =
    docs
    benchmarks
    twisted
    README.md
    setup.py
pytest_add_cli_args_test_selection =
{tests}
pytest_add_cli_args =
    --hypothesis-profile=mutants
    -pno:cacheprovider
    -pno:xdist
    -ofaulthandler_timeout=20
    -ofaulthandler_exit_on_timeout=true
{arguments}
process_isolation = forkserver
timeout_multiplier = 4
timeout_constant = 60
use_git_change_detection = false
"""
"""What is logged, people read. A server forks the processes, as Twisted's reactor runs once in a process. A test that
waits for ever is killed by pytest: mutmut waits for minutes, or until so much processor time is used up."""


class Workshop:
    def __init__(
        self, name: str, modules: Collection[Path], tests: Collection[str], arguments: Collection[str]
    ) -> None:
        """``modules`` are files in the repository, ``tests`` what pytest is to run, with ``arguments``."""
        self._folder = FOLDER / name
        self._modules = sorted(path.relative_to(ROOT) for path in modules)
        rmtree(self._folder, ignore_errors=True)
        for needed in NEEDED:
            source, target = ROOT / needed, self._folder / needed
            if source.is_dir():
                copytree(source, target, ignore=LEFT_OUT)
            else:
                copy2(source, target)
        parts = {"modules": self._modules, "tests": tests, "arguments": arguments}
        lines = {part: "\n".join(f"    {line}" for line in value) for part, value in parts.items()}
        (self._folder / "setup.cfg").write_text(CONFIGURATION.format(**lines), encoding="utf-8")

    def mutants(self) -> list[Mutant]:
        with chdir(self._folder):  # mutmut looks for its configuration there, once for a process
            return [mutant for path in self._modules for mutant in mutants_of(path)]

    def survivors(self, names: Collection[str]) -> set[str]:
        """Runs mutmut on these mutants; those that no test has noticed. Raises ``CalledProcessError`` where the tests
        fail on the code as it is."""
        command = [sys.executable, "-m", "mutmut", "run", "--max-children", "1", *names]
        with (self._folder / "mutmut.log").open("w", encoding="utf-8") as log:
            environment = {**os.environ, "PYTHONHASHSEED": "0"}
            subprocess.run(command, cwd=self._folder, env=environment, stdout=log, stderr=log, check=True)
        codes = {name: code for path in self._modules for name, code in self._codes(path)}
        return {name for name in names if codes[name] not in KILLED}

    def _codes(self, path: Path) -> Iterator[tuple[str, int | None]]:
        told = json.loads((self._folder / "mutants" / f"{path}.meta").read_text(encoding="utf-8"))
        yield from told["exit_code_by_key"].items()
