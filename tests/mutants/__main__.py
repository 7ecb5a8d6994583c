"""``python -m tests.mutants [path …]``: change a copy of the code in one place after the other, and see whether
the package's own tests notice. Fails where one has survived of which ``equivalents.toml`` does not tell why."""

import sys
from collections.abc import Collection, Sequence
from hashlib import sha256
from pathlib import Path
from typing import ClassVar

from msgspec import Struct
from twisted.python.usage import Options as UsageOptions

from tests.mutants.equivalents import Change, objections, read
from tests.mutants.mutation import Mutant
from tests.mutants.workshop import ROOT, Workshop
from tests.support.options import parse


class Package(Struct, frozen=True):
    """Which tests a package has for its own: what pytest is asked to run, with which ``arguments``. Those are left out
    that need a server, and the modules that only these could test; and a few that take seconds where others tell in
    milliseconds."""

    name: str
    tests: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def modules(self) -> list[Path]:
        left_out = [ROOT / "pipetest" / folder for folder in self.left_out]
        paths = (ROOT / "pipetest" / self.name).rglob("*.py")
        return [path for path in paths if not any(path.is_relative_to(folder) for folder in left_out)]


PACKAGES = (
    Package("ratelimit", ("tests/ratelimit",), ("--ignore=tests/ratelimit/test_at_the_bound.py",)),
    Package(
        "http",
        ("tests/http",),
        ("--ignore=tests/http/test_hostile_answers.py", "-knot pieces_of_one_byte and not short_printable_line"),
    ),
    Package("github", ("tests/github",)),
    Package("outbox", ("tests/outbox",), ("--ignore=tests/outbox/test_amnesia.py",)),
    Package("scanner", ("tests/scanner", "tests/outbox/test_missing_texts.py"), ("-knot after_three_changes",)),
    Package("pipedrive", ("tests/pipedrive",)),
    Package(
        "store",
        ("tests/store/tinydb", "tests/store/test_contract.py"),
        ("-knot postgres and not killed_while_it_writes", "--ignore=tests/store/tinydb/test_histories.py"),
        ("store/postgres", "store/copy"),
    ),
)


class Options(UsageOptions):
    optParameters: ClassVar = [["sample", None, None, "Of each package, so many mutants only, always the same.", int]]
    synopsis = "Usage: python -m tests.mutants [--sample=n] [pipetest/PACKAGE[/MODULE.py] …]"

    def parseArgs(self, *paths: str) -> None:
        self.paths = [(ROOT / path).resolve() for path in paths] or [ROOT / "pipetest"]


class Count(Struct, frozen=True):
    """``of`` is how many mutants there are."""

    package: str
    of: int
    tried: int
    survived: int
    equivalent: int

    def row(self) -> str:
        killed = self.tried - self.survived
        share = f"{100 * killed / max(1, self.tried - self.equivalent):.1f} %"
        figures = (
            f"`{self.package}`",
            self.of,
            self.tried,
            killed,
            self.survived - self.equivalent,
            self.equivalent,
            share,
        )
        return "| " + " | ".join(str(figure) for figure in figures) + " |"


def try_package(package: Package, modules: Collection[Path], sample: int | None) -> tuple[Count, list[str]]:
    """The figures, and what is wrong."""
    workshop = Workshop(package.name, modules, package.tests, package.arguments)
    files = {str(path.relative_to(ROOT)) for path in modules}
    rows = {change for change in read() if change[0].partition(" ")[0] in files}
    mutants = workshop.mutants()
    drawn = sorted(mutants, key=drawing)[:sample]
    tried = {mutant.name: mutant for mutant in (*drawn, *(mutant for mutant in mutants if change(mutant) in rows))}
    survivors = workshop.survivors(tried)
    survived: dict[Change, bool] = {}
    for mutant in tried.values():  # the same change may be made at two places of a function
        survived[change(mutant)] = survived.get(change(mutant), False) or mutant.name in survivors
    alive = [mutant for mutant in drawn if mutant.name in survivors]
    equivalent = sum(change(mutant) in rows for mutant in alive)
    return Count(package.name, len(mutants), len(drawn), len(alive), equivalent), objections(rows, survived)


def change(mutant: Mutant) -> Change:
    return mutant.at, mutant.was, mutant.became


def drawing(mutant: Mutant) -> bytes:
    """Orders mutants by chance, and always in the same way."""
    return sha256(mutant.name.encode()).digest()


def main(arguments: Sequence[str]) -> int:
    options = Options()
    parse(options, arguments)
    counts, wrong = [], []
    for package in PACKAGES:
        modules = [path for path in package.modules() if any(path.is_relative_to(asked) for asked in options.paths)]
        if modules:
            count, objected = try_package(package, modules, options["sample"])
            counts.append(count)
            wrong += objected
            print(*objected, sep="\n", flush=True)
    print("| package | mutants | tried | killed | survived | equivalent | killed of the others |")
    print("|---|---|---|---|---|---|---|", *(count.row() for count in counts), sep="\n")
    return int(bool(wrong) or not counts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
