"""``python -m tests.pythons``: the tests on each Python that the package is for, each in an environment of its own."""

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from twisted.python.usage import Options as UsageOptions

from tests.pythons.interpreters import Interpreter, find, looked_in, versions
from tests.support.distributions import ROOT, UV
from tests.support.options import parse

HOME = Path(".venv/pythons")
LOCKED = ("--require-hashes", *(f"--requirements=requirements/{name}.txt" for name in ("build", "run", "test")))
PYTEST = ("-n", "3", "--dist", "loadgroup", "-rfEs")
SUMMARY = re.compile("=+ (.+ in [0-9.]+s.*?) =+")


class Options(UsageOptions):
    synopsis = "Usage: python -m tests.pythons [options] [test ...]"
    optFlags: ClassVar = [
        ["newest", None, "On the newest that is found, alone."],
        ["lowest", None, "On the oldest, with the lowest versions that setup.py allows."],
    ]
    tests: Sequence[str] = ("tests",)

    def parseArgs(self, *tests: str) -> None:
        self.tests = tests or self.tests


def lowest(version: str) -> Sequence[str]:
    """Requirements: the lowest that ``setup.py`` allows, and the newest that these need, in place of what is locked."""
    file = HOME / "lowest.txt"
    (ROOT / HOME).mkdir(exist_ok=True)
    ranges = ("setup.py", "--extra", "notify", "--extra", "postgres", "--resolution", "lowest-direct")
    subprocess.run(
        (UV, "pip", "compile", "--quiet", *ranges, "--python-version", version, "-o", file), cwd=ROOT, check=True
    )
    return ("--requirements=requirements/build.txt", "--requirements=requirements/test.txt", f"--override={file}")


def run(name: str, on: Interpreter, requirements: Sequence[str], tests: Sequence[str]) -> tuple[bool, str]:
    """Install these requirements into a new environment and run the tests in it: whether they passed, and how many."""
    uv, home = "uv" if on.before else str(UV), HOME / name
    install = (uv, "pip", "install", "--quiet", "--python", str(home))
    steps: Sequence[Sequence[str]] = (
        (on.python, "-m", "venv", "--clear", str(home)),
        (*install, *requirements),
        (*install, "--no-deps", "--no-build-isolation", "--editable", "."),
        (str(home / "bin" / "python"), "-m", "pytest", *PYTEST, *tests),
    )
    script = " && ".join(map(shlex.join, steps))
    summary = "they did not run to the end"
    with subprocess.Popen((*on.before, "sh", "-c", script), cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if found := SUMMARY.fullmatch(line.strip()):
                summary = found[1]
    return process.returncode == 0, summary


def main() -> int:
    options = Options()
    parse(options, sys.argv[1:])
    found = {version: find(version) for version in versions()}
    rows = [f"{version}: not found {looked_in(version)}" for version, there in found.items() if not there]
    chosen = [interpreter for interpreter in found.values() if interpreter]
    if options["newest"] or options["lowest"]:
        chosen = [chosen[-1 if options["newest"] else 0]]
    all_passed = True
    for on in chosen:
        name, requirements = ("lowest", lowest(on.version)) if options["lowest"] else (on.version, LOCKED)
        passed, summary = run(name, on, requirements, options.tests)
        what = ", lowest versions" if options["lowest"] else ""
        rows.append(f"{on.name}{what}: {'passed' if passed else 'FAILED'}: {summary}")
        all_passed = all_passed and passed
    print(*rows, sep="\n")
    return int(not all_passed)


if __name__ == "__main__":
    sys.exit(main())
