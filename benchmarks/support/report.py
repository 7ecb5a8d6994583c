"""Figures: measured, held against their aim and against what docs/performance.md keeps of an earlier run."""

import os
import platform
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

from attrs import frozen

KEPT = Path(__file__).parents[2] / "docs" / "performance.md"
HEAD = "| figure | measured | aim |\n|---|---|---|\n"
WORSE = 0.2
"""A figure that is worse than the kept one by more than this share is marked."""


@frozen
class Figure:
    """One thing measured; ``name`` says what, with its unit. The aim is a least value, or a greatest ``at_most``."""

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
    """What the figures were measured on."""
    models = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    model = models[0] if models else platform.machine()
    return f"{os.cpu_count()} cores of {model}, Python {platform.python_version()}, Twisted {version('twisted')}"


def kept() -> Mapping[str, float]:
    """The figures in docs/performance.md by name."""
    rows = re.findall(r"^\| (.+?) \| ([0-9.,]+) \|", KEPT.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: float(value.replace(",", "")) for name, value in rows}


def verdict(figure: Figure, before: Mapping[str, float]) -> str:
    """The figure in one line for whoever watches."""
    line = f"  {figure.name:<75} {_short(figure.value):>9}"
    if figure.aim is not None:
        line += f"   {'at most' if figure.at_most else 'at least'} {figure.aim:g}: {'met' if figure.met else 'MISSED'}"
    if figure.name in before and figure.worse_than(before[figure.name]):
        line += f"   WORSE than {_short(before[figure.name])}"
    return line


def keep(figures: Iterable[Figure], *, whole: bool) -> None:
    """Write the figures into the document: those of a ``whole`` run in place of its table, others among its rows."""
    text = KEPT.read_text(encoding="utf-8")
    before, _, rest = text.partition(HEAD)
    after = re.sub(r"\A(\|.*\n)*", "", rest)
    rows = {} if whole else _by_name(rest.removesuffix(after).splitlines(keepends=True))
    rows |= _by_name(map(Figure.row, figures))
    before = re.sub(r"(?m)^(Measured on|Not measured yet).*$", f"Measured on {machine()}.", before)
    KEPT.write_text(before + HEAD + "".join(rows.values()) + after, encoding="utf-8")


def _by_name(rows: Iterable[str]) -> dict[str, str]:
    return {row.split(" | ")[0]: row for row in rows}


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
