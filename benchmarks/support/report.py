"""Figures: each is compared with its aim, and with what docs/performance.md keeps of an earlier run."""

import os
import platform
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

from msgspec import Struct

DOCUMENT = Path(__file__).parents[2] / "docs" / "performance.md"
HEAD = "| figure | measured | aim |\n|---|---|---|\n"
WORSE = 0.2
"""A figure that is worse than the kept one by more than this share is marked in the output."""


class Figure(Struct, frozen=True):
    """One measurement; ``name`` says of what, with its unit. ``aim``: the least good value, or the greatest where
    ``at_most``."""

    name: str
    value: float
    aim: float | None = None
    at_most: bool = False

    @property
    def met(self) -> bool:
        return self.aim is None or (self.value <= self.aim if self.at_most else self.value >= self.aim)

    def worse_than(self, kept: float) -> bool:
        return self.value > kept * (1 + WORSE) if self.at_most else self.value < kept * (1 - WORSE)

    def row(self) -> str:
        aim = "" if self.aim is None else f"{'at most' if self.at_most else 'at least'} {self.aim:g}"
        aim += "" if self.met else ": **missed**"
        return f"| {self.name} | {_short(self.value)} | {aim} |\n"


def machine() -> str:
    """What the figures are measured on."""
    models = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    model = models[0] if models else platform.machine()
    return f"{os.cpu_count()} cores of {model}, Python {platform.python_version()}, Twisted {version('twisted')}"


def kept() -> Mapping[str, float]:
    """The figures in the table of docs/performance.md, by name; what else it has of tables compares other things."""
    table = DOCUMENT.read_text(encoding="utf-8").partition(HEAD)[2]
    rows = re.findall(r"^\| (.+?) \| ([0-9.,]+) \|", table, re.MULTILINE)
    return {name: float(value.replace(",", "")) for name, value in rows}


def verdict(figure: Figure, before: Mapping[str, float]) -> str:
    """The figure in one line, for whoever watches."""
    line = f"  {figure.name:<75} {_short(figure.value):>9}"
    if figure.aim is not None:
        line += f"   {'at most' if figure.at_most else 'at least'} {figure.aim:g}: {'met' if figure.met else 'MISSED'}"
    if figure.name in before and figure.worse_than(before[figure.name]):
        line += f"   WORSE than {_short(before[figure.name])}"
    return line


def keep(figures: Iterable[Figure], *, all_run: bool) -> None:
    """Write the figures into the document. Where all benchmarks were run they replace its table, else only the rows of
    the same names."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(HEAD)
    after = re.sub(r"\A(\|.*\n)*", "", rest)
    rows = {} if all_run else _by_name(rest.removesuffix(after).splitlines(keepends=True))
    rows |= _by_name(map(Figure.row, figures))
    before = re.sub(r"(?m)^(Measured on|Not measured yet).*$", f"Measured on {machine()}.", before)
    DOCUMENT.write_text(before + HEAD + "".join(rows.values()) + after, encoding="utf-8")


def _by_name(rows: Iterable[str]) -> dict[str, str]:
    return {row.split(" | ")[0]: row for row in rows}


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
