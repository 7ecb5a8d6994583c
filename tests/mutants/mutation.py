"""What mutmut would change: every mutant of a package, with the line that it changes as it was and as it becomes."""

import re
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path

from msgspec import Struct
from mutmut.mutation.file_mutation import MutatedFile, mutate_file_contents

PROSE = re.compile(r'"[^"]* [^"]*"')
"""A text with a blank in it is for people. How it reads is for them to judge, not for tests."""


class Mutant(Struct, frozen=True):
    """``at`` is the file and the function, ``pipetest/ratelimit/windows.py Window.used``. Line numbers may move; the
    ``name`` is mutmut's and counts the mutants of a function."""

    name: str
    at: str
    was: str
    became: str


def mutants_of(path: Path) -> Iterator[Mutant]:
    """In the order in which mutmut makes them, without those that only change a text for people."""
    mutated = mutate_file_contents(str(path), path.read_text(encoding="utf-8"))
    for function in mutated.mutant_names:
        name = function.partition("__mutmut_")[0]
        was, became = difference(body(mutated, f"{name}__mutmut_orig", name), body(mutated, function, name))
        if PROSE.sub('""', was) != PROSE.sub('""', became):
            module = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
            yield Mutant(f"{module}.{function}", f"{path} {written(name)}", was, became)


def body(mutated: MutatedFile, function: str, name: str) -> list[str]:
    """The lines of one of the generated functions, all under the name of the one that they are made from."""
    span = mutated.line_span_by_function_name[function]
    return [line.replace(function, name) for line in mutated.code.split("\n")[span.start - 1 : span.end]]


def difference(was: list[str], became: list[str]) -> tuple[str, str]:
    """The lines between the first and the last that differ, on each side as one line."""
    first = shared(was, became)
    last = shared(reversed(was[first:]), reversed(became[first:]))
    old, new = (" ".join(lines[first : len(lines) - last]) for lines in (was, became))
    return " ".join(old.split()), " ".join(new.split())


def shared(some: Iterable[str], others: Iterable[str]) -> int:
    """How many lines are the same, from the first on."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(some, others, strict=False)))


def written(name: str) -> str:
    """mutmut's ``xǁWindowǁused`` is ``Window.used``; its ``x_finite`` is ``finite``."""
    return name[2:].replace("ǁ", ".")
